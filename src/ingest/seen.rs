//! Which ids were seen and what became of them: 40 to 75 bytes an item in memory, whatever its id. Where equal images become one,
//! ids and digests besides.
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use crate::data::{KeyHashing, Split, short_hash};

/// What an id is known by: half of its hash.
pub type IdKey = u128;

/// What became of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenImage {
    pub split: Split,
    pub fate: Fate,
    /// The beginning of the digest of its bytes.
    pub digest: [u8; 8],
}

/// Whether an image is in the data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Kept,
    Filtered,
    /// Another image has the same bytes and stands for it.
    MergedInto(String),
}

/// What a text is to the rows before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenText {
    New,
    /// Its id was there, with the same text and split.
    Same,
    /// Its id was there, with another text or split.
    Different,
}

/// Ids, what became of them, and how often pairs name them.
#[derive(Debug, Default)]
pub struct Seen {
    images: HashMap<IdKey, Mark, KeyHashing>,
    texts: HashMap<IdKey, Mark, KeyHashing>,
    /// The image that stands for one that was merged.
    merged: HashMap<IdKey, String, KeyHashing>,
    /// The first image with some bytes.
    first: HashMap<(Split, [u8; 32]), String>,
}

/// What is kept of an item.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// The beginning of the digest of what it holds.
    digest: [u8; 8],
    /// Pairs that name it.
    pairs: u32,
    split: Split,
    left_out: LeftOut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LeftOut {
    No,
    Filtered,
    Merged,
}

/// The beginning of the digest of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextDigest([u8; 8]);

impl TextDigest {
    pub fn of(text: &str) -> Self {
        Self((short_hash(text.as_bytes()) as u64).to_le_bytes())
    }
}

/// The key of an id.
pub fn id_key(id: &str) -> IdKey {
    short_hash(id.as_bytes())
}

impl Seen {
    /// What became of an image, or `None` if it was not seen.
    pub fn image(&self, key: IdKey) -> Option<SeenImage> {
        let Mark { digest, split, left_out, .. } = *self.images.get(&key)?;
        let fate = match left_out {
            LeftOut::No => Fate::Kept,
            LeftOut::Filtered => Fate::Filtered,
            LeftOut::Merged => Fate::MergedInto(self.merged.get(&key).cloned().unwrap_or_default()),
        };
        Some(SeenImage { split, fate, digest })
    }

    /// Notes an image unless its id was seen; says whether it is new.
    pub fn add_image(&mut self, key: IdKey, image: SeenImage) -> bool {
        let Entry::Vacant(entry) = self.images.entry(key) else { return false };
        let left_out = match image.fate {
            Fate::Kept => LeftOut::No,
            Fate::Filtered => LeftOut::Filtered,
            Fate::MergedInto(other) => {
                self.merged.insert(key, other);
                LeftOut::Merged
            }
        };
        entry.insert(Mark { digest: image.digest, pairs: 0, split: image.split, left_out });
        true
    }

    /// Notes a text unless its id was seen; says what it is to the rows before it. A text that was left out is as good as new
    /// where a row for another of its images is not.
    pub fn add_text(&mut self, key: IdKey, split: Split, digest: TextDigest, is_left_out: bool) -> SeenText {
        let TextDigest(digest) = digest;
        let left_out = if is_left_out { LeftOut::Filtered } else { LeftOut::No };
        match self.texts.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(Mark { digest, pairs: 0, split, left_out });
                SeenText::New
            }
            Entry::Occupied(mut entry) if entry.get().digest == digest && entry.get().split == split => {
                let mark = entry.get_mut();
                if mark.left_out == LeftOut::No || is_left_out {
                    return SeenText::Same;
                }
                mark.left_out = LeftOut::No;
                SeenText::New
            }
            Entry::Occupied(_) => SeenText::Different,
        }
    }

    /// Counts a pair of a text and an image that were seen.
    pub fn add_pair(&mut self, text: IdKey, image: IdKey) {
        for mark in [self.texts.get_mut(&text), self.images.get_mut(&image)].into_iter().flatten() {
            mark.pairs += 1;
        }
    }

    /// The id of the first image of the split with these bytes: `id` itself if there was none before.
    pub fn first_with(&mut self, split: Split, digest: &[u8; 32], id: &str) -> String {
        self.first.entry((split, *digest)).or_insert_with(|| id.to_owned()).clone()
    }

    /// How many of `images` have how many texts.
    pub fn texts_per_image(&self, images: u64) -> BTreeMap<u64, u64> {
        histogram(self.images.values(), images)
    }

    /// How many of `texts` have how many images.
    pub fn images_per_text(&self, texts: u64) -> BTreeMap<u64, u64> {
        histogram(self.texts.values(), texts)
    }
}

fn histogram<'a>(marks: impl Iterator<Item = &'a Mark>, items: u64) -> BTreeMap<u64, u64> {
    let mut histogram = BTreeMap::new();
    for mark in marks.filter(|mark| mark.pairs > 0) {
        *histogram.entry(u64::from(mark.pairs)).or_default() += 1;
    }
    let without = items.saturating_sub(histogram.values().sum());
    if without > 0 {
        histogram.insert(0, without);
    }
    histogram
}
