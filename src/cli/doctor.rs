//! `tuwen doctor`: whether this machine and this store can do the work.
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use clap::Args;
use serde_json::json;

use super::setup::{DeviceArgs, StoreArgs, unix_seconds};
use super::{Failure, Output};
use crate::data::ErrorClass;
use crate::store::{ConditionalWrites, Store, new_nonce};

/// Less free memory or disk than this is worth a word.
const LITTLE_MEMORY: u64 = 2 << 30;
const LITTLE_DISK: u64 = 5 << 30;
/// Seconds that the clocks of machine and store may differ.
const CLOCK_SKEW: u64 = 60;

#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    Doubtful,
    Bad,
}

struct Check {
    name: &'static str,
    verdict: Verdict,
    found: String,
}

pub fn run(args: &DoctorArgs) -> Result<Output, Failure> {
    let mut checks = vec![version(), memory(), disk("disk", Path::new("."))];
    let device = args.device.open();
    checks.push(match &device {
        Ok(device) => Check { name: "device", verdict: Verdict::Good, found: device.name().to_owned() },
        Err(failure) => Check { name: "device", verdict: Verdict::Bad, found: failure.message.clone() },
    });
    let mut class = ErrorClass::Unavailable;
    match args.store.open() {
        Ok(store) => checks.extend(store_checks(&store)),
        Err(failure) => {
            class = failure.class;
            checks.push(Check { name: "store", verdict: Verdict::Bad, found: failure.message });
        }
    }
    let mut text = String::new();
    for check in &checks {
        let mark = match check.verdict {
            Verdict::Good => "ok",
            Verdict::Doubtful => "look",
            Verdict::Bad => "BAD",
        };
        let _ = writeln!(text, "{mark:<5} {:<18} {}", check.name, check.found);
    }
    if checks.iter().any(|check| check.verdict == Verdict::Bad) {
        return Err(Failure::new(class, format!("something is wrong:\n{text}")));
    }
    let rows: Vec<_> = checks
        .iter()
        .map(|check| json!({ "check": check.name, "good": check.verdict == Verdict::Good, "found": check.found }))
        .collect();
    Ok(Output { text, json: json!({ "checks": rows }) })
}

fn version() -> Check {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let found = format!("tuwen {}, {threads} threads, {}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    Check { name: "version", verdict: Verdict::Good, found }
}

fn memory() -> Check {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    let Some(bytes) = kib.map(|kib| kib << 10) else {
        return Check { name: "memory", verdict: Verdict::Doubtful, found: "not known on this system".to_owned() };
    };
    let verdict = if bytes < LITTLE_MEMORY { Verdict::Doubtful } else { Verdict::Good };
    Check { name: "memory", verdict, found: format!("{:.1} GiB available", gib(bytes)) }
}

/// Free bytes as `df` gives them, which knows every kind of file system.
fn disk(name: &'static str, folder: &Path) -> Check {
    let printed = Command::new("df").arg("-Pk").arg(folder).output().map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&printed);
    let kib = text.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    let Some(bytes) = kib.map(|kib| kib << 10) else {
        return Check { name, verdict: Verdict::Doubtful, found: "free space is not known".to_owned() };
    };
    let verdict = if bytes < LITTLE_DISK { Verdict::Doubtful } else { Verdict::Good };
    Check { name, verdict, found: format!("{:.1} GiB free in {}", gib(bytes), folder.display()) }
}

/// Writing, reading back, listing and removing; create-only writes; the clock.
fn store_checks(store: &Store) -> Vec<Check> {
    let check = |name, result: Result<(Verdict, String), Failure>| match result {
        Ok((verdict, found)) => Check { name, verdict, found },
        Err(failure) => Check { name, verdict: Verdict::Bad, found: failure.message },
    };
    let mut checks = vec![check("store", round_trip(store))];
    if checks.iter().all(|check| check.verdict != Verdict::Bad) {
        checks.push(check("create-only writes", conditional_writes(store)));
        checks.push(check("clock", clock(store)));
    }
    checks
}

fn round_trip(store: &Store) -> Result<(Verdict, String), Failure> {
    let key = format!("probe/{}", new_nonce()?);
    store.replace(&key, key.as_bytes())?;
    let same = store.read(&key)?.is_some_and(|bytes| bytes.as_ref() == key.as_bytes());
    let listed = store.list("probe")?.contains(&key);
    store.remove(&key)?;
    let gone = store.read(&key)?.is_none();
    let found = format!("{}: writes, reads, lists and removes", store.url());
    if same && listed && gone {
        return Ok((Verdict::Good, found));
    }
    Ok((Verdict::Bad, format!("{}: what was written did not read back, list or go away", store.url())))
}

fn conditional_writes(store: &Store) -> Result<(Verdict, String), Failure> {
    let found = ConditionalWrites::of(store)?;
    let verdict = if found == ConditionalWrites::Atomic { Verdict::Good } else { Verdict::Bad };
    Ok((verdict, found.to_string()))
}

fn clock(store: &Store) -> Result<(Verdict, String), Failure> {
    let key = format!("probe/{}", new_nonce()?);
    store.replace(&key, b"clock")?;
    let theirs = store.objects("probe")?.into_iter().find(|object| object.key == key).map(|object| object.modified);
    store.remove(&key)?;
    let theirs = theirs.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok()).map_or(0, |t| t.as_secs());
    let skew = theirs.abs_diff(unix_seconds());
    let verdict = if skew > CLOCK_SKEW { Verdict::Doubtful } else { Verdict::Good };
    Ok((verdict, format!("{skew} s from the store's")))
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1u32 << 30)
}
