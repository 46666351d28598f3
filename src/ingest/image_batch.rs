//! A batch of images on its way into the data set.
use std::collections::HashSet;

use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, StringArray, UInt64Array};

use super::examine::Examined;
use super::seen::{Fate, Seen, SeenImage};
use super::source::{ImageContent, ImageRow};
use super::writer::{BadRow, DatasetWriter, is_key};
use crate::data::Split;
use crate::data::table::Table;
use crate::stage::StageError;
use crate::store::{MAX_KEY_BYTES, StoreError, primitive_column, text_column};

/// Images that wait for their batch to be full.
#[derive(Default)]
pub struct ImageBatch {
    rows: Vec<ImageRow>,
    bytes: usize,
    ids: HashSet<String>,
}

/// An image that can be read.
struct Sound {
    row: ImageRow,
    examined: Examined,
    split: Split,
    /// Where it came from, for people.
    source: String,
    fate: Fate,
}

impl ImageBatch {
    /// Takes an image unless it is a file that an earlier caption named already; says whether it did.
    pub fn take(&mut self, row: ImageRow, seen: &Seen) -> Result<bool, StoreError> {
        let is_file = matches!(row.content, ImageContent::File(_));
        if is_file && row.repeats {
            let known = self.ids.contains(&row.id)
                || seen.image(&row.id)?.is_some_and(|image| row.split.is_none_or(|split| split == image.split));
            if known {
                return Ok(false);
            }
            self.ids.insert(row.id.clone());
        }
        self.bytes += row.content.size();
        self.rows.push(row);
        Ok(true)
    }

    pub fn is_full(&self, rows: usize, bytes: usize) -> bool {
        self.rows.len() >= rows || self.bytes >= bytes
    }

    pub fn drain(&mut self) -> Vec<ImageRow> {
        self.ids.clear();
        self.bytes = 0;
        std::mem::take(&mut self.rows)
    }
}

