//! `kind: finetune`: one stage of contrastive training, resumable at the end of every epoch.
use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::json;

use super::base_model::checkpoint_receipt;
use super::loader::{Batch, Loader, LoaderOptions};
use super::log::{LOG_FILE, LogLine, LogText};
use super::resume::{ResumeState, TrainProgress};
use super::schedule::learning_rate;
use super::{FinetuneSpec, Keep, TrainError, ValidationPool, ValidationScores};
use crate::augment::AugmentSpec;
use crate::ingest::Dataset;
use crate::model::{AdamWConfig, Checkpoint, ClipConfig, StateDict, Step, write_safetensors};
use crate::stage::{Progress, Shard, ShardReceipt, Stage, StageContext, StageError};
use crate::store::write_whole;

const LAST_FILE: &str = "last.safetensors";

/// Fine-tunes the checkpoint of another stage.
#[derive(Debug, Clone)]
pub struct Finetune {
    pub spec: FinetuneSpec,
    pub seed: u64,
}

impl Stage for Finetune {
    fn run_shard(&self, context: &StageContext<'_>, shard: &Shard) -> Result<ShardReceipt, StageError> {
        let start = Checkpoint::open(&context.input(&self.spec.needs.model)?.sealed.folder)?;
        let dataset = Dataset::open(&context.input(&self.spec.needs.data)?.sealed.folder)?;
        let mut run = Run::new(self, context, &start.config, &dataset, start.state)?;
        run.train()?;
        run.finish(shard, start.config)
    }
}

/// A training run under way.
struct Run<'a> {
    spec: &'a FinetuneSpec,
    seed: u64,
    context: &'a StageContext<'a>,
    loader: Loader<'a>,
    validation: Option<ValidationPool<'a>>,
    step: Step,
    best: StateDict,
    progress: TrainProgress,
    log: LogText,
}

impl<'a> Run<'a> {
    fn new(
        stage: &'a Finetune,
        context: &'a StageContext<'a>,
        config: &ClipConfig,
        dataset: &'a Dataset,
        start: StateDict,
    ) -> Result<Self, StageError> {
        let spec = &stage.spec;
        let side = config.vision.image_resolution() as u32;
        check_crop_size(&spec.augment, side)?;
        let loader = Loader::new(
            dataset,
            LoaderOptions {
                batch_size: spec.batch_size,
                side,
                context_length: config.context_length,
                augment: spec.augment.clone(),
                seed: stage.seed,
            },
        )?;
        let data = spec.needs.data.clone();
        match loader.pairs() {
            0 => return Err(TrainError::NoPairs { data }.into()),
            pairs if pairs < spec.batch_size => {
                return Err(TrainError::BatchTooLarge { batch_size: spec.batch_size, data, pairs }.into());
            }
            _ => {}
        }
        let adamw = AdamWConfig {
            beta1: spec.beta1,
            beta2: spec.beta2,
            epsilon: spec.epsilon,
            weight_decay: spec.weight_decay,
        };
        let validation = ValidationPool::new(dataset, config)?;
        let saved = ResumeState::load(context.scratch)?;
        let build = |state| Step::new(config, state, context.device, adamw, spec.precision);
        let mut run = match saved {
            None => Self {
                spec,
                seed: stage.seed,
                context,
                loader,
                validation,
                best: start.clone(),
                step: build(start)?,
                progress: TrainProgress::default(),
                log: LogText::default(),
            },
            Some(saved) => {
                context.note(&format!("continues after epoch {}", saved.progress.epochs));
                let mut step = build(saved.weights)?;
                step.load_optimizer_state(saved.optimizer)?;
                Self {
                    spec,
                    seed: stage.seed,
                    context,
                    loader,
                    validation,
                    best: saved.best,
                    step,
                    progress: saved.progress,
                    log: saved.log,
                }
            }
        };
        run.warn();
        Ok(run)
    }

    fn total_steps(&self) -> u64 {
        self.loader.batches() * u64::from(self.spec.epochs)
    }

    fn warn(&mut self) {
        let total = self.total_steps();
        if self.spec.warmup_steps >= total {
            self.context.warn(&format!(
                "warmup_steps ({}) is not below the {total} steps of the run: the learning rate never reaches its peak",
                self.spec.warmup_steps
            ));
        }
        if self.validation.is_none() {
            self.context.warn("the data set has no validation pairs: the last epoch is kept");
        }
    }

    fn train(&mut self) -> Result<(), StageError> {
        let progress = self.context.monitor.begin(self.context.stage, Some(self.total_steps()), "steps");
        progress.advance(self.progress.steps);
        if self.progress.epochs == 0 && self.log.0.is_empty() {
            let validation = self.validate()?;
            self.progress.best_recall = validation.map(|scores| scores.mean_recall());
            self.log.push(&LogLine::Epoch { epoch: 0, step: 0, loss: None, validation })?;
        }
        for epoch in self.progress.epochs + 1..=self.spec.epochs {
            let started = Instant::now();
            let loss = self.train_epoch(epoch, progress.as_ref())?;
            let validation = self.validate()?;
            self.end_epoch(epoch, loss, validation, started)?;
        }
        Ok(())
    }

