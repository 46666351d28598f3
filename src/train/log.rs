//! The training log: one JSON object a line, the same on every run of the same seed.
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{TrainError, ValidationScores};
use crate::stage::StageError;
use crate::store::StoreError;

/// File of the log in a checkpoint artifact.
pub const LOG_FILE: &str = "train_log.jsonl";

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum LogLine {
    Step {
        epoch: u32,
        /// Optimiser step over all epochs, from 1.
        step: u64,
        loss: f64,
        learning_rate: f64,
        /// Logarithm of the logit factor.
        logit_scale: f64,
        gradient_norm: f64,
        /// False when an fp16 step overflowed and was left out.
        applied: bool,
    },
    /// A validation within an epoch.
    Validation { epoch: u32, step: u64, validation: ValidationScores },
    Epoch {
        /// From 1; 0 is the checkpoint that training started from.
        epoch: u32,
        step: u64,
        /// Mean over the epoch's steps; absent for epoch 0.
        loss: Option<f64>,
        /// Absent without a validation split, or where none was due.
        validation: Option<ValidationScores>,
    },
}

/// Reads the log of a checkpoint; a checkpoint that was not trained has none.
pub fn read_log(folder: &Path) -> Result<Vec<LogLine>, StageError> {
    let path = folder.join(LOG_FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&path).map_err(StoreError::io(&path))?;
    text.lines().map(parse).collect()
}

/// The log as it is written. Lines are never parsed and written again, so a resumed run leaves the same bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct LogText(pub(super) String);

impl LogText {
    pub(super) fn push(&mut self, line: &LogLine) -> Result<(), StageError> {
        self.0.push_str(&serde_json::to_string(line).map_err(|error| log_error(&error))?);
        self.0.push('\n');
        Ok(())
    }
}

fn parse(line: &str) -> Result<LogLine, StageError> {
    Ok(serde_json::from_str(line).map_err(|error| log_error(&error))?)
}

fn log_error(error: &serde_json::Error) -> TrainError {
    TrainError::Log { reason: error.to_string() }
}
