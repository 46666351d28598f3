//! `kind: audit`: does anything that is measured on stand in training data too? Looks across splits and data sets.
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, BooleanArray};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::IngestError;
use super::near_duplicates::{NEAR_BITS, near_pairs};
use super::table_file;
use super::text_key::text_key;
use super::union_find::UnionFind;
use crate::data::table::Table;
use crate::data::{ItemKind, Split, short_hash};
use crate::stage::{Shard, ShardReceipt, Stage, StageContext, StageError};
use crate::store::{StoreError, TableReader, TableWriter, read_table, text_column};

/// Looks for items of validation and test that training has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditSpec {
    pub needs: AuditNeeds,
    /// What happens when something is found.
    #[serde(default)]
    pub on_leak: OnLeak,
    /// Bits in which two perceptual hashes may differ to be the same picture.
    #[serde(default = "near_bits")]
    #[schemars(range(min = 0, max = 3))]
    pub near_bits: u32,
}

/// Inputs of an audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditNeeds {
    /// Stages of kind `ingest`: everything that is trained or measured on.
    #[schemars(length(min = 1))]
    pub data: Vec<String>,
}

/// What happens when something is found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnLeak {
    /// A warning; scores are given with and without the leaked queries.
    #[default]
    Warn,
    /// Stages that train and name this audit leave the training side of every leak out.
    Drop,
    /// The run stops with exit code 65.
    Fail,
}

/// `kind: audit`, ready to run.
#[derive(Debug, Clone)]
pub struct Audit {
    pub spec: AuditSpec,
}

/// An image or a text of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    data: usize,
    split: Split,
    kind: ItemKind,
    id: String,
}

/// An item with its counterpart on the other side of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    pub data: String,
    pub split: String,
    /// `image` or `text`.
    pub kind: String,
    pub id: String,
    /// `image`, `near image`, `family` or `caption`.
    pub reason: String,
    pub other_data: String,
    pub other_split: String,
    pub other_id: String,
    /// Whether training leaves the item out.
    pub dropped: bool,
}

/// The table `leaks`.
#[derive(Debug, Clone, Default)]
pub struct Leaks {
    rows: Vec<Leak>,
    leaked: HashSet<(String, String, String)>,
}

impl Stage for Audit {
    fn run_shard(&self, context: &StageContext<'_>, shard: &Shard) -> Result<ShardReceipt, StageError> {
        let mut search = Search::default();
        for (data, id) in self.spec.needs.data.iter().enumerate() {
            context.monitor.check_stop()?;
            search.read(data, &context.input(id)?.sealed.folder)?;
        }
        let leaks = search.leaks(&self.spec);
        let counts = count(&leaks);
        let found: u64 = counts.values().sum();
        let summary = counts.iter().map(|(what, count)| format!("{count} by {what}")).collect::<Vec<_>>().join(", ");
        if found > 0 {
            match self.spec.on_leak {
                OnLeak::Fail => return Err(IngestError::Leaked { found, summary, first: describe(&leaks) }.into()),
                OnLeak::Warn | OnLeak::Drop => {
                    context.warn(&format!(
                        "{found} leaks into validation or test: {summary}; first: {}",
                        describe(&leaks)
                    ));
                }
            }
        } else {
            context.note("nothing of validation or test stands in training data");
        }
        write(&context.out.join(table_file(Table::Leaks)), &leaks)?;
        Ok(ShardReceipt {
            shard: shard.clone(),
            rows_in: leaks.len() as u64,
            rows_out: leaks.len() as u64,
            rows_quarantined: 0,
            rows_left_out: 0,
            files: vec![table_file(Table::Leaks)],
            shared: Vec::new(),
            digested: Vec::new(),
            stats: BTreeMap::from([
                ("leaks".to_owned(), json!(counts)),
                ("items".to_owned(), json!(search.items.len())),
            ]),
        })
    }
}

/// Everything that was read, and what can be equal.
#[derive(Default)]
struct Search {
    items: Vec<Item>,
    /// Reason, key and position of the item.
    keys: Vec<(&'static str, u128, usize)>,
    hashes: Vec<u64>,
    hashed: Vec<usize>,
}

impl Search {
    fn read(&mut self, data: usize, folder: &Path) -> Result<(), StoreError> {
        for batch in TableReader::open(&folder.join(table_file(Table::Images)), Table::Images)? {
            let batch = batch?;
            let (ids, digests, families) = (batch.text("image_id")?, batch.text("digest")?, batch.text("family")?);
            let (splits, hashes) = (batch.text("split")?, batch.u64("perceptual_hash")?);
            for row in 0..batch.rows() {
                let at = self.add(data, splits.value(row), ItemKind::Image, ids.value(row));
                self.keys.push(("image", short_hash(digests.value(row).as_bytes()), at));
                if families.is_valid(row) {
                    self.keys.push(("family", short_hash(format!("{data}/{}", families.value(row)).as_bytes()), at));
                }
                if hashes.is_valid(row) {
                    self.hashes.push(hashes.value(row));
                    self.hashed.push(at);
                }
            }
        }
        for batch in TableReader::open(&folder.join(table_file(Table::Texts)), Table::Texts)? {
            let batch = batch?;
            let (ids, texts, splits) = (batch.text("text_id")?, batch.text("text")?, batch.text("split")?);
            for row in 0..batch.rows() {
                let at = self.add(data, splits.value(row), ItemKind::Text, ids.value(row));
                self.keys.push(("caption", text_key(texts.value(row)), at));
            }
        }
        Ok(())
    }

