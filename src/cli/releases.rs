//! `tuwen releases list | show | diff | tag | rollback`.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use clap::{Args, Subcommand};
use serde_json::json;

use super::setup::{StoreArgs, find_pipeline, lease_holder, new_run_id};
use super::{Failure, Output};
use crate::data::{ErrorClass, Release};
use crate::store::{
    ConditionalWrites, Lease, Publication, Store, latest_release, numbered_release, publish, read_manifest,
    release_numbers, set_tag, tagged_releases,
};

#[derive(Debug, Args)]
pub struct ReleasesArgs {
    #[command(subcommand)]
    action: Action,
    /// Name of the pipeline, where the store has several.
    #[arg(long, global = true)]
    pipeline: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Every release, the current one last.
    List,
    /// What a release consists of.
    Show {
        /// Number or tag [default: the current one].
        release: Option<String>,
    },
    /// What changed between two releases.
    Diff {
        /// Number or tag.
        from: String,
        /// Number or tag [default: the current one].
        to: Option<String>,
    },
    /// Give a release a name, which also keeps it from being collected.
    Tag {
        /// Number or tag.
        release: String,
        /// Letters, digits, `.`, `_` and `-`.
        name: String,
    },
    /// Publish the artifacts of an older release again, under the next number.
    Rollback {
        /// Number or tag.
        release: String,
    },
}

pub fn run(args: &ReleasesArgs) -> Result<Output, Failure> {
    let store = args.store.open()?;
    let pipeline = find_pipeline(&store, args.pipeline.as_deref())?;
    match &args.action {
        Action::List => list(&store, &pipeline),
        Action::Show { release } => show(&find(&store, &pipeline, release.as_deref())?),
        Action::Diff { from, to } => {
            let (from, to) = (find(&store, &pipeline, Some(from))?, find(&store, &pipeline, to.as_deref())?);
            Ok(diff(&from, &to))
        }
        Action::Tag { release, name } => {
            let fits = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
            if name.is_empty() || name.starts_with('.') || !name.chars().all(fits) || name.parse::<u64>().is_ok() {
                let message =
                    format!("`{name}` is no tag: use letters, digits, `.`, `_` and `-`, and not a number alone");
                return Err(Failure::new(ErrorClass::Usage, message));
            }
            let release = find(&store, &pipeline, Some(release))?;
            set_tag(&store, &pipeline, name, release.number)?;
            let text = format!("{name} is release {} of {pipeline}", release.number);
            Ok(Output { text, json: json!({ "pipeline": pipeline, "tag": name, "release": release.number }) })
        }
        Action::Rollback { release } => rollback(&store, &pipeline, &find(&store, &pipeline, Some(release))?),
    }
}

/// A release by number or tag, or the current one.
pub fn find(store: &Store, pipeline: &str, wanted: Option<&str>) -> Result<Release, Failure> {
    let missing =
        |what: &str| Failure::new(ErrorClass::NotFound, format!("pipeline `{pipeline}` has no release {what}"));
    let Some(wanted) = wanted else {
        return latest_release(store, pipeline)?.ok_or_else(|| missing("yet; run it first"));
    };
    let number = match wanted.parse() {
        Ok(number) => Some(number),
        Err(_) => tagged_releases(store, pipeline)?.get(wanted).copied(),
    };
    let found = number.map(|number| numbered_release(store, pipeline, number)).transpose()?.flatten();
    found.ok_or_else(|| missing(&format!("{wanted}; see `tuwen releases list`")))
}

