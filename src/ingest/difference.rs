//! What changed between two versions of a data set.
use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;

use super::table_file;
use crate::data::short_hash;
use crate::data::table::Table;
use crate::store::{StoreError, TableReader};

/// Examples of each kind that are kept.
const EXAMPLES: usize = 5;

/// Changes by table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub images: Changes,
    pub texts: Changes,
    pub pairs: Changes,
}

/// Rows by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    pub added: Change,
    pub removed: Change,
    /// Another content under the same id.
    pub changed: Change,
    /// The same content in another split.
    pub moved: Change,
    pub unchanged: u64,
}

/// How many, and the first few.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    pub rows: u64,
    pub examples: Vec<String>,
}

/// Compares the tables below two folders by id, content and split.
pub fn difference(before: &Path, after: &Path) -> Result<Difference, StoreError> {
    Ok(Difference {
        images: changes(before, after, Table::Images, &["image_id"], "digest")?,
        texts: changes(before, after, Table::Texts, &["text_id"], "text")?,
        pairs: changes(before, after, Table::Pairs, &["text_id", "image_id"], "split")?,
    })
}

impl Difference {
    pub fn is_empty(&self) -> bool {
        [&self.images, &self.texts, &self.pairs]
            .into_iter()
            .all(|c| [&c.added, &c.removed, &c.changed, &c.moved].into_iter().all(|change| change.rows == 0))
    }
}

impl Change {
    fn add(&mut self, id: &str) {
        self.rows += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(id.to_owned());
        }
    }
}

/// Only hashes are kept of the earlier version, so that millions of rows fit.
fn changes(
    before: &Path,
    after: &Path,
    table: Table,
    key: &[&'static str],
    content: &'static str,
) -> Result<Changes, StoreError> {
    let mut known: HashMap<u128, (u64, u64)> = HashMap::new();
    each_row(before, table, key, content, |id, content, split| {
        known.insert(hash(id), (hash(content) as u64, hash(split) as u64));
    })?;
    let mut changes = Changes::default();
    each_row(after, table, key, content, |id, content, split| match known.remove(&hash(id)) {
        None => changes.added.add(id),
        Some((old, _)) if old != hash(content) as u64 => changes.changed.add(id),
        Some((_, old)) if old != hash(split) as u64 => changes.moved.add(id),
        Some(_) => changes.unchanged += 1,
    })?;
    each_row(before, table, key, content, |id, _, _| {
        if known.contains_key(&hash(id)) {
            changes.removed.add(id);
        }
    })?;
    Ok(changes)
}

fn each_row(
    folder: &Path,
    table: Table,
    key: &[&'static str],
    content: &'static str,
    mut visit: impl FnMut(&str, &str, &str),
) -> Result<(), StoreError> {
    for batch in TableReader::open(&folder.join(table_file(table)), table)? {
        let batch = batch?;
        let keys = key.iter().map(|column| batch.text(column)).collect::<Result<Vec<_>, _>>()?;
        let (contents, splits) = (batch.text(content)?, batch.text("split")?);
        for row in 0..batch.rows() {
            let id = keys.iter().map(|column| column.value(row)).collect::<Vec<_>>().join(":");
            visit(&id, contents.value(row), splits.value(row));
        }
    }
    Ok(())
}

fn hash(text: &str) -> u128 {
    short_hash(text.as_bytes())
}
