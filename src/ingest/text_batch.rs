//! A batch of texts on its way into the data set, with the pairs that they make.
use std::collections::HashSet;

use arrow_array::ArrayRef;
use arrow_array::types::UInt32Type;

use super::prepare::PreparedText;
use super::seen::{Fate, IdKey, Seen, SeenText, TextDigest, id_key};
use super::source::{Place, TextRow};
use super::writer::{BadRow, DatasetWriter, is_key};
use crate::data::Split;
use crate::data::table::Table;
use crate::stage::StageError;
use crate::store::{MAX_KEY_BYTES, primitive_column, text_column};

/// A text that can be used.
struct Sound {
    place: Place,
    id: String,
    key: IdKey,
    digest: TextDigest,
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
    To(String, IdKey),
    Filtered,
    Bad { id: String, reason: String },
}

impl DatasetWriter<'_> {
    pub(super) fn settle_texts(&mut self, rows: Vec<PreparedText>) -> Result<(), StageError> {
        let (mut bad, mut sound) = (Vec::new(), Vec::with_capacity(rows.len()));
        for row in rows {
            match link(row, &self.seen) {
                Ok(text) => sound.push(text),
                Err(row) => bad.push(row),
            }
        }
        let matches = match &self.filters.texts {
            Some(filter) => filter.matches(columns(&sound))?,
            None => vec![true; sound.len()],
        };
        let (mut kept, mut repeated) = (Vec::with_capacity(sound.len()), Vec::new());
        for (text, matches) in sound.into_iter().zip(matches) {
            let stays = matches && !text.orphaned;
            // Of other formats a text has one row.
            let is_left_out = text.repeats && !stays;
            match (self.seen.add_text(text.key, text.split, text.digest, is_left_out), stays) {
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
                    Link::To(image, key) if text.links.len() == 1 || linked.insert(key) => {
                        self.seen.add_pair(text.key, *key);
                        counts[2] += 1;
                        self.stats.pairs.rows_in += 1;
                        self.stats.pairs.rows_out += 1;
                        pairs.push((&text.id, image, text.split));
                    }
                    // Two images that became one.
                    Link::To(..) => {
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

/// A text with its split and its images, or the reason why it cannot be used.
fn link(text: PreparedText, seen: &Seen) -> Result<Sound, BadRow> {
    let PreparedText { row, key, image_keys, digest, tokens, unknown_tokens } = text;
    let TextRow { place, id, mut split, text, image_ids, repeats } = row;
    let bad = |reason: String| BadRow { place: place.clone(), table: "texts", id: id.clone(), reason };
    if !is_key(&id) {
        return Err(bad(format!("text id must have 1 to {MAX_KEY_BYTES} bytes")));
    }
    if text.is_empty() {
        return Err(bad("text is empty".to_owned()));
    }
    let mut links = Vec::with_capacity(image_ids.len());
    let mut named = HashSet::new();
    let several = image_ids.len() > 1;
    for (id, key) in image_ids.into_iter().zip(image_keys) {
        let link = match seen.image(key) {
            _ if several && !named.insert(key) => {
                Link::Bad { reason: format!("image `{id}` is named twice by this text"), id }
            }
            None => Link::Bad { reason: format!("image `{id}` is not in the data set"), id },
            Some(image) if *split.get_or_insert(image.split) != image.split => {
                let text = split.unwrap_or(image.split);
                Link::Bad { reason: format!("image `{id}` belongs to split {}, the text to {text}", image.split), id }
            }
            Some(image) => match image.fate {
                Fate::Kept => Link::To(id, key),
                Fate::Filtered => Link::Filtered,
                Fate::MergedInto(other) => {
                    let key = id_key(&other);
                    Link::To(other, key)
                }
            },
        };
        links.push(link);
    }
    let Some(split) = split else {
        return Err(bad("no image of this text is in the data set, so that it has no split".to_owned()));
    };
    let orphaned = !links.is_empty() && links.iter().all(|link| matches!(link, Link::Filtered));
    Ok(Sound { place, id, key, digest, split, text, tokens, unknown_tokens, links, orphaned, repeats })
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
