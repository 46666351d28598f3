//! One step of optimisation: forward, loss, gradients, AdamW; in parts, over several devices, with what a recipe asks for.

mod adamw;
mod average;
mod gradients;
mod head;
mod loss_scale;
mod low_rank;
mod options;
mod replica;
mod state;
mod tower;
mod work;

use burn::module::Module;

use adamw::AdamW;
use average::Average;
use gradients::GradientMap;
use head::{HeadInput, contrast};
use low_rank::LowRank;
use replica::{Part, Replica};

use super::clip::ClipModel;
use super::config::ClipConfig;
use super::device::ComputeDevice;
use super::encoder::Encoder;
use super::error::ModelError;
use super::guard::guarded;
use super::parameters::{self, StateDict};

pub use adamw::{AdamWConfig, DecayRule};
pub use loss_scale::LossScale;
pub use low_rank::{LowRankConfig, LowRankTarget};
pub use options::{GatherGradient, Tower, TrainerOptions, TrainingBatch};

/// A model in training with the state of its optimiser.
#[derive(Debug)]
pub struct Trainer {
    /// The first holds the weights of record, the others copies of them.
    replicas: Vec<Replica>,
    config: ClipConfig,
    options: TrainerOptions,
    optimizer: AdamW,
    loss_scale: LossScale,
    low_rank: Option<LowRank>,
    average: Option<Average>,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepOutcome {
    /// Of the contrast, and of the distillation if there is one.
    pub loss: f64,
    /// Euclidean norm over all gradients, before clipping.
    pub gradient_norm: f64,
    /// Logarithm of the logit factor after the update.
    pub logit_scale: f64,
    /// Factor of the loss in fp16 after the step, else 1.
    pub loss_scale: f64,
    /// False when loss or gradients were not finite and the update was left out.
    pub applied: bool,
}

impl Trainer {
    /// Builds the model from `state` on every one of `devices`; the first does the update.
    pub fn new(
        config: &ClipConfig,
        state: StateDict,
        devices: &[ComputeDevice],
        options: TrainerOptions,
    ) -> Result<Self, ModelError> {
        let mut config = config.clone();
        if let Some(dropout) = options.dropout {
            (config.text.hidden_dropout, config.text.attention_dropout) = (dropout, dropout);
        }
        let state = config.fit(state)?;
        let build = |device: &ComputeDevice| Replica::new(&config, state.clone(), device);
        let replicas = devices.iter().map(build).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = replicas.first() else {
            return Err(ModelError::Device { reason: "no device was given".to_owned() });
        };
        let low_rank = options.low_rank.as_ref().map(|low_rank| LowRank::new(low_rank, first)).transpose()?;
        let average = match options.average_decay {
            Some(decay) => Some(Average::new(decay, first.model()?)),
            None => None,
        };
        Ok(Self {
            optimizer: AdamW::new(options.adamw, options.decay_rule),
            loss_scale: LossScale::new(options.precision),
            low_rank,
            average,
            replicas,
            config,
            options,
        })
    }

    /// One step on a batch. Parts, checkpointing and the number of devices change memory and speed, not the result (but
    /// for what dropout draws, and for batch norms, which see one part at a time).
    pub fn step(&mut self, batch: TrainingBatch<'_>, learning_rate: f64) -> Result<StepOutcome, ModelError> {
        guarded(|| self.step_unguarded(batch, learning_rate))
    }

    fn step_unguarded(&mut self, batch: TrainingBatch<'_>, learning_rate: f64) -> Result<StepOutcome, ModelError> {
        let (loss, mut gradients) = self.gradients(batch)?;
        gradients.retain(|key| self.options.trains(key, self.low_rank.is_some()));
        let low_rank = self.low_rank.as_ref();
        if let Some(low_rank) = low_rank {
            gradients = low_rank.project(gradients);
        }
        let mut factor = 1.0 / self.loss_scale.factor();
        let gradient_norm = gradients.norm()? * factor;
        let applied = self.loss_scale.accept(loss, gradient_norm);
        if applied {
            if let Some(limit) = self.options.clip_gradient_norm {
                // As torch's `clip_grad_norm_`.
                factor *= (limit / (gradient_norm + 1e-6)).min(1.0);
            }
            self.update(gradients, learning_rate, factor)?;
        }
        let logit_scale = gradients::scalar(self.model()?.logit_scale())?;
        let loss_scale = self.loss_scale.factor();
        Ok(StepOutcome { loss, gradient_norm, logit_scale, loss_scale, applied })
    }

