//! `tuwen gc`.
use std::fmt::Write;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use clap::Args;

use super::setup::{StoreArgs, lease_holder, new_run_id, parse_duration};
use super::{Failure, Output};
use crate::data::ErrorClass;
use crate::pipeline::Raise;
use crate::store::{GarbageOptions, Lease, StoreError, collect_garbage, pipelines};

#[derive(Debug, Args)]
pub struct GcArgs {
    /// Releases of every pipeline that are kept; tagged ones stay in any case.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    keep_releases: u32,
    /// Newest runs whose artifacts are kept.
    #[arg(long, default_value_t = 20)]
    keep_runs: u32,
    /// Time between the call that marks an artifact and the one that may remove it, e.g. 24h.
    #[arg(long, default_value = "24h", value_parser = parse_duration)]
    grace: std::time::Duration,
    /// Say what would be removed, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &GcArgs) -> Result<Output, Failure> {
    let store = args.store.open()?;
    let holder = lease_holder(&new_run_id()?);
    // Nobody publishes while something is removed.
    let mut leases = Vec::new();
    if !args.dry_run {
        for pipeline in pipelines(&store)? {
            let lease = Lease::take(&store, &pipeline, &holder)?;
            leases.push((pipeline, lease));
        }
    }
    let options = GarbageOptions {
        releases: args.keep_releases as usize,
        runs: args.keep_runs as usize,
        grace: args.grace,
        now: SystemTime::now(),
        dry_run: args.dry_run,
    };
    let still_ours = || {
        for (pipeline, lease) in &leases {
            if !lease.is_ours()? {
                return Err(StoreError::Fenced { pipeline: pipeline.clone() });
            }
        }
        Ok(())
    };
    let end = AtomicBool::new(false);
    let stats = std::thread::scope(|scope| {
        let _raise = Raise(&end);
        for (_, lease) in &leases {
            scope.spawn(|| lease.keep(&end));
        }
        collect_garbage(&store, &options, &still_ours)
    })?;
    let mut text = String::new();
    let verb = if args.dry_run { "would be removed" } else { "removed" };
    for prefix in stats.removed.iter().chain(&stats.removed_releases) {
        let _ = writeln!(text, "{verb}: {prefix}");
    }
    for prefix in &stats.waiting {
        let _ = writeln!(text, "named by nothing, waits for its grace: {prefix}");
    }
    let _ = writeln!(
        text,
        "{} artifacts in use, {} {verb} ({} bytes), {} waiting",
        stats.live_artifacts,
        stats.removed.len(),
        stats.removed_bytes,
        stats.waiting.len()
    );
    let json = serde_json::to_value(&stats).map_err(|error| Failure::new(ErrorClass::Internal, error.to_string()))?;
    Ok(Output { text, json })
}