    /// Mean loss of the epoch.
    fn train_epoch(&mut self, epoch: u32, progress: &dyn Progress) -> Result<f64, StageError> {
        let Self { spec, seed, context, loader, step, progress: counters, log, .. } = self;
        let total = loader.batches() * u64::from(spec.epochs);
        let mut losses = 0.0;
        loader.run_epoch(epoch, |batch: Batch| {
            context.monitor.check_stop()?;
            let rate = learning_rate(counters.steps, spec.learning_rate, spec.warmup_steps, total);
            context.device.seed(dropout_seed(*seed, counters.steps));
            let outcome = step.step(batch.pixels, &batch.tokens, batch.size, rate)?;
            counters.steps += 1;
            if !outcome.loss.is_finite() {
                let scratch = context.scratch.display().to_string();
                let (loss, step) = (outcome.loss, counters.steps);
                return Err(TrainError::NotFinite { loss, epoch, step, scratch }.into());
            }
            losses += outcome.loss;
            log.push(&LogLine::Step {
                epoch,
                step: counters.steps,
                loss: outcome.loss,
                learning_rate: rate,
                logit_scale: outcome.logit_scale,
                gradient_norm: outcome.gradient_norm,
                applied: outcome.applied,
            })?;
            progress.advance(1);
            progress.remark(&format!("epoch {epoch}/{}  loss {:.3}  lr {rate:.1e}", spec.epochs, outcome.loss));
            Ok(())
        })?;
        Ok(losses / loader.batches() as f64)
    }

    fn validate(&self) -> Result<Option<ValidationScores>, StageError> {
        let Some(pool) = &self.validation else {
            return Ok(None);
        };
        Ok(Some(pool.score(&self.step.encoder()?, self.context.device)?))
    }

    fn end_epoch(
        &mut self,
        epoch: u32,
        loss: f64,
        validation: Option<ValidationScores>,
        started: Instant,
    ) -> Result<(), StageError> {
        self.progress.epochs = epoch;
        let step = self.progress.steps;
        self.log.push(&LogLine::Epoch { epoch, step, loss: Some(loss), validation })?;
        let recall = validation.map(|scores| scores.mean_recall());
        let weights = self.step.state_dict()?;
        if recall.is_none() || self.progress.best_epoch == 0 || recall > self.progress.best_recall {
            self.best = weights.clone();
            self.progress.best_epoch = epoch;
            self.progress.best_recall = recall;
        }
        let seen = self.loader.batches() * self.spec.batch_size as u64;
        let speed = seen as f64 / started.elapsed().as_secs_f64().max(1e-9);
        let recall = recall.map_or("none".to_owned(), |recall| format!("{:.1} %", 100.0 * recall));
        self.context.note(&format!(
            "epoch {epoch}/{}  loss {loss:.3}  validation mean recall {recall}  {speed:.0} pairs/s",
            self.spec.epochs
        ));
        let state = ResumeState {
            progress: self.progress.clone(),
            weights,
            optimizer: self.step.optimizer_state()?,
            best: std::mem::take(&mut self.best),
            log: std::mem::take(&mut self.log),
        };
        state.save(self.context.scratch)?;
        (self.best, self.log) = (state.best, state.log);
        Ok(())
    }

    fn finish(self, shard: &Shard, config: ClipConfig) -> Result<ShardReceipt, StageError> {
        let out = self.context.out;
        let last = self.step.state_dict()?;
        write_safetensors(&out.join(LAST_FILE), &last)?;
        let state = match self.spec.keep {
            Keep::Best => self.best,
            Keep::Last => last,
        };
        Checkpoint { config, state }.save(out)?;
        let log = out.join(LOG_FILE);
        write_whole(&log, self.log.0.as_bytes())?;
        let stats = BTreeMap::from([
            ("epochs".to_owned(), json!(self.progress.epochs)),
            ("steps".to_owned(), json!(self.progress.steps)),
            ("pairs".to_owned(), json!(self.loader.pairs())),
            ("best_epoch".to_owned(), json!(self.progress.best_epoch)),
            ("best_mean_recall".to_owned(), json!(self.progress.best_recall)),
        ]);
        Ok(checkpoint_receipt(shard, stats, &[LAST_FILE, LOG_FILE]))
    }
}

/// Dropout depends on seed and step alone, so that a resumed run draws what an uninterrupted one draws.
fn dropout_seed(seed: u64, step: u64) -> u64 {
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(step)
}

fn check_crop_size(steps: &[AugmentSpec], side: u32) -> Result<(), TrainError> {
    for step in steps {
        if let AugmentSpec::RandomResizedCrop(crop) = step
            && let Some(found) = crop.size.filter(|size| *size != side)
        {
            return Err(TrainError::CropSize { expected: side, found });
        }
    }
    Ok(())
}
