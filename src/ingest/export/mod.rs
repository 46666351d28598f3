//! A data set out again, in the formats that others read.

mod chinese_clip;
mod reference_lmdb;
mod webdataset;

use std::collections::HashMap;
use std::path::Path;

use super::{Dataset, IngestError};
use crate::data::Split;
use crate::stage::{Monitor, Progress, StageError};
use crate::store::StoreError;

/// What a data set is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// `{split}_imgs.tsv` and `{split}_texts.jsonl`.
    ChineseClip,
    /// `{split}/imgs` and `{split}/pairs`, as the reference's `build_lmdb_dataset.py` writes them.
    ChineseClipLmdb,
    /// `{split}-000000.tar` and so on, one sample an image.
    Webdataset,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    pub images: u64,
    pub texts: u64,
    pub pairs: u64,
    /// Texts that the format has no place for, because no image belongs to them.
    pub texts_left_out: u64,
    /// Ids that are no integers; the reference's evaluation takes integers only.
    pub other_ids: u64,
}

/// One split of a data set.
struct Part<'a> {
    dataset: &'a Dataset,
    split: Split,
    folder: &'a Path,
    progress: &'a dyn Progress,
    monitor: &'a dyn Monitor,
}

/// A text with its images.
struct LinkedText {
    id: String,
    text: String,
    image_ids: Vec<String>,
}

/// Writes all splits that have rows into an empty folder.
pub fn export(
    dataset: &Dataset,
    format: ExportFormat,
    folder: &Path,
    monitor: &dyn Monitor,
) -> Result<Exported, StageError> {
    let mut sum = Exported::default();
    for split in Split::ALL {
        let images = dataset.image_ids(split)?;
        let texts = linked_texts(dataset, split)?;
        if images.is_empty() && texts.is_empty() {
            continue;
        }
        let progress = monitor.begin(&format!("{split}"), Some(images.len() as u64), "images");
        let part = Part { dataset, split, folder, progress: progress.as_ref(), monitor };
        let left_out = match format {
            ExportFormat::ChineseClip => part.write_chinese_clip(&images, &texts)?,
            ExportFormat::ChineseClipLmdb => part.write_reference_lmdb(&images, &texts)?,
            ExportFormat::Webdataset => part.write_webdataset(&images, &texts)?,
        };
        let ids = images.iter().chain(texts.iter().map(|text| &text.id));
        sum.images += images.len() as u64;
        sum.texts += texts.len() as u64 - left_out;
        sum.pairs += texts.iter().map(|text| text.image_ids.len() as u64).sum::<u64>();
        sum.texts_left_out += left_out;
        sum.other_ids += ids.filter(|id| integer(id).is_none()).count() as u64;
    }
    Ok(sum)
}

impl Part<'_> {
    fn image(&self, id: &str) -> Result<Vec<u8>, StageError> {
        self.progress.advance(1);
        self.monitor.check_stop()?;
        self.dataset.image_bytes(id)
    }
}

fn linked_texts(dataset: &Dataset, split: Split) -> Result<Vec<LinkedText>, StoreError> {
    let mut images: HashMap<String, Vec<String>> = HashMap::new();
    for pair in dataset.pairs(split)? {
        images.entry(pair.text_id).or_default().push(pair.image_id);
    }
    let texts = dataset.texts(split)?.into_iter();
    Ok(texts
        .map(|text| LinkedText { image_ids: images.remove(&text.id).unwrap_or_default(), id: text.id, text: text.text })
        .collect())
}

/// An id that is an integer and looks the same when written as one.
fn integer(id: &str) -> Option<i64> {
    id.parse::<i64>().ok().filter(|number| number.to_string() == id)
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> StageError {
    let path = path.to_owned();
    move |error| IngestError::io(&path)(error).into()
}
