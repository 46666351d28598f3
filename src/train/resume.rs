//! State at the end of an epoch, in the scratch folder: what a killed run continues from.
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::TrainError;
use super::log::LogText;
use crate::model::{StateDict, read_safetensors, write_safetensors};
use crate::stage::StageError;
use crate::store::{StoreError, sync_folder, write_whole};

/// Everything that the next epoch depends on.
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
    /// Optimiser steps so far.
    pub steps: u64,
    pub best_epoch: u32,
    /// Mean recall of the best epoch; absent without a validation split.
    #[serde(with = "exact")]
    pub best_recall: Option<f64>,
}

impl ResumeState {
    /// Writes `epoch-N`, complete before it gets its name, then removes the epochs before it.
    pub fn save(&self, scratch: &Path) -> Result<(), StageError> {
        let target = epoch_folder(scratch, self.progress.epochs);
        let building = target.with_extension("part");
        if building.exists() {
            fs::remove_dir_all(&building).map_err(StoreError::io(&building))?;
        }
        fs::create_dir_all(&building).map_err(StoreError::io(&building))?;
        write_safetensors(&building.join("weights.safetensors"), &self.weights)?;
        write_safetensors(&building.join("optimizer.safetensors"), &self.optimizer)?;
        write_safetensors(&building.join("best.safetensors"), &self.best)?;
        write_whole(&building.join(super::log::LOG_FILE), self.log.0.as_bytes())?;
        let json = serde_json::to_vec(&self.progress).map_err(|e| TrainError::Log { reason: e.to_string() })?;
        write_whole(&building.join("progress.json"), &json)?;
        fs::rename(&building, &target).map_err(StoreError::io(&target))?;
        sync_folder(scratch)?;
        for epoch in saved_epochs(scratch)?.into_iter().filter(|epoch| *epoch != self.progress.epochs) {
            let old = epoch_folder(scratch, epoch);
            fs::remove_dir_all(&old).map_err(StoreError::io(&old))?;
        }
        Ok(())
    }

    /// The newest saved epoch, or `None`.
    pub fn load(scratch: &Path) -> Result<Option<Self>, StageError> {
        let Some(epoch) = saved_epochs(scratch)?.into_iter().max() else {
            return Ok(None);
        };
        let folder = epoch_folder(scratch, epoch);
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

fn epoch_folder(scratch: &Path, epoch: u32) -> PathBuf {
    scratch.join(format!("epoch-{epoch}"))
}

fn saved_epochs(scratch: &Path) -> Result<Vec<u32>, StageError> {
    let mut epochs = Vec::new();
    for entry in fs::read_dir(scratch).map_err(StoreError::io(scratch))? {
        let name = entry.map_err(StoreError::io(scratch))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("epoch-")?.parse::<u32>().ok());
        epochs.extend(number);
    }
    Ok(epochs)
}

/// A number as its bits: decimal text may come back as its neighbour, and comparisons would then depend on a restart.
mod exact {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde hands over a reference")]
    pub(super) fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(f64::to_bits).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(f64::from_bits))
    }
}
