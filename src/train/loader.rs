//! Training batches: pairs in the order of the epoch, decoded and augmented one batch ahead of the model.
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::pairs::{DroppedItems, TrainingPairs};
use super::{PositivesRule, SamplerRule, TrainError, sampler};
use crate::augment::{AugmentSpec, item_rng, normalize, squash, training_picture, training_pixels};
use crate::ingest::Dataset;
use crate::model::Tokenizer;
use crate::stage::StageError;

/// One batch, row i of the images belonging to row i of the texts.
#[derive(Debug)]
pub struct Batch {
    /// `[size, 3, side, side]`.
    pub pixels: Vec<f32>,
    /// The same pictures as a teacher takes them.
    pub teacher_pixels: Option<Vec<f32>>,
    /// `[size, context_length]`.
    pub tokens: Vec<u32>,
    pub size: usize,
    /// See [`crate::model::TrainingBatch::positives`].
    pub positives: Option<Vec<f32>>,
}

/// Makes the batches of any epoch.
#[derive(Debug)]
pub struct Loader<'a> {
    dataset: &'a Dataset,
    tokenizer: Tokenizer,
    options: LoaderOptions,
    pairs: TrainingPairs,
}

/// Whether another batch is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    More,
    Enough,
}

/// How batches are made.
#[derive(Debug, Clone)]
pub struct LoaderOptions {
    pub batch_size: usize,
    /// Side of the model's input in pixels.
    pub side: u32,
    /// Side of the teacher's input.
    pub teacher_side: Option<u32>,
    pub context_length: usize,
    pub augment: Vec<AugmentSpec>,
    pub positives: PositivesRule,
    pub sampler: SamplerRule,
    pub dropped: DroppedItems,
    pub seed: u64,
}

impl<'a> Loader<'a> {
    /// Reads the training pairs of a data set; `data` is its name in messages.
    pub fn new(dataset: &'a Dataset, data: &str, options: LoaderOptions) -> Result<Self, StageError> {
        let pairs = TrainingPairs::read(dataset, &options.dropped)?;
        let data = data.to_owned();
        match pairs.len() {
            0 => Err(TrainError::NoPairs { data }.into()),
            pairs if pairs < options.batch_size => {
                Err(TrainError::BatchTooLarge { batch_size: options.batch_size, data, pairs }.into())
            }
            _ => Ok(Self { dataset, tokenizer: Tokenizer::default(), options, pairs }),
        }
    }

    pub fn pairs(&self) -> &TrainingPairs {
        &self.pairs
    }

    /// Tokens of a text.
    pub fn context_length(&self) -> usize {
        self.options.context_length
    }

    /// Batches of an epoch; the last one is filled up with the first pairs, as the reference does.
    pub fn batches(&self) -> u64 {
        self.pairs.len().div_ceil(self.options.batch_size) as u64
    }

    /// Positions of the pairs in the order of an epoch.
    pub fn order(&self, epoch: u32) -> Vec<usize> {
        sampler::order(&self.pairs, self.options.batch_size, self.options.sampler, self.options.seed, epoch)
    }

    /// Runs `consume` on every batch of an epoch but the first `skip`, while the next one is being made, and tells it how
    /// long it waited. It ends when `consume` fails or has enough.
    pub fn run_epoch(
        &self,
        epoch: u32,
        skip: u64,
        mut consume: impl FnMut(Batch, Duration) -> Result<Demand, StageError>,
    ) -> Result<(), StageError> {
        let order = self.order(epoch);
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(1);
            scope.spawn(move || {
                for pairs in order.chunks(self.options.batch_size).skip(skip as usize) {
                    // The receiver is gone once a step failed; that error is the one to report.
                    if sender.send(self.batch(epoch, pairs)).is_err() {
                        return;
                    }
                }
            });
            // The receiver goes before the maker is waited for, so that it does not wait in turn.
            let drained = drain(&receiver, &mut consume);
            drop(receiver);
            drained
        })
    }

    /// The batch of some pairs in an epoch.
    pub fn batch(&self, epoch: u32, pairs: &[usize]) -> Result<Batch, StageError> {
        let LoaderOptions { side, context_length, positives, .. } = self.options;
        let area = |side: u32| 3 * side as usize * side as usize;
        let mut pixels = vec![0.0; pairs.len() * area(side)];
        let mut tokens = vec![0; pairs.len() * context_length];
        // Without a teacher no picture has room there.
        let teacher_area = self.options.teacher_side.map_or(0, area);
        let mut teacher_pixels = vec![0.0; pairs.len() * teacher_area];
        let teacher_rows: Vec<&mut [f32]> = match teacher_area {
            0 => pairs.iter().map(|_| Default::default()).collect(),
            area => teacher_pixels.chunks_exact_mut(area).collect(),
        };
        pixels
            .par_chunks_exact_mut(area(side))
            .zip(tokens.par_chunks_exact_mut(context_length))
            .zip(teacher_rows)
            .zip(pairs)
            .try_for_each(|(((pixels, tokens), teacher), pair)| self.item(epoch, *pair, pixels, tokens, teacher))?;
        Ok(Batch {
            pixels,
            teacher_pixels: self.options.teacher_side.map(|_| teacher_pixels),
            tokens,
            size: pairs.len(),
            positives: (positives == PositivesRule::Shared).then(|| self.pairs.positives(pairs)),
        })
    }

    fn item(
        &self,
        epoch: u32,
        pair: usize,
        pixels: &mut [f32],
        tokens: &mut [u32],
        teacher: &mut [f32],
    ) -> Result<(), StageError> {
        let lost = || StageError::internal(format!("pair {pair} is out of range"));
        let (text, id) = self.pairs.get(pair).ok_or_else(lost)?;
        let LoaderOptions { side, augment, teacher_side, .. } = &self.options;
        let bytes = self.dataset.image_bytes(id)?;
        let mut rng = item_rng(self.options.seed, u64::from(epoch), &format!("pair {pair}"));
        match teacher_side {
            None => training_pixels(&bytes, augment, *side, &mut rng, pixels)?,
            Some(teacher_side) => {
                let picture = training_picture(&bytes, augment, *side, &mut rng)?;
                normalize(&picture, pixels);
                normalize(&squash(&picture, *teacher_side), teacher);
            }
        }
        tokens.copy_from_slice(&self.tokenizer.encode(text, self.options.context_length).ids);
        Ok(())
    }
}

fn drain(
    receiver: &Receiver<Result<Batch, StageError>>,
    consume: &mut impl FnMut(Batch, Duration) -> Result<Demand, StageError>,
) -> Result<(), StageError> {
    let mut began = Instant::now();
    for batch in receiver {
        if consume(batch?, began.elapsed())? == Demand::Enough {
            break;
        }
        began = Instant::now();
    }
    Ok(())
}
