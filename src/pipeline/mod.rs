//! In what order, and what can be skipped? YAML file → check → plan → run.

mod check;
mod error;
mod event;
mod gate;
mod node;
mod plan;
mod resolve;
mod run;
mod run_record;
mod schema;
mod shard_plan;
mod shards;
mod spec;
mod step;
mod transfer;
mod verify;

pub use check::check;
pub use error::PipelineError;
pub use event::{NoListener, RunEnding, RunEvent, RunListener};
pub use plan::{Plan, State, Step, compile};
pub use resolve::Resolved;
pub use run::{RunOptions, RunOutcome, StepOutcome, Unfinished, publish_outcome, run};
pub use schema::{NAME_PATTERN, pipeline_schema};
pub use shard_plan::ShardPlan;
pub use shards::{ListedShard, Portion, ShardEnd, ShardJob, ShardOutcome, list_shards, require_shards, run_portion};
pub use spec::{DEFAULT_SEED, Need, PIPELINE_VERSION, PipelineSpec, StageEntry, StageKind, StageSpec};
pub use step::open_inputs;
pub use transfer::{Raise, folder_bytes, watch};
pub use verify::{Finding, VerifyStats, verify};
