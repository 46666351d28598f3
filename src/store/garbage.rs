//! Removes what no release, tag or recent run names: marked by one call, removed by a later one after a grace. Shards of
//! an artifact that is sealed, or that nothing names, are such things too.
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::left_over::{is_wanted, is_work, left_over};
use super::release::release_key;
use super::seal::read_json;
use super::shards::is_receipt;
use super::tag::tagged_releases;
use super::{Store, StoreError, StoredObject, numbered_release, pipelines, release_numbers};
use crate::data::{ArtifactKey, Manifest};

/// When each unnamed artifact was first seen so.
const MARKS: &str = "gc/marks.json";

/// A run that is said to be at work since then was killed.
const FORGOTTEN: Duration = Duration::from_hours(30 * 24);

/// What is kept.
#[derive(Debug, Clone)]
pub struct GarbageOptions {
    /// The newest releases of every pipeline; tagged ones stay in any case.
    pub releases: usize,
    /// The newest run records, with the artifacts they name.
    pub runs: usize,
    /// Time between mark and removal, and age below which nothing is touched.
    pub grace: Duration,
    pub now: SystemTime,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What was found and done.
#[derive(Debug, Clone, Default, Serialize)]
pub struct GarbageStats {
    pub live_artifacts: u64,
    /// Prefixes that were removed, or would be.
    pub removed: Vec<String>,
    pub removed_bytes: u64,
    /// Prefixes that nothing names and that wait for their grace to pass.
    pub waiting: Vec<String>,
    /// Releases past retention that were removed, or would be.
    pub removed_releases: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Marks {
    /// Seconds since 1970 by prefix.
    first_seen: BTreeMap<String, u64>,
}

/// What is said in a store of what is needed.
struct Named {
    /// Prefixes of the artifacts that kept releases, tags and recent runs name.
    live: BTreeSet<String>,
    /// Pipeline and number of the releases past retention.
    old: Vec<(String, u64)>,
}

/// Collects the garbage of a store. Releases past retention go before what they name. All manifests and receipts go before any other object, so that nobody can begin to use what is only
/// half there, and an interrupted call leaves nothing that looks whole. `still_ours` is asked before everything that goes.
pub fn collect_garbage(
    store: &Store,
    options: &GarbageOptions,
    still_ours: &dyn Fn() -> Result<(), StoreError>,
) -> Result<GarbageStats, StoreError> {
    let mut stats = GarbageStats { removed_releases: retire(store, options, still_ours)?, ..GarbageStats::default() };
    let Named { mut live, .. } = named(store, options)?;
    close_over_homes(store, &mut live)?;
    stats.live_artifacts = live.len() as u64;
    let marks: Marks = read_json(store, MARKS)?.unwrap_or_default();
    let now = seconds(options.now);
    let mut next = Marks::default();
    let mut condemned = Vec::new();
    let unnamed = artifacts(store)?.into_iter().filter(|(prefix, _)| !live.contains(prefix));
    for (prefix, objects) in unnamed.chain(left_over(store, &live)?) {
        let first_seen = marks.first_seen.get(&prefix).copied().unwrap_or(now);
        next.first_seen.insert(prefix.clone(), first_seen);
        let newest = objects.iter().map(|object| seconds(object.modified)).max().unwrap_or(0);
        let age = now.saturating_sub(first_seen.max(newest));
        // A mark of this very call is no mark yet: somebody may be about to name the artifact.
        if marks.first_seen.contains_key(&prefix) && age >= options.grace.as_secs() {
            condemned.push((prefix, objects));
        } else {
            stats.waiting.push(prefix);
        }
    }
    // What waits may still be named, and needs the files that it shares.
    let mut waiting: BTreeSet<String> = stats.waiting.iter().cloned().collect();
    close_over_homes(store, &mut waiting)?;
    let (kept, mut condemned): (Vec<_>, Vec<_>) =
        condemned.into_iter().partition(|(prefix, _)| waiting.contains(prefix));
    stats.waiting.extend(kept.into_iter().map(|(prefix, _)| prefix));
    if !options.dry_run {
        let mut rest = Vec::new();
        for (prefix, objects) in std::mem::take(&mut condemned) {
            still_ours()?;
            if names_now(store, options, &prefix)? {
                continue;
            }
            let manifest = format!("{prefix}/manifest.json");
            let counts = |object: &StoredObject| {
                if is_work(&prefix) { is_receipt(&object.key) } else { object.key == manifest }
            };
            objects.iter().filter(|object| counts(object)).try_for_each(|object| store.remove(&object.key))?;
            rest.push((prefix, objects));
        }
        condemned = rest;
        for (prefix, objects) in &condemned {
            still_ours()?;
            objects.iter().try_for_each(|object| store.remove(&object.key))?;
            if is_work(prefix) {
                store.remove_empty(prefix);
            }
        }
    }
    for (prefix, objects) in condemned {
        next.first_seen.remove(&prefix);
        stats.removed_bytes += objects.iter().map(|object| object.bytes).sum::<u64>();
        stats.removed.push(prefix);
    }
    if !options.dry_run {
        still_ours()?;
        let json = serde_json::to_vec(&next).map_err(|source| StoreError::Json { key: MARKS.to_owned(), source })?;
        store.replace(MARKS, &json)?;
    }
    Ok(stats)
}

/// Removes the releases past retention. One that is tagged in this very moment comes back; whoever tags it later finds it gone.
fn retire(
    store: &Store,
    options: &GarbageOptions,
    still_ours: &dyn Fn() -> Result<(), StoreError>,
) -> Result<Vec<String>, StoreError> {
    let mut retired = Vec::new();
    for (pipeline, number) in named(store, options)?.old {
        let key = release_key(&pipeline, number);
        if !options.dry_run {
            still_ours()?;
            let Some(record) = store.read(&key)? else { continue };
            store.remove(&key)?;
            if tagged_releases(store, &pipeline)?.into_values().any(|tagged| tagged == number) {
                store.create(&key, &record)?;
                continue;
            }
        }
        retired.push(key);
    }
    Ok(retired)
}

/// Whether a release or run that came meanwhile names the artifact, or the one that shards belong to.
fn names_now(store: &Store, options: &GarbageOptions, prefix: &str) -> Result<bool, StoreError> {
    let Named { mut live, .. } = named(store, options)?;
    close_over_homes(store, &mut live)?;
    Ok(live.contains(prefix) || is_wanted(store, &live, prefix)?)
}

fn named(store: &Store, options: &GarbageOptions) -> Result<Named, StoreError> {
    let mut live = BTreeSet::new();
    let mut old = Vec::new();
    for pipeline in pipelines(store)? {
        let tagged: BTreeSet<u64> = tagged_releases(store, &pipeline)?.into_values().collect();
        let numbers = release_numbers(store, &pipeline)?;
        let first_kept = numbers.len().saturating_sub(options.releases.max(1));
        for (at, number) in numbers.into_iter().enumerate() {
            if at < first_kept && !tagged.contains(&number) {
                old.push((pipeline.clone(), number));
            } else if let Some(release) = numbered_release(store, &pipeline, number)? {
                live.extend(release.artifacts.values().map(ArtifactKey::prefix));
            }
        }
    }
    let is_record = |object: &StoredObject| object.key.matches('/').count() == 1 && object.key.ends_with(".json");
    let mut runs: Vec<StoredObject> = store.objects("runs")?.into_iter().filter(is_record).collect();
    runs.sort_by_key(|run| std::cmp::Reverse(run.modified));
    for (at, run) in runs.iter().enumerate() {
        let old = options.now.duration_since(run.modified).is_ok_and(|age| age > FORGOTTEN);
        if at >= options.runs && old {
            break;
        }
        let record: Option<serde_json::Value> = read_json(store, &run.key)?;
        // A run at work keeps what it names, however many came after it.
        let is_running =
            record.as_ref().is_some_and(|record| record.get("state").is_some_and(|state| state == "running"));
        if at >= options.runs && !is_running {
            continue;
        }
        let steps = record.as_ref().and_then(|record| record.get("steps")?.as_array()).into_iter().flatten();
        for step in steps {
            let key = step.get("artifact").cloned().and_then(|key| serde_json::from_value::<ArtifactKey>(key).ok());
            live.extend(key.map(|key| key.prefix()));
        }
    }
    Ok(Named { live, old })
}

/// Artifacts whose files a live one shares are live too.
fn close_over_homes(store: &Store, live: &mut BTreeSet<String>) -> Result<(), StoreError> {
    let mut queue: Vec<String> = live.iter().cloned().collect();
    while let Some(prefix) = queue.pop() {
        let manifest: Option<Manifest> = read_json(store, &format!("{prefix}/manifest.json"))?;
        for home in manifest.into_iter().flat_map(|manifest| manifest.files).filter_map(|file| file.home) {
            if live.insert(home.prefix()) {
                queue.push(home.prefix());
            }
        }
    }
    Ok(())
}

/// Objects by artifact; what a killed upload left has a prefix too.
fn artifacts(store: &Store) -> Result<BTreeMap<String, Vec<StoredObject>>, StoreError> {
    let mut found: BTreeMap<String, Vec<StoredObject>> = BTreeMap::new();
    for object in store.objects("artifacts")? {
        let parts: Vec<&str> = object.key.splitn(4, '/').collect();
        if let [root, kind, fingerprint, _] = parts[..] {
            found.entry(format!("{root}/{kind}/{fingerprint}")).or_default().push(object);
        }
    }
    Ok(found)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
