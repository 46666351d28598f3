//! `tuwen verify`.
use std::fmt::Write;

use clap::Args;

use super::console::Console;
use super::releases::find;
use super::setup::{StoreArgs, find_pipeline, reading};
use super::{Failure, Output};
use crate::data::{ErrorClass, Release};
use crate::store::Store;

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Number or tag of a release [default: the current one].
    release: Option<String>,
    /// Name of the pipeline, where the store has several.
    #[arg(long)]
    pipeline: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &VerifyArgs, console: &Console) -> Result<Output, Failure> {
    let store = args.store.open()?;
    let pipeline = find_pipeline(&store, args.pipeline.as_deref())?;
    let release = find(&store, &pipeline, args.release.as_deref())?;
    reading(&store, &release, || verify(&store, &release, console))
}

fn verify(store: &Store, release: &Release, console: &Console) -> Result<Output, Failure> {
    let stats = crate::pipeline::verify(store, release, console)?;
    if !stats.findings.is_empty() {
        let mut message = format!("release {} of {} is not whole:", release.number, release.pipeline);
        for finding in &stats.findings {
            let _ = write!(message, "\n  {} ({}): {}", finding.stage, finding.artifact, finding.problem);
        }
        message.push_str("\nmove the damaged artifact's folder away and run the pipeline again, or roll back");
        return Err(Failure::new(ErrorClass::BadInput, message));
    }
    let text = format!(
        "release {} of {} is whole: {} artifacts, {} files, {} bytes, {} unit vectors",
        release.number, release.pipeline, stats.artifacts, stats.files, stats.bytes, stats.vectors
    );
    let json = serde_json::to_value(&stats).map_err(|error| Failure::new(ErrorClass::Internal, error.to_string()))?;
    Ok(Output { text, json })
}
