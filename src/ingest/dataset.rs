//! A sealed data set, opened for reading by the rooms to the right.
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::table_file;
use super::writer::{is_image_store, segment_number};
use crate::data::table::Table;
use crate::data::{ItemKind, Split};
use crate::stage::StageError;
use crate::store::{ImageStore, RowFilter, Sealed, StoreError, TableBatch, TableReader, read_table};

/// Tables and image store of one data set.
#[derive(Debug)]
pub struct Dataset {
    folder: PathBuf,
    images: ImageStore,
}

/// One text with its images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub id: String,
    pub text: String,
}

/// One training pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub text_id: String,
    pub image_id: String,
}

impl Dataset {
    /// Opens a `dataset` artifact.
    pub fn open(sealed: &Sealed) -> Result<Self, StoreError> {
        let mut stores: Vec<&str> =
            sealed.manifest.files.iter().map(|file| file.path.as_str()).filter(|file| is_image_store(file)).collect();
        stores.sort_by_key(|file| std::cmp::Reverse(segment_number(file)));
        let stores: Vec<PathBuf> = stores.into_iter().map(|file| sealed.path(file)).collect();
        Ok(Self { folder: sealed.folder.clone(), images: ImageStore::open(&stores)? })
    }

    /// Ids of the images of a split, in source order.
    pub fn image_ids(&self, split: Split) -> Result<Vec<String>, StoreError> {
        self.rows(Table::Images, split, |batch, row| Ok(batch.text("image_id")?.value(row).to_owned()))
    }

    /// Ids and digests of the images of a split, in source order.
    pub fn image_digests(&self, split: Split) -> Result<Vec<(String, String)>, StoreError> {
        self.rows(Table::Images, split, |batch, row| {
            Ok((batch.text("image_id")?.value(row).to_owned(), batch.text("digest")?.value(row).to_owned()))
        })
    }

    /// Where every image came from, by id: `train_imgs.tsv:3` or a file name.
    pub fn image_sources(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let rows = read_table(&self.path(Table::Images), Table::Images, |batch, row| {
            Ok((batch.text("image_id")?.value(row).to_owned(), batch.text("source")?.value(row).to_owned()))
        })?;
        Ok(rows.into_iter().collect())
    }

    /// Ids of the images or texts of a split that meet a condition over their table's columns.
    pub fn ids_where(&self, kind: ItemKind, split: Split, sql: &str) -> Result<Vec<String>, StoreError> {
        let (table, id, in_split) = match kind {
            ItemKind::Image => (Table::Images, "image_id", "split"),
            ItemKind::Text => (Table::Texts, "text_id", "split"),
        };
        let filter = RowFilter::new(sql, table.schema())?;
        let mut ids = Vec::new();
        for batch in TableReader::open(&self.folder.join(table_file(table)), table)? {
            let batch = batch?;
            let matches = filter.matches(batch.columns())?;
            for (row, matches) in matches.into_iter().enumerate() {
                if matches && batch.text(in_split)?.value(row) == split.as_str() {
                    ids.push(batch.text(id)?.value(row).to_owned());
                }
            }
        }
        Ok(ids)
    }

    /// Texts of a split, in source order.
    pub fn texts(&self, split: Split) -> Result<Vec<Text>, StoreError> {
        self.rows(Table::Texts, split, |batch, row| {
            let id = batch.text("text_id")?.value(row).to_owned();
            Ok(Text { id, text: batch.text("text")?.value(row).to_owned() })
        })
    }

    /// Pairs of a split, in source order.
    pub fn pairs(&self, split: Split) -> Result<Vec<Pair>, StoreError> {
        self.rows(Table::Pairs, split, |batch, row| {
            let text_id = batch.text("text_id")?.value(row).to_owned();
            Ok(Pair { text_id, image_id: batch.text("image_id")?.value(row).to_owned() })
        })
    }

    /// The encoded bytes of an image; an id that the tables name but the store lacks is an error.
    pub fn image_bytes(&self, id: &str) -> Result<Vec<u8>, StageError> {
        let bytes = self.images.get(id)?;
        bytes.ok_or_else(|| StageError::internal(format!("image `{id}` is in the table but not in the store")))
    }

    fn rows<T>(
        &self,
        table: Table,
        split: Split,
        make: impl Fn(&TableBatch, usize) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = read_table(&self.path(table), table, |batch, row| {
            let wanted = batch.text("split")?.value(row) == split.as_str();
            wanted.then(|| make(batch, row)).transpose()
        })?;
        Ok(rows.into_iter().flatten().collect())
    }

    fn path(&self, table: Table) -> PathBuf {
        self.folder.join(table_file(table))
    }
}
