//! Training batches: shuffled pairs, decoded and augmented one batch ahead of the model.
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, sync_channel};

use rayon::prelude::*;

use crate::augment::{AugmentSpec, augment, item_rng, normalize};
use crate::data::Split;
use crate::ingest::{Dataset, decode};
use crate::model::{Tokenizer, normalize_caption};
use crate::stage::StageError;

/// One batch, row i of the images belonging to row i of the texts.
#[derive(Debug)]
pub struct Batch {
    /// `[size, 3, side, side]`.
    pub pixels: Vec<f32>,
    /// `[size, context_length]`.
    pub tokens: Vec<u32>,
    pub size: usize,
}

/// Makes the batches of any epoch.
#[derive(Debug)]
pub struct Loader<'a> {
    dataset: &'a Dataset,
    tokenizer: Tokenizer,
    options: LoaderOptions,
    /// Text and image of every pair, as positions in `texts` and `images`.
    pairs: Vec<(usize, usize)>,
    texts: Vec<String>,
    images: Vec<String>,
}

/// How batches are made.
#[derive(Debug, Clone)]
pub struct LoaderOptions {
    pub batch_size: usize,
    /// Side of the model's input in pixels.
    pub side: u32,
    pub context_length: usize,
    pub augment: Vec<AugmentSpec>,
    pub seed: u64,
}

impl<'a> Loader<'a> {
    /// Reads the training pairs of a data set.
    pub fn new(dataset: &'a Dataset, options: LoaderOptions) -> Result<Self, StageError> {
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
            let text = text_positions.get(&pair.text_id);
            let image = image_positions.get(pair.image_id.as_str());
            let (Some(text), Some(image)) = (text, image) else {
                let message = format!("pair {}:{} names no row", pair.text_id, pair.image_id);
                return Err(StageError::internal(message));
            };
            pairs.push((*text, *image));
        }
        Ok(Self { dataset, tokenizer: Tokenizer::default(), options, pairs, texts, images })
    }

    /// Training pairs.
    pub fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// Batches of an epoch; the last one is filled up with the first pairs, as the reference does.
    pub fn batches(&self) -> u64 {
        self.pairs.len().div_ceil(self.options.batch_size) as u64
    }

    /// Runs `consume` on every batch of an epoch while the next one is being made. An error of `consume` ends it.
    pub fn run_epoch(
        &self,
        epoch: u32,
        mut consume: impl FnMut(Batch) -> Result<(), StageError>,
    ) -> Result<(), StageError> {
        let order = self.order(epoch);
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(1);
            scope.spawn(move || {
                for pairs in order.chunks(self.options.batch_size) {
                    // The receiver is gone once a step failed; that error is the one to report.
                    if sender.send(self.batch(epoch, pairs)).is_err() {
                        return;
                    }
                }
            });
            drain(&receiver, &mut consume)
        })
    }

    /// Positions of the pairs in the order of an epoch, padded to whole batches by wrapping around.
    fn order(&self, epoch: u32) -> Vec<usize> {
        let padded = self.batches() as usize * self.options.batch_size;
        let mut order: Vec<usize> = (0..padded).map(|index| index % self.pairs.len().max(1)).collect();
        item_rng(self.options.seed, u64::from(epoch), "epoch order").shuffle(&mut order);
        order
    }

    fn batch(&self, epoch: u32, positions: &[usize]) -> Result<Batch, StageError> {
        let LoaderOptions { side, context_length, .. } = self.options;
        let image_size = 3 * side as usize * side as usize;
        let mut pixels = vec![0.0; positions.len() * image_size];
        let mut tokens = vec![0; positions.len() * context_length];
        pixels
            .par_chunks_exact_mut(image_size)
            .zip(tokens.par_chunks_exact_mut(context_length))
            .zip(positions)
            .try_for_each(|((pixels, tokens), position)| self.item(epoch, *position, pixels, tokens))?;
        Ok(Batch { pixels, tokens, size: positions.len() })
    }

    fn item(&self, epoch: u32, position: usize, pixels: &mut [f32], tokens: &mut [u32]) -> Result<(), StageError> {
        let lost = || StageError::internal(format!("pair {position} is out of range"));
        let (text, image) = self.pairs.get(position).copied().ok_or_else(lost)?;
        let id = self.images.get(image).ok_or_else(lost)?;
        let (picture, _) = decode(&self.dataset.image_bytes(id)?)?;
        let mut rng = item_rng(self.options.seed, u64::from(epoch), &format!("pair {position}"));
        let picture = augment(&picture, &self.options.augment, self.options.side, &mut rng);
        normalize(&picture, pixels);
        let text = self.texts.get(text).ok_or_else(lost)?;
        tokens.copy_from_slice(&self.tokenizer.encode(text, self.options.context_length).ids);
        Ok(())
    }
}

fn drain(
    receiver: &Receiver<Result<Batch, StageError>>,
    consume: &mut impl FnMut(Batch) -> Result<(), StageError>,
) -> Result<(), StageError> {
    for batch in receiver {
        consume(batch?)?;
    }
    Ok(())
}