    fn add(&mut self, data: usize, split: &str, kind: ItemKind, id: &str) -> usize {
        let split = Split::parse(split).unwrap_or(Split::Train);
        self.items.push(Item { data, split, kind, id: id.to_owned() });
        self.items.len() - 1
    }

    fn leaks(&self, spec: &AuditSpec) -> Vec<Leak> {
        let mut sets = UnionFind::of(self.hashes.len());
        for (a, b) in near_pairs(&self.hashes, spec.near_bits) {
            sets.join(a, b);
        }
        let mut keys = self.keys.clone();
        keys.extend(self.hashed.iter().enumerate().map(|(at, item)| ("near image", sets.root(at) as u128, *item)));
        keys.sort_unstable();
        let groups = keys.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1));
        let mut leaks: Vec<Leak> = groups.flat_map(|group| self.leaks_of(group, spec)).collect();
        // Equal bytes are near too; the stronger reason says enough.
        let exact: HashSet<(String, String)> = leaks
            .iter()
            .filter(|leak| leak.reason == "image")
            .map(|leak| (leak.data.clone(), leak.id.clone()))
            .collect();
        leaks.retain(|leak| leak.reason != "near image" || !exact.contains(&(leak.data.clone(), leak.id.clone())));
        leaks
    }

    /// Of equal items those that stand in a later split than another, and, if they are to be dropped, those in an earlier.
    fn leaks_of(&self, group: &[(&'static str, u128, usize)], spec: &AuditSpec) -> Vec<Leak> {
        let members: Vec<&Item> = group.iter().filter_map(|(_, _, at)| self.items.get(*at)).collect();
        let first = members.iter().copied().min_by_key(|item| item.split);
        let last = members.iter().copied().max_by_key(|item| item.split);
        let (Some((reason, ..)), Some(first), Some(last)) = (group.first(), first, last) else { return Vec::new() };
        if first.split == last.split {
            return Vec::new();
        }
        let leak = |item: &Item, other: &Item, dropped| Leak {
            data: spec.needs.data[item.data].clone(),
            split: item.split.to_string(),
            kind: item.kind.as_str().to_owned(),
            id: item.id.clone(),
            reason: (*reason).to_owned(),
            other_data: spec.needs.data[other.data].clone(),
            other_split: other.split.to_string(),
            other_id: other.id.clone(),
            dropped,
        };
        let mut leaks = Vec::new();
        for item in members {
            if item.split > first.split {
                leaks.push(leak(item, first, false));
            }
            if spec.on_leak == OnLeak::Drop && item.split == Split::Train {
                leaks.push(leak(item, last, true));
            }
        }
        leaks
    }
}

impl Leaks {
    /// Reads the table of an `audit` artifact.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let rows = read_table(&folder.join(table_file(Table::Leaks)), Table::Leaks, |batch, row| {
            let text = |column| Ok::<String, StoreError>(batch.text(column)?.value(row).to_owned());
            Ok(Leak {
                data: text("data")?,
                split: text("split")?,
                kind: text("kind")?,
                id: text("id")?,
                reason: text("reason")?,
                other_data: text("other_data")?,
                other_split: text("other_split")?,
                other_id: text("other_id")?,
                dropped: batch.bool("dropped")?.value(row),
            })
        })?;
        let leaked = rows.iter().filter(|leak| !leak.dropped);
        let leaked = leaked.map(|leak| (leak.data.clone(), leak.kind.clone(), leak.id.clone())).collect();
        Ok(Self { rows, leaked })
    }

    /// All rows.
    pub fn rows(&self) -> &[Leak] {
        &self.rows
    }

    /// Whether an item has a counterpart in an earlier split.
    pub fn contains(&self, data: &str, kind: ItemKind, id: &str) -> bool {
        !self.leaked.is_empty() && self.leaked.contains(&(data.to_owned(), kind.as_str().to_owned(), id.to_owned()))
    }

    /// Ids of a data set that training leaves out.
    pub fn dropped(&self, data: &str, kind: ItemKind) -> HashSet<String> {
        let dropped = self.rows.iter().filter(|leak| leak.dropped && leak.data == data && leak.kind == kind.as_str());
        dropped.map(|leak| leak.id.clone()).collect()
    }
}

/// Leaked items by reason.
fn count(leaks: &[Leak]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for leak in leaks.iter().filter(|leak| !leak.dropped) {
        *counts.entry(leak.reason.clone()).or_default() += 1;
    }
    counts
}

fn describe(leaks: &[Leak]) -> String {
    leaks.iter().find(|leak| !leak.dropped).map_or_else(String::new, |leak| {
        let Leak { data, split, kind, id, other_data, other_split, other_id, .. } = leak;
        format!("{kind} `{id}` of {data} {split} is `{other_id}` of {other_data} {other_split}")
    })
}

fn write(path: &Path, leaks: &[Leak]) -> Result<(), StoreError> {
    let column = |value: fn(&Leak) -> &String| text_column(leaks.iter().map(value));
    let mut writer = TableWriter::create(path, Table::Leaks.schema())?;
    writer.write(vec![
        column(|leak| &leak.data),
        column(|leak| &leak.split),
        column(|leak| &leak.kind),
        column(|leak| &leak.id),
        column(|leak| &leak.reason),
        column(|leak| &leak.other_data),
        column(|leak| &leak.other_split),
        column(|leak| &leak.other_id),
        Arc::new(leaks.iter().map(|leak| Some(leak.dropped)).collect::<BooleanArray>()),
    ])?;
    writer.finish().map(drop)
}

fn near_bits() -> u32 {
    NEAR_BITS
}
