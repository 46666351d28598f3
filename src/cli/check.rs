//! `tuwen check FILE`.
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::setup::read_pipeline;
use super::{Failure, Output};

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The pipeline file.
    file: PathBuf,
}

pub fn run(args: &CheckArgs) -> Result<Output, Failure> {
    let (spec, _) = read_pipeline(&args.file)?;
    let count = spec.stages.len();
    Ok(Output {
        text: format!("{}: {count} stages, no problems", args.file.display()),
        json: json!({ "pipeline": spec.name, "stages": count, "diagnostics": [] }),
    })
}
