//! `tuwen plan FILE`.
use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::setup::{StoreArgs, read_pipeline};
use super::{Failure, Output};
use crate::pipeline::{Plan, State, compile};

#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The pipeline file.
    file: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &PlanArgs) -> Result<Output, Failure> {
    let (spec, folder) = read_pipeline(&args.file)?;
    let plan = compile(&spec, &folder, &args.store.open()?)?;
    Ok(Output { text: table(&plan), json: to_json(&plan) })
}

fn table(plan: &Plan) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        let id = &step.stage.id;
        let kind = step.stage.spec.kind().as_str();
        let fingerprint = step.artifact.fingerprint.short();
        let state = match &step.state {
            State::Reuse => "reuse".to_owned(),
            State::Run { why } => format!("run    {why}"),
        };
        let _ = writeln!(text, "{id:<20} {kind:<9} {fingerprint}  {state}");
    }
    let runs = plan.steps.iter().filter(|step| step.state != State::Reuse).count();
    let _ = writeln!(text, "{runs} of {} stages would run", plan.steps.len());
    text
}

fn to_json(plan: &Plan) -> Value {
    let steps = plan.steps.iter().map(|step| {
        let (state, why) = match &step.state {
            State::Reuse => ("reuse", None),
            State::Run { why } => ("run", Some(why)),
        };
        json!({
            "stage": step.stage.id,
            "kind": step.stage.spec.kind().as_str(),
            "fingerprint": step.artifact.fingerprint,
            "state": state,
            "why": why,
        })
    });
    json!({ "pipeline": plan.name, "steps": steps.collect::<Vec<_>>() })
}
