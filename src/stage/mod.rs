//! What is a step? The trait that every stage implements, what it is given, and how its shards run.

mod error;
mod monitor;
mod shard;

use std::collections::BTreeMap;
use std::path::Path;

use crate::data::ArtifactKey;
use crate::model::ComputeDevice;
use crate::store::{Sealed, Sources};

pub use error::StageError;
pub use monitor::{Monitor, NoMonitor, Progress, StopSignal};
pub use shard::{Shard, ShardReceipt, StageOutput, StageStats, make_shard, run_shards};

/// Folder below `StageContext::scratch` for what a run measured on the way; kept with the run, not with the result.
pub const TELEMETRY_FOLDER: &str = "telemetry";

/// One step of a pipeline, its settings inside.
pub trait Stage {
    /// Whether the work divides into shards that several processes can make; else there is one, the whole.
    fn divides(&self) -> bool {
        false
    }

    /// Deterministic names of the parts that can run apart from each other, in order. Reads inputs, writes nothing.
    fn shards(&self, context: &StageContext<'_>) -> Result<Vec<Shard>, StageError> {
        let _ = context;
        Ok(vec![Shard::whole()])
    }

    /// Makes one part: pure in its inputs, writes only its own files below `context.out`.
    fn run_shard(&self, context: &StageContext<'_>, shard: &Shard) -> Result<ShardReceipt, StageError>;

    /// Checks and joins what the shards left; runs once, after all of them.
    fn finish(&self, context: &StageContext<'_>, receipts: &[ShardReceipt]) -> Result<(), StageError> {
        let _ = (context, receipts);
        Ok(())
    }
}

/// What a stage works with: components, never settings.
pub struct StageContext<'a> {
    /// Id of the stage in the pipeline file.
    pub stage: &'a str,
    /// Files of the artifact go here.
    pub out: &'a Path,
    /// Survives a kill; for receipts and resumable state.
    pub scratch: &'a Path,
    /// Sealed inputs by stage id.
    pub inputs: &'a BTreeMap<String, Input>,
    /// The stage's result in the newest release, if it has one: what did not change since need not be made again.
    pub base: Option<&'a Sealed>,
    /// The way to files of others.
    pub sources: &'a Sources,
    pub device: &'a ComputeDevice,
    pub monitor: &'a dyn Monitor,
}

/// An input of a stage.
#[derive(Debug, Clone)]
pub struct Input {
    pub key: ArtifactKey,
    pub sealed: Sealed,
}

impl StageContext<'_> {
    /// A line about this stage.
    pub fn note(&self, message: &str) {
        self.monitor.note(&format!("{}: {message}", self.stage));
    }

    /// A line about this stage that a person should look at.
    pub fn warn(&self, message: &str) {
        self.monitor.warn(&format!("{}: {message}", self.stage));
    }

    /// The sealed artifact of another stage.
    pub fn input(&self, id: &str) -> Result<&Input, StageError> {
        self.inputs
            .get(id)
            .ok_or_else(|| StageError::internal(format!("stage `{}` was started without its input `{id}`", self.stage)))
    }
}
