//! State after a step, in the scratch folder: what a killed run continues from.
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::TrainError;
use super::log::LogText;
use crate::model::{StateDict, read_safetensors, write_safetensors};
use crate::stage::StageError;
use crate::store::{StoreError, sync_folder, write_whole};

/// Everything that the next step depends on.
#[derive(Debug)]
pub struct ResumeState {
    pub progress: TrainProgress,
    pub weights: StateDict,
    pub optimizer: StateDict,
    pub best: StateDict,
    pub log: LogText,
}

/// Counters of a training run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainProgress {
    /// Finished epochs.
    pub epochs: u32,
    /// Steps so far.
    pub steps: u64,
    /// Batches of the epoch under way that are done.
    pub batches: u64,
    /// Sum of their losses.
    #[serde(with = "exact")]
    pub epoch_loss: f64,
    /// Step of the best validation; 0 before the first.
    pub best_step: u64,
    /// Mean recall of the best validation; absent without a validation split.
    #[serde(with = "exact_option")]
    pub best_recall: Option<f64>,
    /// Step whose validation was taken into account last.
    pub considered: Option<u64>,
    /// What early stopping measures improvements by.
    #[serde(with = "exact_option")]
    pub stopping_recall: Option<f64>,
    /// Validations since the last improvement.
    pub stale: u32,
    pub stopped_early: bool,
}

impl ResumeState {
    /// Writes `step-N`, complete before it gets its name, then removes the states before it.
    pub fn save(&self, scratch: &Path) -> Result<(), StageError> {
        // The end of an epoch may follow a save of the same step.
        let target = step_folder(scratch, self.progress.steps, self.progress.epochs);
        let building = target.with_extension("part");
        for old in [&building, &target] {
            if old.exists() {
                fs::remove_dir_all(old).map_err(StoreError::io(old))?;
            }
        }
        fs::create_dir_all(&building).map_err(StoreError::io(&building))?;
        write_safetensors(&building.join("weights.safetensors"), &self.weights)?;
        write_safetensors(&building.join("optimizer.safetensors"), &self.optimizer)?;
        write_safetensors(&building.join("best.safetensors"), &self.best)?;
        write_whole(&building.join(super::log::LOG_FILE), self.log.0.as_bytes())?;
        let json = serde_json::to_vec(&self.progress).map_err(|e| TrainError::Log { reason: e.to_string() })?;
        write_whole(&building.join("progress.json"), &json)?;
        sync_folder(&building)?;
        fs::rename(&building, &target).map_err(StoreError::io(&target))?;
        sync_folder(scratch)?;
        for old in saved_steps(scratch)?.into_values().filter(|folder| *folder != target) {
            fs::remove_dir_all(&old).map_err(StoreError::io(&old))?;
        }
        Ok(())
    }

    /// The newest saved state, or `None`.
    pub fn load(scratch: &Path) -> Result<Option<Self>, StageError> {
        let Some((_, folder)) = saved_steps(scratch)?.pop_last() else {
            return Ok(None);
        };
        let path = folder.join("progress.json");
        let json = fs::read(&path).map_err(StoreError::io(&path))?;
        let progress = serde_json::from_slice(&json).map_err(|e| TrainError::Log { reason: e.to_string() })?;
        let log = folder.join(super::log::LOG_FILE);
        Ok(Some(Self {
            progress,
            weights: read_safetensors(&folder.join("weights.safetensors"))?,
            optimizer: read_safetensors(&folder.join("optimizer.safetensors"))?,
            best: read_safetensors(&folder.join("best.safetensors"))?,
            log: LogText(fs::read_to_string(&log).map_err(StoreError::io(&log))?),
        }))
    }
}

fn step_folder(scratch: &Path, step: u64, epoch: u32) -> PathBuf {
    scratch.join(format!("step-{step}-{epoch}"))
}

/// Folders by step and finished epochs.
fn saved_steps(scratch: &Path) -> Result<BTreeMap<(u64, u32), PathBuf>, StageError> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(scratch).map_err(StoreError::io(scratch))? {
        let entry = entry.map_err(StoreError::io(scratch))?;
        let name = entry.file_name();
        let numbers = name.to_str().and_then(|name| name.strip_prefix("step-")?.split_once('-'));
        if let Some((Ok(step), Ok(epoch))) = numbers.map(|(step, epoch)| (step.parse(), epoch.parse())) {
            found.insert((step, epoch), entry.path());
        }
    }
    Ok(found)
}

/// A number as its bits: decimal text may come back as its neighbour, and comparisons would then depend on a restart.
mod exact {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        value.to_bits().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(f64::from_bits(u64::deserialize(deserializer)?))
    }
}

/// [`exact`] for a number that may be absent.
mod exact_option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde hands over a reference")]
    pub(super) fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(f64::to_bits).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(f64::from_bits))
    }
}
