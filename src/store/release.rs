//! Releases: numbered, create-only; the highest number is current.
use std::collections::BTreeMap;

use super::seal::{read_json, read_manifest, to_json};
use super::{Created, Store, StoreError, new_nonce};
use crate::data::{ArtifactKey, RELEASE_VERSION, Release};

/// What is to be published.
#[derive(Debug, Clone, Default)]
pub struct Publication<'a> {
    pub pipeline: &'a str,
    pub artifacts: BTreeMap<String, ArtifactKey>,
    /// Number of the newest release when the work was planned, 0 if there was none. If another one came since, this
    /// work rests on what is no longer current and is refused: whoever paused and woke late cannot undo newer work.
    pub base: u64,
    pub run_id: Option<String>,
    pub rollback_to: Option<u64>,
    pub gate: Option<String>,
}

/// Publishes the next release, unless the newest one names exactly the same artifacts. Returns the release in force
/// and whether it is new.
pub fn publish(store: &Store, publication: Publication<'_>) -> Result<(Release, bool), StoreError> {
    let Publication { pipeline, artifacts, base, run_id, rollback_to, gate } = publication;
    let newest = latest_release(store, pipeline)?;
    if let Some(release) = newest.as_ref().filter(|release| release.artifacts == artifacts) {
        return Ok((release.clone(), false));
    }
    let number = base + 1;
    let key = release_key(pipeline, number);
    if newest.map_or(0, |release| release.number) != base {
        return Err(StoreError::Conflict { key });
    }
    let release = Release {
        kind: "Release".to_owned(),
        version: RELEASE_VERSION,
        pipeline: pipeline.to_owned(),
        number,
        artifacts,
        run_id,
        rollback_to,
        gate,
        nonce: new_nonce()?,
    };
    match store.create(&key, &to_json(&key, &release)?)? {
        Created::Ours => Ok((release, true)),
        Created::Taken => Err(StoreError::Conflict { key }),
    }
}

/// The release with the highest number.
pub fn latest_release(store: &Store, pipeline: &str) -> Result<Option<Release>, StoreError> {
    let Some(number) = release_numbers(store, pipeline)?.pop() else {
        return Ok(None);
    };
    numbered_release(store, pipeline, number)
}

/// The release of that number.
pub fn numbered_release(store: &Store, pipeline: &str, number: u64) -> Result<Option<Release>, StoreError> {
    read_json(store, &release_key(pipeline, number))
}

/// Whether garbage collection took a release away that somebody still reads: it is no longer current, and it or something it
/// names is gone. What a current release lacks is damage.
pub fn was_collected(store: &Store, release: &Release) -> Result<bool, StoreError> {
    if latest_release(store, &release.pipeline)?.is_none_or(|latest| latest.number <= release.number) {
        return Ok(false);
    }
    if numbered_release(store, &release.pipeline, release.number)?.is_none() {
        return Ok(true);
    }
    for key in release.artifacts.values() {
        if read_manifest(store, key)?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Numbers of all releases, ascending.
pub fn release_numbers(store: &Store, pipeline: &str) -> Result<Vec<u64>, StoreError> {
    let keys = store.list(&format!("releases/{pipeline}"))?;
    Ok(keys.iter().filter_map(|key| numbered(key)).collect())
}

/// Names of the pipelines that ever published, sorted.
pub fn pipelines(store: &Store) -> Result<Vec<String>, StoreError> {
    let mut names: Vec<String> = store
        .list("releases")?
        .iter()
        .filter_map(|key| key.strip_prefix("releases/")?.split('/').next().map(str::to_owned))
        .collect();
    names.dedup();
    Ok(names)
}

/// The number in the last part of a key such as `…/00000000000000000042.json`.
pub(super) fn numbered(key: &str) -> Option<u64> {
    key.rsplit('/').next()?.strip_suffix(".json")?.parse().ok()
}

/// Where a release stands.
pub(super) fn release_key(pipeline: &str, number: u64) -> String {
    format!("releases/{pipeline}/{number:020}.json")
}
