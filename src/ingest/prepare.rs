//! What can be found out about a row by itself, whatever other rows hold: any thread does it.
use std::cell::LazyCell;

use super::IngestError;
use super::examine::{Examined, Examiner};
use super::normalize_text::{TextNormalization, normalize_text};
use super::seen::{IdKey, TextDigest, id_key};
use super::source::{ImageContent, ImageRow, SourceRow, TextRow};
use super::writer::BadRow;
use crate::model::{Tokenizer, normalize_caption};
use crate::store::{Sheet, SheetPool};

/// Finds out what can be found out.
pub struct Preparer<'a> {
    pub examiner: Examiner<'a>,
    pub normalize: &'a [TextNormalization],
    pub sheets: SheetPool,
}

/// Rows that were prepared together.
pub struct PreparedBatch {
    pub rows: Vec<Result<PreparedRow, IngestError>>,
    /// Where the bytes of its images are, unless they are loose.
    pub sheet: Option<Sheet>,
}

/// A row with what is known of it.
pub enum PreparedRow {
    Image(PreparedImage),
    Text(PreparedText),
    /// It cannot be read at all.
    Bad(BadRow),
}

/// An image. A file is looked at later: an earlier caption may have named it already.
pub struct PreparedImage {
    pub row: ImageRow,
    pub key: IdKey,
    /// What it takes of memory until it is written, whatever is found.
    pub bytes: usize,
    pub examined: Option<Result<Examined, IngestError>>,
}

/// A normalized text with its lengths as the model sees it.
pub struct PreparedText {
    pub row: TextRow,
    pub key: IdKey,
    /// Of the images that it names.
    pub image_keys: Vec<IdKey>,
    pub digest: TextDigest,
    pub tokens: u32,
    pub unknown_tokens: u32,
}

impl Preparer<'_> {
    /// Looks at the rows of a batch; errors of the source stay where they are.
    pub fn prepare(&self, batch: Vec<Result<SourceRow, IngestError>>) -> PreparedBatch {
        // Images alone need none.
        let tokenizer: LazyCell<Tokenizer> = LazyCell::new(Tokenizer::default);
        let mut rows: Vec<Result<PreparedRow, IngestError>> =
            batch.into_iter().map(|row| row.map(|row| self.prepare_row(row, &tokenizer))).collect();
        let mut images: Vec<&mut PreparedImage> = rows
            .iter_mut()
            .flatten()
            .filter_map(|row| match row {
                PreparedRow::Image(image) if !matches!(image.row.content, ImageContent::File(_)) => Some(image),
                _ => None,
            })
            .collect();
        let mut image_rows: Vec<&mut ImageRow> = images.iter_mut().map(|image| &mut image.row).collect();
        let room: usize = image_rows.iter().map(|row| Examiner::room(row)).sum();
        let mut sheet = (room > 0).then(|| self.sheets.sheet(room));
        let examined = self.examiner.examine_here(&mut image_rows, sheet.as_mut());
        for (image, examined) in images.into_iter().zip(examined) {
            image.examined = Some(examined);
        }
        PreparedBatch { rows, sheet }
    }

    fn prepare_row(&self, row: SourceRow, tokenizer: &LazyCell<Tokenizer>) -> PreparedRow {
        match row {
            SourceRow::Image(row) => PreparedRow::Image(PreparedImage {
                key: id_key(&row.id),
                bytes: row.content.size(),
                row,
                examined: None,
            }),
            SourceRow::Text(mut row) => {
                row.text = normalize_text(&row.text, self.normalize);
                let (tokens, unknown) = tokenizer.count(&normalize_caption(&row.text));
                PreparedRow::Text(PreparedText {
                    key: id_key(&row.id),
                    image_keys: row.image_ids.iter().map(|id| id_key(id)).collect(),
                    digest: TextDigest::of(&row.text),
                    tokens: tokens as u32,
                    unknown_tokens: unknown as u32,
                    row,
                })
            }
            SourceRow::Bad { place, table, id, reason } => PreparedRow::Bad(BadRow { place, table, id, reason }),
        }
    }
}