fn list(store: &Store, pipeline: &str) -> Result<Output, Failure> {
    let mut tags: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (tag, number) in tagged_releases(store, pipeline)? {
        tags.entry(number).or_default().push(tag);
    }
    let mut text = String::new();
    let mut rows = Vec::new();
    let mut before: Option<Release> = None;
    for number in release_numbers(store, pipeline)? {
        let Some(release) = numbered_release(store, pipeline, number)? else { continue };
        let changed = before.as_ref().map_or(release.artifacts.len(), |before| changes(before, &release).len());
        let names = tags.get(&number).cloned().unwrap_or_default();
        let back = release.rollback_to.map_or(String::new(), |to| format!("  back to {to}"));
        let run = release.run_id.as_deref().unwrap_or("-");
        let _ = writeln!(text, "{number:>6}  {changed:>3} stages changed  run {run}{back}  {}", names.join(", "));
        rows.push(json!({ "number": number, "changed": changed, "run_id": release.run_id, "rollback_to": release.rollback_to, "gate": release.gate, "tags": names }));
        before = Some(release);
    }
    Ok(Output { text, json: json!({ "pipeline": pipeline, "releases": rows }) })
}

fn show(release: &Release) -> Result<Output, Failure> {
    let mut text = format!("release {} of {}\n", release.number, release.pipeline);
    if let Some(to) = release.rollback_to {
        let _ = writeln!(text, "went back to release {to}");
    }
    if let Some(gate) = &release.gate {
        let _ = writeln!(text, "gate: {gate}");
    }
    for (stage, key) in &release.artifacts {
        let _ = writeln!(text, "{stage:<20} {key}");
    }
    let json = serde_json::to_value(release).map_err(|error| Failure::new(ErrorClass::Internal, error.to_string()))?;
    Ok(Output { text, json })
}

/// Stages whose artifact differs, with both.
fn changes<'a>(from: &'a Release, to: &'a Release) -> Vec<(&'a str, Option<String>, Option<String>)> {
    let stages: BTreeSet<&String> = from.artifacts.keys().chain(to.artifacts.keys()).collect();
    let both = |stage: &'a String| {
        let key = |release: &Release| release.artifacts.get(stage).map(ToString::to_string);
        (stage.as_str(), key(from), key(to))
    };
    stages.into_iter().map(both).filter(|(_, from, to)| from != to).collect()
}

fn diff(from: &Release, to: &Release) -> Output {
    let mut text = format!("release {} to {} of {}\n", from.number, to.number, to.pipeline);
    let changes = changes(from, to);
    if changes.is_empty() {
        text.push_str("the same artifacts\n");
    }
    let absent = || "-".to_owned();
    for (stage, before, after) in &changes {
        let (before, after) = (before.clone().unwrap_or_else(absent), after.clone().unwrap_or_else(absent));
        let _ = writeln!(text, "{stage:<20} {before} -> {after}");
    }
    let rows: Vec<_> =
        changes.iter().map(|(stage, from, to)| json!({ "stage": stage, "from": from, "to": to })).collect();
    Output { text, json: json!({ "from": from.number, "to": to.number, "changes": rows }) }
}

fn rollback(store: &Store, pipeline: &str, to: &Release) -> Result<Output, Failure> {
    let run_id = new_run_id()?;
    let _lease = Lease::take(store, pipeline, &lease_holder(&run_id))?;
    for (stage, key) in &to.artifacts {
        if read_manifest(store, key)?.is_none() {
            let message = format!("release {} cannot come back: {key} of stage `{stage}` was collected", to.number);
            return Err(Failure::new(ErrorClass::NotFound, message));
        }
    }
    let base = release_numbers(store, pipeline)?.pop().unwrap_or(0);
    ConditionalWrites::require(store)?;
    let publication = Publication {
        pipeline,
        artifacts: to.artifacts.clone(),
        base,
        run_id: Some(run_id),
        rollback_to: Some(to.number),
        gate: None,
    };
    let (release, new) = publish(store, publication)?;
    let text = if new {
        format!("release {} of {pipeline} is release {} again", release.number, to.number)
    } else {
        format!("release {} of {pipeline} has these artifacts already", release.number)
    };
    Ok(Output { text, json: json!({ "release": release.number, "rollback_to": to.number, "published": new }) })
}
