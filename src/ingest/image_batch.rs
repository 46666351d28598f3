//! A batch of images on its way into the data set.
use std::collections::HashSet;

use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, StringArray, UInt64Array};

use super::examine::{Examined, ImageBytes, not_looked_at};
use super::prepare::PreparedImage;
use super::seen::{Fate, IdKey, Seen, SeenImage};
use super::source::{ImageContent, ImageRow};
use super::writer::{BadRow, DatasetWriter, is_key};
use crate::data::Split;
use crate::data::table::Table;
use crate::stage::StageError;
use crate::store::{MAX_KEY_BYTES, StoreError, StoredImage, primitive_column, text_column};

/// Rows that go into the table together.
const TABLE_ROWS: usize = 1024;

/// Images that wait for their batch to be full.
#[derive(Default)]
pub struct ImageBatch {
    rows: Vec<Waiting>,
    /// Of all of them as the source has them: where a batch ends depends on the source alone.
    bytes: usize,
    ids: HashSet<IdKey>,
}

/// An image, and which of the sheets that wait with it has its bytes.
pub struct Waiting {
    image: PreparedImage,
    sheet: usize,
}

/// An image that can be read.
pub(super) struct Sound {
    row: ImageRow,
    key: IdKey,
    examined: Examined,
    /// See [`Waiting`].
    sheet: usize,
    split: Split,
    /// Where it came from, for people.
    source: String,
    fate: Fate,
}

impl ImageBatch {
    /// Takes an image unless it is a file that an earlier caption named already.
    pub fn take(&mut self, image: PreparedImage, sheet: usize, seen: &Seen) {
        let row = &image.row;
        if row.repeats && matches!(row.content, ImageContent::File(_)) {
            let key = image.key;
            let known = self.ids.contains(&key)
                || seen.image(key).is_some_and(|image| row.split.is_none_or(|split| split == image.split));
            if known {
                return;
            }
            self.ids.insert(key);
        }
        self.bytes += image.bytes;
        self.rows.push(Waiting { image, sheet });
    }

    pub fn is_full(&self, rows: usize, bytes: usize) -> bool {
        self.rows.len() >= rows || self.bytes >= bytes
    }

    pub fn drain(&mut self) -> Vec<Waiting> {
        self.ids.clear();
        self.bytes = 0;
        std::mem::take(&mut self.rows)
    }
}

impl DatasetWriter<'_> {
    pub(super) fn settle_images(&mut self, images: Vec<Waiting>) -> Result<(), StageError> {
        let (mut bad, mut sound) = (Vec::new(), Vec::with_capacity(images.len()));
        let (mut keyed, unkeyed): (Vec<Waiting>, Vec<Waiting>) =
            images.into_iter().partition(|waiting| is_key(&waiting.image.row.id));
        for Waiting { image: PreparedImage { row, .. }, .. } in unkeyed {
            let reason = format!("image id must have 1 to {MAX_KEY_BYTES} bytes");
            bad.push(BadRow { place: row.place, table: "images", id: row.id, reason });
        }
        let sources: Vec<String> = keyed.iter().map(|waiting| source_name(&waiting.image.row)).collect();
        let files = keyed.iter_mut().map(|waiting| &mut waiting.image).filter(|image| image.examined.is_none());
        let mut files: Vec<&mut ImageRow> = files.map(|image| &mut image.row).collect();
        let mut examined_files = self.examiner.examine(&mut files).into_iter();
        for (Waiting { image, sheet }, source) in keyed.into_iter().zip(sources) {
            let PreparedImage { row, key, examined, .. } = image;
            let examined = examined.or_else(|| examined_files.next()).unwrap_or_else(|| Err(not_looked_at()));
            match examined {
                Ok(examined) => {
                    let split = row.split.unwrap_or_else(|| self.split.of(&row.id, row.family.as_deref()));
                    sound.push(Sound { row, key, examined, sheet, split, source, fate: Fate::Kept });
                }
                Err(error) if error.is_of_one_row() => {
                    bad.push(BadRow { place: row.place, table: "images", id: row.id, reason: error.to_string() });
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.decide(&mut sound)?;
        let mut kept = self.note(sound, &mut bad);
        for image in &kept {
            self.stats.by_split.entry(image.split).or_default()[0] += 1;
            self.stats.reused += u64::from(image.examined.bytes.is_none());
        }
        self.stats.images.rows_in += kept.len() as u64;
        self.stats.images.rows_out += kept.len() as u64;
        self.store_bytes(&mut kept)?;
        self.image_rows.extend(kept);
        self.write_images(TABLE_ROWS)?;
        self.reject(&bad)
    }

    /// Writes what is kept into the table, as long as there are `least` rows. They go there [`TABLE_ROWS`] at a time, whatever
    /// came together: the file must not depend on it.
    pub(super) fn write_images(&mut self, least: usize) -> Result<(), StageError> {
        while self.image_rows.len() >= least.max(1) {
            let rows = self.image_rows.len().min(TABLE_ROWS);
            self.tables.push((Table::Images, columns(&self.image_rows[..rows])))?;
            self.image_rows.drain(..rows);
        }
        Ok(())
    }

    /// Which images meet the condition.
    fn decide(&mut self, images: &mut [Sound]) -> Result<(), StoreError> {
        if let Some(filter) = &self.filters.images {
            let matches = filter.matches(columns(images))?;
            for (image, matches) in images.iter_mut().zip(matches) {
                if !matches {
                    image.fate = Fate::Filtered;
                }
            }
        }
        Ok(())
    }

    /// Notes what became of every id; returns the images that are new and stay. Of equal ones that is the first.
    fn note(&mut self, images: Vec<Sound>, bad: &mut Vec<BadRow>) -> Vec<Sound> {
        let mut kept = Vec::with_capacity(images.len());
        for mut image in images {
            // An id that repeats stands for the image that it had first.
            if self.merges() && image.fate == Fate::Kept && self.seen.image(image.key).is_none() {
                let first = self.seen.first_with(image.split, &image.examined.digest, &image.row.id);
                if first != image.row.id {
                    image.fate = Fate::MergedInto(first);
                }
            }
            match (&image.fate, self.seen.add_image(image.key, image.mark())) {
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
                    let first = self.seen.image(image.key);
                    let same =
                        first.is_some_and(|first| first.digest == image.mark().digest && first.split == image.split);
                    if !(image.row.repeats && same) {
                        let reason = "image id repeats; the first one stands".to_owned();
                        bad.push(BadRow { place: image.row.place, table: "images", id: image.row.id, reason });
                    }
                }
            }
        }
        kept
    }

    /// New bytes go into the store. What an earlier version holds goes there only if its files are not used any longer.
    fn store_bytes(&mut self, kept: &mut [Sound]) -> Result<(), StageError> {
        let mut images = Vec::with_capacity(kept.len());
        for image in kept {
            let id = &image.row.id;
            let bytes = match image.examined.bytes.take() {
                Some(ImageBytes::Loose(bytes)) => StoredImage::Loose(bytes),
                Some(ImageBytes::Laid(place)) => StoredImage::Laid { sheet: image.sheet, place },
                None if self.shared.is_empty() => {
                    let lost = || StageError::internal(format!("image `{id}` is not in the earlier version"));
                    StoredImage::Loose(self.examiner.known.bytes(id)?.ok_or_else(lost)?)
                }
                None => continue,
            };
            images.push((id.clone(), bytes));
        }
        let sheets = std::mem::take(&mut self.sheets);
        if images.is_empty() { Ok(()) } else { self.store.push((sheets, images)) }
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
