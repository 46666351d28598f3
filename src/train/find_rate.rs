//! A learning-rate range test (Smith, 2017): the rate rises exponentially from step to step while the loss is watched.
use serde::Serialize;

use super::finetune::Finetune;
use super::loader::Demand;
use super::run::step_seed;
use crate::model::TrainingBatch;
use crate::stage::{StageContext, StageError};

/// Weight of the past in the smoothed loss.
const SMOOTHING: f64 = 0.9;
/// The test ends when the smoothed loss is this many times its lowest.
const DIVERGED: f64 = 3.0;

/// Rates to try.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateRange {
    pub from: f64,
    pub to: f64,
    pub steps: u64,
}

/// One step of the test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RateTrial {
    pub learning_rate: f64,
    pub loss: f64,
    /// Exponentially smoothed, corrected for its start.
    pub smoothed_loss: f64,
}

impl RateRange {
    fn rate(&self, step: u64) -> f64 {
        let share = step as f64 / self.steps.saturating_sub(1).max(1) as f64;
        self.from * (self.to / self.from).powf(share)
    }
}

impl Finetune {
    /// Trains a copy of the stage's model while the rate rises; nothing is kept. Ends early when the loss runs away.
    pub fn find_rate(&self, context: &StageContext<'_>, range: RateRange) -> Result<Vec<RateTrial>, StageError> {
        let materials = self.materials(context)?;
        let loader = self.loader(&materials)?;
        let mut trainer = self.trainer(context, &materials.start)?;
        let progress = context.monitor.begin(context.stage, Some(range.steps), "steps");
        let mut trials: Vec<RateTrial> = Vec::new();
        let mut average = 0.0;
        let mut epoch = 0;
        let mut ended = false;
        while !ended {
            epoch += 1;
            loader.run_epoch(epoch, 0, |batch, _| {
                context.monitor.check_stop()?;
                let step = trials.len() as u64;
                let training = TrainingBatch {
                    pixels: &batch.pixels,
                    tokens: &batch.tokens,
                    size: batch.size,
                    positives: batch.positives.as_deref(),
                    teacher: None,
                    seed: step_seed(self.seed(), step),
                };
                let learning_rate = range.rate(step);
                let loss = trainer.step(training, learning_rate)?.loss;
                average = SMOOTHING * average + (1.0 - SMOOTHING) * loss;
                let smoothed_loss = average / (1.0 - SMOOTHING.powi(step as i32 + 1));
                let lowest = trials.iter().map(|trial| trial.smoothed_loss).fold(f64::INFINITY, f64::min);
                ended = !loss.is_finite() || smoothed_loss > DIVERGED * lowest || step + 1 == range.steps;
                if loss.is_finite() {
                    trials.push(RateTrial { learning_rate, loss, smoothed_loss });
                }
                progress.advance(1);
                progress.remark(&format!("lr {learning_rate:.1e}  loss {loss:.3}"));
                Ok(if ended { Demand::Enough } else { Demand::More })
            })?;
        }
        Ok(trials)
    }
}

/// A peak for the schedule: a tenth of the rate at which the smoothed loss was lowest.
pub fn suggested_rate(trials: &[RateTrial]) -> Option<f64> {
    let lowest = trials.iter().min_by(|a, b| a.smoothed_loss.total_cmp(&b.smoothed_loss))?;
    Some(lowest.learning_rate / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_rise_evenly_in_their_logarithm_and_the_suggestion_lies_below_the_lowest_loss() {
        let range = RateRange { from: 1e-6, to: 1e-2, steps: 5 };
        let rates: Vec<f64> = (0..5).map(|step| range.rate(step)).collect();
        for (rate, expected) in rates.iter().zip([1e-6, 1e-5, 1e-4, 1e-3, 1e-2]) {
            assert!((rate / expected - 1.0).abs() < 1e-9, "{rates:?}");
        }
        let losses = [3.0, 2.9, 2.0, 1.5, 9.0];
        let trial = |(learning_rate, loss)| RateTrial { learning_rate, loss, smoothed_loss: loss };
        let trials: Vec<RateTrial> = rates.into_iter().zip(losses).map(trial).collect();
        assert!((suggested_rate(&trials).unwrap() - 1e-4).abs() < 1e-12);
        assert_eq!(suggested_rate(&[]), None);
    }
}
