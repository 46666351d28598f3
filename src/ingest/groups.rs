//! Images that must not be torn apart when a data set is split: connected by family, bytes, looks or caption.
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::IngestError;
use super::examine::Examiner;
use super::near_duplicates::{NEAR_BITS, near_pairs};
use super::source::{ImageRow, SourceRow, SourceRows};
use super::spec::GroupBy;
use super::text_key::text_key;
use super::union_find::UnionFind;
use crate::stage::{Progress, StageError};

const BATCH_IMAGES: usize = 256;

/// The name of every image's group: the least name among its members'.
#[derive(Debug, Default)]
pub struct Groups {
    name_of: HashMap<String, String>,
}

impl Groups {
    /// Reads a source once to find the groups; images that cannot be read have none.
    pub fn find(
        rows: SourceRows,
        examiner: &Examiner<'_>,
        by: &[GroupBy],
        progress: &dyn Progress,
        check_stop: impl Fn() -> Result<(), StageError>,
    ) -> Result<Self, StageError> {
        let mut finder = Finder { by, ..Finder::default() };
        let mut pending: Vec<ImageRow> = Vec::new();
        for row in rows {
            match row? {
                SourceRow::Image(image) if finder.index_of.contains_key(&image.id) => {}
                SourceRow::Image(image) => {
                    pending.push(image);
                    if pending.len() >= BATCH_IMAGES {
                        finder.images(&mut pending, examiner)?;
                        progress.advance(BATCH_IMAGES as u64);
                        check_stop()?;
                    }
                }
                SourceRow::Text(text) if by.contains(&GroupBy::Caption) => {
                    finder.images(&mut pending, examiner)?;
                    for id in &text.image_ids {
                        finder.caption(id, &text.text);
                    }
                }
                SourceRow::Text(_) | SourceRow::Bad { .. } => {}
            }
        }
        finder.images(&mut pending, examiner)?;
        Ok(finder.finish())
    }

    /// The name that decides an image's split.
    pub fn name(&self, id: &str) -> Option<&str> {
        self.name_of.get(id).map(String::as_str)
    }
}

#[derive(Default)]
struct Finder<'a> {
    by: &'a [GroupBy],
    index_of: HashMap<String, usize>,
    /// What names an image's group if it is alone: its family or its id.
    names: Vec<String>,
    sets: UnionFind,
    first_by_name: HashMap<String, usize>,
    first_by_digest: HashMap<[u8; 32], usize>,
    first_by_caption: HashMap<u128, usize>,
    hashes: Vec<(u64, usize)>,
}

impl Finder<'_> {
    fn images(&mut self, pending: &mut Vec<ImageRow>, examiner: &Examiner<'_>) -> Result<(), IngestError> {
        let mut rows = std::mem::take(pending);
        let examined = examiner.examine(&mut rows.iter_mut().collect::<Vec<_>>());
        for (row, examined) in rows.into_iter().zip(examined) {
            let examined = match examined {
                Ok(examined) => examined,
                // The second reading puts it into quarantine.
                Err(error) if error.is_of_one_row() => continue,
                Err(error) => return Err(error),
            };
            let Entry::Vacant(entry) = self.index_of.entry(row.id.clone()) else { continue };
            let index = *entry.insert(self.sets.add());
            let name = row.family.unwrap_or(row.id);
            connect(&mut self.sets, &mut self.first_by_name, name.clone(), index);
            self.names.push(name);
            if self.by.contains(&GroupBy::Digest) {
                connect(&mut self.sets, &mut self.first_by_digest, examined.digest, index);
            }
            if let (true, Some(hash)) = (self.by.contains(&GroupBy::NearDuplicate), examined.facts.perceptual_hash) {
                self.hashes.push((hash, index));
            }
        }
        Ok(())
    }

    fn caption(&mut self, image_id: &str, text: &str) {
        if let Some(index) = self.index_of.get(image_id) {
            connect(&mut self.sets, &mut self.first_by_caption, text_key(text), *index);
        }
    }

    fn finish(mut self) -> Groups {
        let hashes: Vec<u64> = self.hashes.iter().map(|(hash, _)| *hash).collect();
        for (a, b) in near_pairs(&hashes, NEAR_BITS) {
            let (a, b) = (self.hashes[a].1, self.hashes[b].1);
            self.sets.join(a, b);
        }
        let mut least: HashMap<usize, &str> = HashMap::new();
        for (index, name) in self.names.iter().enumerate() {
            let known = least.entry(self.sets.root(index)).or_insert(name);
            *known = (*known).min(name.as_str());
        }
        let named = self.index_of.iter().filter_map(|(id, index)| {
            let name = least.get(&self.sets.root(*index))?;
            Some((id.clone(), (*name).to_owned()))
        });
        Groups { name_of: named.collect() }
    }
}

fn connect<K: std::hash::Hash + Eq>(sets: &mut UnionFind, first: &mut HashMap<K, usize>, key: K, index: usize) {
    let known = *first.entry(key).or_insert(index);
    sets.join(known, index);
}
