//! `tuwen publish FILE`: publishes what earlier runs made, and makes nothing.
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::setup::{StoreArgs, lease_holder, new_run_id, read_pipeline, unix_seconds};
use super::{Failure, Output};
use crate::data::ErrorClass;
use crate::pipeline::{RunOptions, State, compile, publish_outcome};
use crate::store::Lease;

#[derive(Debug, Args)]
pub struct PublishArgs {
    /// The pipeline file.
    file: PathBuf,
    /// Publish although the store's create-only writes are not atomic.
    #[arg(long, env = "TUWEN_ALLOW_WEAK_STORE")]
    allow_weak_store: bool,
    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &PublishArgs) -> Result<Output, Failure> {
    let (spec, folder) = read_pipeline(&args.file)?;
    let store = args.store.open()?;
    let plan = compile(&spec, &folder, &store)?;
    let missing: Vec<&str> =
        plan.steps.iter().filter(|step| step.state != State::Reuse).map(|step| step.stage.id.as_str()).collect();
    if !missing.is_empty() {
        let message = format!("not made yet: {}; run the pipeline", missing.join(", "));
        return Err(Failure::new(ErrorClass::NotFound, message));
    }
    let run_id = new_run_id()?;
    let holder = lease_holder(&run_id);
    let lease = Lease::take(&store, &plan.name, &holder)?;
    let unpublished = RunOptions::unpublished(run_id, unix_seconds);
    let options = RunOptions { publish: true, allow_weak_store: args.allow_weak_store, ..unpublished };
    let (release, new) = publish_outcome(&plan, &store, &options, Some(&lease))?;
    let state = if new { "published" } else { "unchanged" };
    let text = format!("release {} of {} {state}", release.number, release.pipeline);
    Ok(Output { text, json: json!({ "release": release.number, "published": new, "gate": release.gate }) })
}
