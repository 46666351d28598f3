//! The training pairs of a data set: what is paired, and what else belongs together.
use std::collections::{HashMap, HashSet};

use crate::data::Split;
use crate::ingest::Dataset;
use crate::model::normalize_caption;
use crate::stage::StageError;

/// Texts, images and pairs of the training split.
#[derive(Debug)]
pub struct TrainingPairs {
    /// Normalised captions.
    texts: Vec<String>,
    images: Vec<String>,
    /// Text and image of every pair, as positions in `texts` and `images`.
    pairs: Vec<(usize, usize)>,
    /// For every text the first one that reads the same.
    first_equal: Vec<usize>,
    /// Images of every text that is the first of its kind.
    images_of: Vec<Vec<usize>>,
    /// Texts of every image, each the first of its kind.
    texts_of: Vec<Vec<usize>>,
}

/// Items that must not be learnt from, because they leak into what is measured on.
#[derive(Debug, Clone, Default)]
pub struct DroppedItems {
    pub images: HashSet<String>,
    pub texts: HashSet<String>,
}

/// What would be a false negative in a batch.
#[derive(Debug, Default)]
pub(super) struct Taken {
    images: HashSet<usize>,
    texts: HashSet<usize>,
}

impl TrainingPairs {
    pub fn read(dataset: &Dataset, dropped: &DroppedItems) -> Result<Self, StageError> {
        let mut texts = Vec::new();
        let mut text_positions = HashMap::new();
        for text in dataset.texts(Split::Train)? {
            text_positions.insert(text.id, texts.len());
            texts.push(normalize_caption(&text.text));
        }
        let images = dataset.image_ids(Split::Train)?;
        let image_positions: HashMap<&str, usize> =
            images.iter().enumerate().map(|(position, id)| (id.as_str(), position)).collect();
        let mut pairs = Vec::new();
        for pair in dataset.pairs(Split::Train)? {
            if dropped.images.contains(&pair.image_id) || dropped.texts.contains(&pair.text_id) {
                continue;
            }
            let text = text_positions.get(&pair.text_id);
            let image = image_positions.get(pair.image_id.as_str());
            let (Some(text), Some(image)) = (text, image) else {
                let message = format!("pair {}:{} names no row", pair.text_id, pair.image_id);
                return Err(StageError::internal(message));
            };
            pairs.push((*text, *image));
        }
        Ok(Self::new(texts, images, pairs))
    }

    pub(super) fn new(texts: Vec<String>, images: Vec<String>, pairs: Vec<(usize, usize)>) -> Self {
        let mut seen = HashMap::new();
        let first_equal: Vec<usize> =
            texts.iter().enumerate().map(|(at, text)| *seen.entry(text.clone()).or_insert(at)).collect();
        let mut images_of = vec![Vec::new(); texts.len()];
        let mut texts_of = vec![Vec::new(); images.len()];
        for (text, image) in &pairs {
            let first = first_equal.get(*text).copied().unwrap_or(*text);
            images_of.get_mut(first).into_iter().for_each(|images| images.push(*image));
            texts_of.get_mut(*image).into_iter().for_each(|texts| texts.push(first));
        }
        Self { texts, images, pairs, first_equal, images_of, texts_of }
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Caption and image id of a pair.
    pub fn get(&self, pair: usize) -> Option<(&str, &str)> {
        let (text, image) = *self.pairs.get(pair)?;
        Some((self.texts.get(text)?, self.images.get(image)?))
    }

    /// The captions.
    pub(super) fn texts(&self) -> &[String] {
        &self.texts
    }

    /// `[pairs, pairs]`, 1 where the image of the row and the text of the column belong together.
    pub(super) fn positives(&self, pairs: &[usize]) -> Vec<f32> {
        let related = |image: usize, text: usize| f32::from(u8::from(self.belongs(text, image)));
        pairs.iter().flat_map(|row| pairs.iter().map(move |column| related(*row, *column))).collect()
    }

    /// Whether a pair would make a false negative beside what is taken.
    pub(super) fn conflicts(&self, pair: usize, taken: &Taken) -> bool {
        let Some((text, image)) = self.place(pair) else { return false };
        taken.images.contains(&image) || taken.texts.contains(&text)
    }

    /// Puts a pair into the batch: every image of its text and every text of its image is taken with it.
    pub(super) fn take(&self, pair: usize, taken: &mut Taken) {
        let Some((text, image)) = self.place(pair) else { return };
        taken.images.extend(self.images_of.get(text).into_iter().flatten());
        taken.texts.extend(self.texts_of.get(image).into_iter().flatten());
    }

    /// Whether the text of one pair belongs to the image of another.
    fn belongs(&self, text_of: usize, image_of: usize) -> bool {
        let (Some((text, _)), Some((_, image))) = (self.place(text_of), self.place(image_of)) else {
            return false;
        };
        self.images_of.get(text).is_some_and(|images| images.contains(&image))
    }

    /// Text (the first of its kind) and image of a pair.
    fn place(&self, pair: usize) -> Option<(usize, usize)> {
        let (text, image) = *self.pairs.get(pair)?;
        Some((*self.first_equal.get(text)?, image))
    }
}
