//! How long steps took and waited: one JSON object a line, kept with the run and not with the result, which does not depend
//! on it.
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::stage::{StageError, TELEMETRY_FOLDER};
use crate::store::StoreError;

const TIMING_FILE: &str = "steps.jsonl";
/// Steps that are written at once.
const LINES_AT_A_TIME: usize = 32;

/// Appends to a file in the telemetry folder.
pub(super) struct TimingLog {
    folder: PathBuf,
    lines: Vec<String>,
}

impl TimingLog {
    pub(super) fn new(scratch: &Path) -> Self {
        Self { folder: scratch.join(TELEMETRY_FOLDER), lines: Vec::new() }
    }

    pub(super) fn push(
        &mut self,
        step: u64,
        pairs: usize,
        compute: Duration,
        wait: Duration,
    ) -> Result<(), StageError> {
        let (compute, wait) = (compute.as_secs_f64(), wait.as_secs_f64());
        let pairs_per_second = pairs as f64 / (compute + wait).max(1e-9);
        let line = json!({
            "step": step, "step_seconds": compute, "data_wait_seconds": wait, "pairs_per_second": pairs_per_second,
        });
        self.lines.push(line.to_string());
        if self.lines.len() >= LINES_AT_A_TIME { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), StageError> {
        if self.lines.is_empty() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder).map_err(StoreError::io(&self.folder))?;
        let path = self.folder.join(TIMING_FILE);
        let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(StoreError::io(&path))?;
        let text = self.lines.join("\n") + "\n";
        self.lines.clear();
        Ok(file.write_all(text.as_bytes()).map_err(StoreError::io(&path))?)
    }
}

impl Drop for TimingLog {
    fn drop(&mut self) {
        // What cannot be written at the end is only timing.
        let _ = self.write();
    }
}
