//! A batch of texts on its way into the data set, with the pairs that they make.
use std::collections::HashSet;

use arrow_array::ArrayRef;
use arrow_array::types::UInt32Type;
use rayon::prelude::*;

use super::normalize_text::{TextNormalization, normalize_text};
use super::seen::{Fate, Seen, SeenText};
use super::source::{Place, TextRow};
use super::writer::{BadRow, DatasetWriter, is_key};
use crate::data::Split;
use crate::data::table::Table;
use crate::model::{Tokenizer, normalize_caption};
use crate::stage::StageError;
use crate::store::{MAX_KEY_BYTES, StoreError, primitive_column, text_column};

/// Texts that are not worth another thread.
const FEW: usize = 64;

/// Texts that wait for their batch to be full.
#[derive(Default)]
pub struct TextBatch {
    pub rows: Vec<TextRow>,
}

/// A text that can be used.
struct Sound {
    place: Place,
    id: String,
    split: Split,
    text: String,
    tokens: u32,
    unknown_tokens: u32,
    links: Vec<Link>,
    /// Whether images were named, and all of them were left out by a condition.
    orphaned: bool,
    /// See [`TextRow::repeats`].
    repeats: bool,
}

/// An image that a text names.
enum Link {
    To(String),
    Filtered,
    Bad { id: String, reason: String },
}

impl DatasetWriter<'_> {
    pub(super) fn settle_texts(&mut self, rows: Vec<TextRow>) -> Result<(), StageError> {
        let (mut bad, mut sound) = (Vec::new(), Vec::with_capacity(rows.len()));
        let reader =
            TextReader { seen: &self.seen, normalize: &self.spec.normalize_text, tokenizer: Tokenizer::default() };
        let read = rows.into_par_iter().with_min_len(FEW).map(|row| reader.read(row));
        for row in read.collect::<Result<Vec<_>, StoreError>>()? {
            match row {
                Ok(text) => sound.push(text),
                Err(row) => bad.push(row),
            }
        }
        let matches = match &self.filters.texts {
            Some(filter) => filter.matches(columns(&sound))?,
            None => vec![true; sound.len()],
        };
        let marks: Vec<(&str, Split, &str)> =
            sound.iter().map(|text| (text.id.as_str(), text.split, text.text.as_str())).collect();
        let seen = self.seen.add_texts(&marks)?;
        let (mut kept, mut repeated) = (Vec::with_capacity(sound.len()), Vec::new());
        for ((text, matches), seen) in sound.into_iter().zip(matches).zip(seen) {
            match (seen, matches && !text.orphaned) {
                (SeenText::New, true) => kept.push(text),
                (SeenText::Same, true) if text.repeats => repeated.push(text),
                (SeenText::New | SeenText::Same, false) => self.filter(&text),
                _ => {
                    let reason = "text id repeats; the first one stands".to_owned();
                    bad.push(BadRow { place: text.place, table: "texts", id: text.id, reason });
                }
            }
        }
        self.stats.texts.rows_in += (kept.len() + repeated.len()) as u64;
        self.stats.texts.rows_out += kept.len() as u64;
        self.stats.texts.merged += repeated.len() as u64;
        for text in &kept {
            self.stats.by_split.entry(text.split).or_default()[1] += 1;
        }
        self.tables.push((Table::Texts, columns(&kept)))?;
        kept.extend(repeated);
        self.write_pairs(&kept, &mut bad)?;
        self.reject(&bad)
    }

    fn filter(&mut self, text: &Sound) {
        let pairs = text.links.len() as u64;
        for (tally, rows) in [(&mut self.stats.texts, 1), (&mut self.stats.pairs, pairs)] {
            tally.rows_in += rows;
            tally.filtered += rows;
        }
    }

    fn write_pairs(&mut self, texts: &[Sound], bad: &mut Vec<BadRow>) -> Result<(), StageError> {
        let mut pairs: Vec<(&str, &str, Split)> = Vec::new();
        for text in texts {
            let counts = self.stats.by_split.entry(text.split).or_default();
            let mut linked = HashSet::new();
            for link in &text.links {
                match link {
                    Link::To(image) if linked.insert(image) => {
                        counts[2] += 1;
                        self.stats.pairs.rows_in += 1;
                        self.stats.pairs.rows_out += 1;
                        pairs.push((&text.id, image, text.split));
                    }
                    // Two images that became one.
                    Link::To(_) => {
                        self.stats.pairs.rows_in += 1;
                        self.stats.pairs.merged += 1;
                    }
                    Link::Filtered => {
                        self.stats.pairs.rows_in += 1;
                        self.stats.pairs.filtered += 1;
                    }
                    Link::Bad { id, reason } => {
                        let (place, id, reason) = (text.place.clone(), format!("{}:{id}", text.id), reason.clone());
                        bad.push(BadRow { place, table: "pairs", id, reason });
                    }
                }
            }
        }
        let columns = vec![
            text_column(pairs.iter().map(|(text, _, _)| text)),
            text_column(pairs.iter().map(|(_, image, _)| image)),
            text_column(pairs.iter().map(|(_, _, split)| split.as_str())),
        ];
        self.tables.push((Table::Pairs, columns))
    }
}

