//! A training run under way: epochs of steps, validations and saved states, from any point to the end.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::loader::{Batch, Demand, Loader};
use super::log::{LogLine, LogText};
use super::resume::{ResumeState, TrainProgress};
use super::schedule::learning_rate;
use super::timing::TimingLog;
use super::{FinetuneSpec, TrainError, ValidationPool, ValidationScores};
use crate::model::{Encoder, Precision, StateDict, StepOutcome, Trainer, TrainingBatch};
use crate::stage::{Progress, StageContext, StageError};

/// A loss scale below this means that fp16 overflows whatever the scale.
const LEAST_LOSS_SCALE: f64 = 1e-5;

/// See [`Run::train`].
pub(super) struct Run<'a> {
    spec: &'a FinetuneSpec,
    seed: u64,
    context: &'a StageContext<'a>,
    loader: &'a Loader<'a>,
    validation: Option<ValidationPool<'a>>,
    teacher: Option<&'a Encoder>,
    trainer: Trainer,
    best: StateDict,
    progress: TrainProgress,
    log: LogText,
    timing: TimingLog,
    /// Steps at the newest saved state.
    saved_steps: Option<u64>,
    /// The newest validation and its step.
    validated: Option<(u64, ValidationScores)>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        spec: &'a FinetuneSpec,
        seed: u64,
        context: &'a StageContext<'a>,
        loader: &'a Loader<'a>,
        validation: Option<ValidationPool<'a>>,
        teacher: Option<&'a Encoder>,
        trainer: Trainer,
    ) -> Self {
        Self {
            spec,
            seed,
            context,
            loader,
            validation,
            teacher,
            trainer,
            best: StateDict::new(),
            progress: TrainProgress::default(),
            log: LogText::default(),
            timing: TimingLog::new(context.scratch),
            saved_steps: None,
            validated: None,
        }
    }

    /// The weights that are kept until the first validation.
    pub(super) fn start_from(&mut self, state: &StateDict) {
        self.best = state.clone();
    }

    /// Goes on where a killed run saved.
    pub(super) fn resume(&mut self, saved: ResumeState) -> Result<(), StageError> {
        self.trainer.restore(saved.weights, &saved.optimizer)?;
        self.saved_steps = Some(saved.progress.steps);
        (self.best, self.progress, self.log) = (saved.best, saved.progress, saved.log);
        Ok(())
    }

    pub(super) fn loader(&self) -> &Loader<'a> {
        self.loader
    }

    pub(super) fn has_validation(&self) -> bool {
        self.validation.is_some()
    }

    pub(super) fn trainer(&self) -> &Trainer {
        &self.trainer
    }

    pub(super) fn best(&self) -> &StateDict {
        &self.best
    }

    pub(super) fn into_log(self) -> String {
        self.log.0
    }

    /// Steps of the whole run.
    pub(super) fn total_steps(&self) -> u64 {
        self.spec.max_steps.unwrap_or(self.loader.batches() * u64::from(self.spec.epochs))
    }

    /// Counts for the manifest.
    pub(super) fn stats(&self) -> BTreeMap<String, Value> {
        let TrainProgress { epochs, steps, best_step, best_recall, stopped_early, .. } = self.progress;
        BTreeMap::from([
            ("epochs".to_owned(), json!(epochs)),
            ("steps".to_owned(), json!(steps)),
            ("pairs".to_owned(), json!(self.loader.pairs().len())),
            ("best_step".to_owned(), json!(best_step)),
            ("best_mean_recall".to_owned(), json!(best_recall)),
            ("stopped_early".to_owned(), json!(stopped_early)),
        ])
    }

    /// Trains to the end. Stopped or failed, it leaves its state behind, so that the same command goes on from there.
    pub(super) fn train(&mut self) -> Result<(), StageError> {
        let monitor = self.context.monitor;
        let progress = monitor.begin(self.context.stage, Some(self.total_steps()), "steps");
        progress.advance(self.progress.steps);
        if self.progress.steps == 0 && self.log.0.is_empty() {
            let validation = self.validate()?;
            self.progress.best_recall = validation.map(|scores| scores.mean_recall());
            self.progress.stopping_recall = self.progress.best_recall;
            self.log.push(&LogLine::Epoch { epoch: 0, step: 0, loss: None, validation })?;
        }
        let trained = self.train_epochs(progress.as_ref());
        if trained.is_err() && self.saved_steps != Some(self.progress.steps) && self.progress.steps > 0 {
            // The failure of the run is the one to report.
            if let Err(error) = self.save() {
                self.context.warn(&format!("the state after step {} could not be saved: {error}", self.progress.steps));
            }
        }
        trained
    }

    fn train_epochs(&mut self, progress: &dyn Progress) -> Result<(), StageError> {
        // An epoch that was cut off between its last step and its end has only the end left.
        while !self.is_trained() || self.progress.batches > 0 {
            let epoch = self.progress.epochs + 1;
            let started = (Instant::now(), self.progress.steps);
            if self.progress.batches > 0 {
                // A run may have been stopped while it validated.
                self.validate_if_due(epoch)?;
            }
            if !self.is_trained() {
                self.train_epoch(epoch, progress)?;
            }
            self.end_epoch(epoch, started)?;
        }
        Ok(())
    }

    /// Whether no step is left.
    fn is_trained(&self) -> bool {
        self.progress.steps >= self.total_steps() || self.progress.stopped_early
    }

    /// The rest of an epoch.
    fn train_epoch(&mut self, epoch: u32, progress: &dyn Progress) -> Result<(), StageError> {
        let skip = self.progress.batches;
        let loader = self.loader;
        loader.run_epoch(epoch, skip, |batch, wait| {
            self.context.monitor.check_stop()?;
            let outcome = self.step(epoch, &batch, wait)?;
            progress.advance(1);
            progress.remark(&format!("epoch {epoch}  loss {:.3}", outcome.loss));
            self.after_step(epoch)?;
            Ok(if self.is_trained() { Demand::Enough } else { Demand::More })
        })
    }

    fn step(&mut self, epoch: u32, batch: &Batch, wait: Duration) -> Result<StepOutcome, StageError> {
        let spec = self.spec;
        let began = Instant::now();
        let rate = learning_rate(self.progress.steps, spec.learning_rate, spec.warmup_steps, self.total_steps());
        let teacher = self.teacher_features(batch)?;
        let training = TrainingBatch {
            pixels: &batch.pixels,
            tokens: &batch.tokens,
            size: batch.size,
            positives: batch.positives.as_deref(),
            teacher: teacher.as_deref(),
            seed: step_seed(self.seed, self.progress.steps),
        };
        let outcome = self.trainer.step(training, rate)?;
        let overflow = !outcome.applied && outcome.loss_scale > LEAST_LOSS_SCALE && spec.precision == Precision::Fp16;
        if !outcome.loss.is_finite() || !(outcome.applied || overflow) {
            let (loss, gradient_norm) = (outcome.loss, outcome.gradient_norm);
            let (step, scratch) = (self.progress.steps + 1, self.context.scratch.display().to_string());
            return Err(TrainError::NotFinite { loss, gradient_norm, epoch, step, scratch }.into());
        }
        self.progress.steps += 1;
        self.progress.batches += 1;
        self.progress.epoch_loss += outcome.loss;
        self.log.push(&LogLine::Step {
            epoch,
            step: self.progress.steps,
            loss: outcome.loss,
            learning_rate: rate,
            logit_scale: outcome.logit_scale,
            gradient_norm: outcome.gradient_norm,
            applied: outcome.applied,
        })?;
        self.timing.push(self.progress.steps, batch.size, began.elapsed(), wait)?;
        Ok(outcome)
    }

    /// Features of a batch's images by the teacher, in as many parts as the student computes.
    fn teacher_features(&self, batch: &Batch) -> Result<Option<Vec<f32>>, StageError> {
        let (Some(teacher), Some(pixels)) = (self.teacher, &batch.teacher_pixels) else {
            return Ok(None);
        };
        let image = (pixels.len() / batch.size.max(1)).max(1);
        let rows = batch.size.div_ceil(self.spec.accumulation.max(1)).max(1);
        let mut features = Vec::new();
        for part in pixels.chunks(rows * image) {
            features.extend(teacher.encode_images(part, part.len() / image)?);
        }
        Ok(Some(features))
    }

    /// Validation and saving between the ends of epochs.
    fn after_step(&mut self, epoch: u32) -> Result<(), StageError> {
        self.validate_if_due(epoch)?;
        if self.is_due(self.spec.save_every_steps) { self.save() } else { Ok(()) }
    }

    fn validate_if_due(&mut self, epoch: u32) -> Result<(), StageError> {
        let step = self.progress.steps;
        if !self.is_due(self.spec.validate_every_steps) || self.progress.considered == Some(step) {
            return Ok(());
        }
        if let Some(validation) = self.validate()? {
            self.log.push(&LogLine::Validation { epoch, step, validation })?;
            self.validated = Some((step, validation));
            self.consider(Some(validation))?;
        }
        Ok(())
    }

    fn is_due(&self, every: Option<u64>) -> bool {
        every.is_some_and(|every| self.progress.steps.is_multiple_of(every))
    }

    fn end_epoch(&mut self, epoch: u32, (started, from): (Instant, u64)) -> Result<(), StageError> {
        let steps = self.progress.steps;
        let loss = self.progress.epoch_loss / self.progress.batches.max(1) as f64;
        let due = self.is_trained() || epoch.is_multiple_of(self.spec.validate_every_epochs);
        let validation = match self.validated.take() {
            Some((step, scores)) if due && step == steps => Some(scores),
            _ if due => self.validate()?,
            _ => None,
        };
        self.progress.epochs = epoch;
        (self.progress.batches, self.progress.epoch_loss) = (0, 0.0);
        self.log.push(&LogLine::Epoch { epoch, step: steps, loss: Some(loss), validation })?;
        if due && self.progress.considered != Some(steps) {
            self.consider(validation)?;
        }
        let seen = (steps - from) * self.spec.batch_size as u64;
        let speed = seen as f64 / started.elapsed().as_secs_f64().max(1e-9);
        let recall = validation.map_or("none".to_owned(), |scores| format!("{:.1} %", 100.0 * scores.mean_recall()));
        self.context
            .note(&format!("epoch {epoch}  loss {loss:.3}  validation mean recall {recall}  {speed:.0} pairs/s"));
        self.save()
    }

    /// Keeps the weights if they are the best so far, and stops where nothing gets better any more.
    fn consider(&mut self, validation: Option<ValidationScores>) -> Result<(), StageError> {
        self.progress.considered = Some(self.progress.steps);
        let recall = validation.map(|scores| scores.mean_recall());
        let best = self.progress.best_recall.filter(|_| self.progress.best_step > 0);
        if recall.is_none() || self.progress.best_step == 0 || recall > best {
            self.best = self.trainer.averaged_state()?;
            self.progress.best_step = self.progress.steps;
        }
        let Some(recall) = recall else { return Ok(()) };
        let min_delta = self.spec.early_stopping.as_ref().map_or(0.0, |stopping| stopping.min_delta);
        if self.progress.stopping_recall.is_none_or(|reference| recall > reference + min_delta) {
            (self.progress.stopping_recall, self.progress.stale) = (Some(recall), 0);
        } else {
            self.progress.stale += 1;
        }
        if self.progress.best_step == self.progress.steps {
            self.progress.best_recall = Some(recall);
        }
        if let Some(stopping) = &self.spec.early_stopping
            && self.progress.stale >= stopping.patience
        {
            self.progress.stopped_early = true;
            let (stale, step) = (self.progress.stale, self.progress.steps);
            self.context.note(&format!("stops early at step {step}: no better for {stale} validations"));
        }
        Ok(())
    }

    fn validate(&self) -> Result<Option<ValidationScores>, StageError> {
        let Some(pool) = &self.validation else {
            return Ok(None);
        };
        Ok(Some(pool.score(&self.trainer.encoder()?, self.context.device, self.context.monitor)?))
    }

    fn save(&mut self) -> Result<(), StageError> {
        let state = ResumeState {
            progress: self.progress.clone(),
            weights: self.trainer.state_dict()?,
            optimizer: self.trainer.optimizer_state()?,
            best: std::mem::take(&mut self.best),
            log: std::mem::take(&mut self.log),
        };
        let saved = state.save(self.context.scratch);
        (self.best, self.log) = (state.best, state.log);
        self.saved_steps = Some(self.progress.steps);
        saved
    }
}

/// What is drawn in a step depends on seed and step alone, so that a resumed run draws what an uninterrupted one draws.
pub(super) fn step_seed(seed: u64, step: u64) -> u64 {
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(step)
}
