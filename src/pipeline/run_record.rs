//! `runs/<run-id>.json`: what a run does and how it ended.
use serde_json::json;

use super::error::PipelineError;
use super::plan::Plan;
use super::run::{RunOptions, RunOutcome};
use crate::data::conceal;
use crate::store::{Store, StoreError};

/// How a run stands.
#[derive(Clone, Copy)]
pub(super) enum Ending<'a> {
    Running,
    Done,
    Failed(&'a PipelineError),
}

/// Writes the record. It is there from the start, so that nobody collects what the
/// run is about to use.
pub(super) fn record(
    plan: &Plan,
    store: &Store,
    options: &RunOptions,
    started: u64,
    outcome: &RunOutcome,
    ending: Ending<'_>,
) -> Result<(), StoreError> {
    let key = format!("runs/{}.json", options.run_id);
    let (state, failure) = match ending {
        Ending::Running => ("running", None),
        Ending::Done => ("done", None),
        Ending::Failed(error) => ("failed", Some(error)),
    };
    let traffic = store.traffic();
    let moved =
        json!({ "requests": traffic.requests(), "bytes_sent": traffic.sent(), "bytes_received": traffic.received() });
    let ended = (state != "running").then(|| (options.clock)());
    let record = json!({
        "kind": "Run",
        "version": 2,
        "run_id": options.run_id,
        "pipeline": plan.name,
        "program": concat!("tuwen ", env!("CARGO_PKG_VERSION")),
        "logical_date": options.logical_date,
        "state": state,
        "started": started,
        "ended": ended,
        "steps": outcome.steps,
        "release": outcome.release.as_ref().map(|release| release.number),
        "published": outcome.published,
        "traffic": (!store.is_local() || traffic.requests() > 0).then_some(moved),
        "exit_code": ended.map(|_| failure.map_or(0, |error| error.class().exit_code())),
        "error": failure.map(|failure| conceal(&failure.to_string()).into_owned()),
    });
    store.replace(&key, record.to_string().as_bytes())
}