/// Reads texts on any thread.
struct TextReader<'a> {
    seen: &'a Seen,
    normalize: &'a [TextNormalization],
    tokenizer: Tokenizer,
}

impl TextReader<'_> {
    /// A text with its split, its images and its lengths as the model sees them, or the reason why it cannot be used.
    fn read(&self, row: TextRow) -> Result<Result<Sound, BadRow>, StoreError> {
        let text = normalize_text(&row.text, self.normalize);
        let bad = |reason: String| BadRow { place: row.place.clone(), table: "texts", id: row.id.clone(), reason };
        if !is_key(&row.id) {
            return Ok(Err(bad(format!("text id must have 1 to {MAX_KEY_BYTES} bytes"))));
        }
        if text.is_empty() {
            return Ok(Err(bad("text is empty".to_owned())));
        }
        let mut split = row.split;
        let mut links = Vec::with_capacity(row.image_ids.len());
        let mut named = HashSet::new();
        for id in &row.image_ids {
            let link = match self.seen.image(id)? {
                _ if row.image_ids.len() > 1 && !named.insert(id) => {
                    Link::Bad { id: id.clone(), reason: format!("image `{id}` is named twice by this text") }
                }
                None => Link::Bad { id: id.clone(), reason: format!("image `{id}` is not in the data set") },
                Some(image) if *split.get_or_insert(image.split) != image.split => {
                    let text = split.unwrap_or(image.split);
                    let reason = format!("image `{id}` belongs to split {}, the text to {text}", image.split);
                    Link::Bad { id: id.clone(), reason }
                }
                Some(image) => match image.fate {
                    Fate::Kept => Link::To(id.clone()),
                    Fate::Filtered => Link::Filtered,
                    Fate::MergedInto(other) => Link::To(other),
                },
            };
            links.push(link);
        }
        let Some(split) = split else {
            return Ok(Err(bad("no image of this text is in the data set, so that it has no split".to_owned())));
        };
        let orphaned = !links.is_empty() && links.iter().all(|link| matches!(link, Link::Filtered));
        let (tokens, unknown) = self.tokenizer.count(&normalize_caption(&text));
        let (tokens, unknown_tokens) = (tokens as u32, unknown as u32);
        let TextRow { place, id, repeats, .. } = row;
        Ok(Ok(Sound { place, id, split, text, tokens, unknown_tokens, links, orphaned, repeats }))
    }
}

/// Columns of `texts` in schema order.
fn columns(texts: &[Sound]) -> Vec<ArrayRef> {
    vec![
        text_column(texts.iter().map(|text| &text.id)),
        text_column(texts.iter().map(|text| text.split.as_str())),
        text_column(texts.iter().map(|text| &text.text)),
        primitive_column::<UInt32Type>(texts.iter().map(|text| text.tokens)),
        primitive_column::<UInt32Type>(texts.iter().map(|text| text.unknown_tokens)),
    ]
}