impl DatasetWriter<'_> {
    pub(super) fn settle_images(&mut self, rows: Vec<ImageRow>) -> Result<(), StageError> {
        let (mut bad, mut sound) = (Vec::new(), Vec::new());
        let (mut keyed, unkeyed): (Vec<ImageRow>, Vec<ImageRow>) = rows.into_iter().partition(|row| is_key(&row.id));
        for row in unkeyed {
            let reason = format!("image id must have 1 to {MAX_KEY_BYTES} bytes");
            bad.push(BadRow { place: row.place, table: "images", id: row.id, reason });
        }
        let sources: Vec<String> = keyed.iter().map(source_name).collect();
        let examined = self.examiner.examine(&mut keyed);
        for ((row, examined), source) in keyed.into_iter().zip(examined).zip(sources) {
            match examined {
                Ok(examined) => {
                    let split = row.split.unwrap_or_else(|| self.split.of(&row.id, row.family.as_deref()));
                    sound.push(Sound { row, examined, split, source, fate: Fate::Kept });
                }
                Err(error) if error.is_of_one_row() => {
                    bad.push(BadRow { place: row.place, table: "images", id: row.id, reason: error.to_string() });
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.decide(&mut sound)?;
        let mut kept = self.note(sound, &mut bad)?;
        for image in &kept {
            self.stats.by_split.entry(image.split).or_default()[0] += 1;
            self.stats.reused += u64::from(image.examined.bytes.is_none());
        }
        self.stats.images.rows_in += kept.len() as u64;
        self.stats.images.rows_out += kept.len() as u64;
        self.tables.push((Table::Images, columns(&kept)))?;
        self.store_bytes(&mut kept)?;
        self.reject(&bad)
    }

    /// Which images stay: those that meet the condition, and of equal ones the first.
    fn decide(&mut self, images: &mut [Sound]) -> Result<(), StoreError> {
        if let Some(filter) = &self.filters.images {
            let matches = filter.matches(columns(images))?;
            for (image, matches) in images.iter_mut().zip(matches) {
                if !matches {
                    image.fate = Fate::Filtered;
                }
            }
        }
        if self.merges() {
            for image in images.iter_mut().filter(|image| image.fate == Fate::Kept) {
                let first = self.seen.first_with(image.split, &image.examined.digest, &image.row.id)?;
                if first != image.row.id {
                    image.fate = Fate::MergedInto(first);
                }
            }
        }
        Ok(())
    }

    /// Notes what became of every id; returns the images that are new and stay.
    fn note(&mut self, images: Vec<Sound>, bad: &mut Vec<BadRow>) -> Result<Vec<Sound>, StoreError> {
        let marks: Vec<(&str, SeenImage)> = images.iter().map(|image| (image.row.id.as_str(), image.mark())).collect();
        let new = self.seen.add_images(&marks)?;
        let mut kept = Vec::with_capacity(images.len());
        for (image, new) in images.into_iter().zip(new) {
            match (&image.fate, new) {
                (Fate::Kept, true) => kept.push(image),
                (Fate::Filtered, true) => {
                    self.stats.images.rows_in += 1;
                    self.stats.images.filtered += 1;
                }
                (Fate::MergedInto(_), true) => {
                    self.stats.images.rows_in += 1;
                    self.stats.images.merged += 1;
                }
                (_, false) => {
                    let first = self.seen.image(&image.row.id)?;
                    let same =
                        first.is_some_and(|first| first.digest == image.mark().digest && first.split == image.split);
                    if !(image.row.repeats && same) {
                        let reason = "image id repeats; the first one stands".to_owned();
                        bad.push(BadRow { place: image.row.place, table: "images", id: image.row.id, reason });
                    }
                }
            }
        }
        Ok(kept)
    }

    /// New bytes go into the store. What an earlier version holds goes there only if its files are not used any longer.
    fn store_bytes(&mut self, kept: &mut [Sound]) -> Result<(), StageError> {
        let mut images = Vec::with_capacity(kept.len());
        for image in kept {
            let id = &image.row.id;
            let bytes = match image.examined.bytes.take() {
                Some(bytes) => bytes,
                None if self.shared.is_empty() => {
                    let lost = || StageError::internal(format!("image `{id}` is not in the earlier version"));
                    self.examiner.known.bytes(id)?.ok_or_else(lost)?
                }
                None => continue,
            };
            images.push((id.clone(), bytes));
        }
        if images.is_empty() { Ok(()) } else { self.store.push(images) }
    }
}

impl Sound {
    fn mark(&self) -> SeenImage {
        let mut digest = [0; 8];
        digest.copy_from_slice(&self.examined.digest[..8]);
        SeenImage { split: self.split, fate: self.fate.clone(), digest }
    }
}

fn source_name(row: &ImageRow) -> String {
    match &row.content {
        ImageContent::File(name) => name.clone(),
        ImageContent::Bytes(_) | ImageContent::Base64(_) => format!("{}:{}", row.place.source, row.place.line),
    }
}

/// Columns of `images` in schema order.
fn columns(images: &[Sound]) -> Vec<ArrayRef> {
    let facts = || images.iter().map(|image| image.examined.facts);
    let digest = |image: &Sound| blake3::Hash::from_bytes(image.examined.digest).to_hex().to_string();
    vec![
        text_column(images.iter().map(|image| &image.row.id)),
        text_column(images.iter().map(|image| image.split.as_str())),
        primitive_column::<UInt32Type>(facts().map(|facts| facts.width)),
        primitive_column::<UInt32Type>(facts().map(|facts| facts.height)),
        text_column(facts().map(|facts| facts.format)),
        text_column(images.iter().map(digest)),
        std::sync::Arc::new(facts().map(|facts| facts.perceptual_hash).collect::<UInt64Array>()),
        text_column(images.iter().map(|image| &image.source)),
        primitive_column::<UInt64Type>(facts().map(|facts| facts.bytes)),
        std::sync::Arc::new(images.iter().map(|image| image.row.family.as_deref()).collect::<StringArray>()),
    ]
}