    /// The weights to be measured and kept, as an encoder: the average if one is kept.
    pub fn encoder(&self) -> Result<Encoder, ModelError> {
        let device = &self.first()?.device;
        match &self.average {
            Some(_) => Encoder::new(&self.config, self.averaged_state()?, device, super::Precision::Fp32),
            None => Encoder::from_model(self.model()?.clone().valid(), &self.config, device),
        }
    }

    /// The current weights, low-rank changes added in.
    pub fn state_dict(&self) -> Result<StateDict, ModelError> {
        parameters::state_dict(&self.model()?.clone().valid())
    }

    /// The weights to be measured and kept: the average if one is kept, else the current ones.
    pub fn averaged_state(&self) -> Result<StateDict, ModelError> {
        let state = self.state_dict()?;
        match &self.average {
            Some(average) => average.replace(state),
            None => Ok(state),
        }
    }

    /// Loss, and the gradients of the scaled loss on the first device.
    fn gradients(&self, batch: TrainingBatch<'_>) -> Result<(f64, GradientMap), ModelError> {
        let parts = self.parts(&batch);
        let runs = replica::forward(&self.replicas, parts, &self.options)?;
        let features = runs.iter().map(replica::PartRun::features);
        let input = HeadInput::gather(features, self.first()?, &batch, &self.options);
        let head = contrast(input, self.model()?.logit_scale(), self.loss_scale.factor())?;
        let mut gradients = replica::backward(&self.replicas, runs, &head, &self.options)?;
        gradients.insert("logit_scale".to_owned(), head.by_scale);
        Ok((head.loss, gradients))
    }

    /// The batch cut into parts, one replica after the other taking its share.
    fn parts(&self, batch: &TrainingBatch<'_>) -> Vec<Part> {
        let shares = self.replicas.len() * self.options.parts.max(1);
        let rows = batch.size.div_ceil(shares).max(1);
        let image = batch.pixels.len() / batch.size.max(1);
        let length = batch.tokens.len() / batch.size.max(1);
        let count = batch.size.div_ceil(rows);
        let per_replica = count.div_ceil(self.replicas.len());
        let part = |index: usize| {
            let (from, to) = (index * rows, ((index + 1) * rows).min(batch.size));
            Part::new(
                batch.pixels.get(from * image..to * image).unwrap_or_default(),
                batch.tokens.get(from * length..to * length).unwrap_or_default(),
                to - from,
                index / per_replica,
                // Each part draws for itself.
                batch.seed.wrapping_add((index as u64) << 32),
            )
        };
        (0..count).map(part).collect()
    }

    fn update(&mut self, gradients: GradientMap, learning_rate: f64, factor: f64) -> Result<(), ModelError> {
        let Some((first, others)) = self.replicas.split_first_mut() else { return Ok(()) };
        self.optimizer.begin_step();
        match &mut self.low_rank {
            Some(low_rank) => low_rank.update(&mut self.optimizer, first, gradients, learning_rate, factor)?,
            None => adamw::update(&mut self.optimizer, first, gradients, learning_rate, factor)?,
        }
        for other in others {
            other.copy_from(first)?;
        }
        if let Some(average) = &mut self.average {
            average.update(first.model()?);
        }
        Ok(())
    }

    fn first(&self) -> Result<&Replica, ModelError> {
        self.replicas.first().ok_or_else(|| ModelError::Device { reason: "no device was given".to_owned() })
    }

    fn model(&self) -> Result<&ClipModel, ModelError> {
        self.first()?.model()
    }
}
