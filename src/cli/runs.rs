//! `tuwen runs` and `tuwen status`: what ran, how it ended, and what is current.
use std::fmt::Write;

use clap::Args;
use serde_json::{Value, json};

use super::setup::{StoreArgs, unix_seconds};
use super::{Failure, Output};
use crate::store::{Store, latest_release, pipelines};

#[derive(Debug, Args)]
pub struct RunsArgs {
    /// Number of runs, the newest first.
    #[arg(long, default_value_t = 20)]
    last: usize,
    /// Only runs of this pipeline.
    #[arg(long)]
    pipeline: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    store: StoreArgs,
}

pub fn list(args: &RunsArgs) -> Result<Output, Failure> {
    let store = args.store.open()?;
    let records = records(&store, args.pipeline.as_deref(), args.last)?;
    let mut text = String::new();
    for record in &records {
        text.push_str(&line(record));
    }
    if records.is_empty() {
        text.push_str("no run yet");
    }
    Ok(Output { text, json: json!({ "runs": records }) })
}

pub fn status(args: &StatusArgs) -> Result<Output, Failure> {
    let store = args.store.open()?;
    let mut text = format!("store {}\n", store.url());
    let mut rows = Vec::new();
    for pipeline in pipelines(&store)? {
        let release = latest_release(&store, &pipeline)?;
        let number = release.as_ref().map_or(0, |release| release.number);
        let _ = writeln!(text, "\n{pipeline}: release {number}");
        let newest = records(&store, Some(&pipeline), 1)?.pop();
        if let Some(record) = &newest {
            text.push_str(&line(record));
        }
        rows.push(json!({ "pipeline": pipeline, "release": release, "newest_run": newest }));
    }
    if rows.is_empty() {
        text.push_str("nothing is published yet\n");
    }
    Ok(Output { text, json: json!({ "store": store.url(), "pipelines": rows }) })
}

/// Records of the newest runs, the newest first.
fn records(store: &Store, pipeline: Option<&str>, last: usize) -> Result<Vec<Value>, Failure> {
    let mut objects = store.objects("runs")?;
    objects.retain(|object| object.key.matches('/').count() == 1);
    objects.sort_by_key(|object| std::cmp::Reverse(object.modified));
    let mut records = Vec::new();
    for object in objects {
        if records.len() == last {
            break;
        }
        let Some(bytes) = store.read(&object.key)? else { continue };
        let Ok(record) = serde_json::from_slice::<Value>(&bytes) else { continue };
        if pipeline.is_none_or(|pipeline| record.get("pipeline").and_then(Value::as_str) == Some(pipeline)) {
            records.push(record);
        }
    }
    Ok(records)
}

fn line(record: &Value) -> String {
    let word = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or("-");
    let number = |name: &str| record.get(name).and_then(Value::as_u64);
    let steps = record.get("steps").and_then(Value::as_array).map_or(0, Vec::len);
    let state = word("state");
    let how = match (state, number("exit_code")) {
        ("failed", Some(code)) => format!("failed, exit {code}: {}", word("error")),
        ("running", _) => {
            let minutes = number("started").map_or(0, |started| unix_seconds().saturating_sub(started) / 60);
            format!("began {minutes} minutes ago and has not ended; it runs still, or was killed")
        }
        _ => match number("release") {
            Some(release) if record.get("published") == Some(&json!(true)) => format!("published release {release}"),
            Some(release) => format!("release {release} unchanged"),
            None => "done, nothing published".to_owned(),
        },
    };
    let took = match (number("started"), number("ended")) {
        (Some(started), Some(ended)) => format!("{} s", ended.saturating_sub(started)),
        _ => "-".to_owned(),
    };
    format!("{}  {}  {steps} stages, {took}  {how}\n", word("run_id"), word("pipeline"))
}
