//! Releases: numbered, create-only; the highest number is current.
use std::collections::BTreeMap;

use super::seal::{read_json, to_json};
use super::{Created, Store, StoreError, new_nonce};
use crate::data::{ArtifactKey, RELEASE_VERSION, Release};

/// Publishes `artifacts` as the next release, unless the newest release names exactly the same ones.
/// Returns the release in force and whether it is new.
pub fn publish(
    store: &Store,
    pipeline: &str,
    artifacts: &BTreeMap<String, ArtifactKey>,
) -> Result<(Release, bool), StoreError> {
    let newest = latest_release(store, pipeline)?;
    let number = newest.as_ref().map_or(1, |release| release.number + 1);
    if let Some(release) = newest.filter(|release| release.artifacts == *artifacts) {
        return Ok((release, false));
    }
    let release = Release {
        kind: "Release".to_owned(),
        version: RELEASE_VERSION,
        pipeline: pipeline.to_owned(),
        number,
        artifacts: artifacts.clone(),
        nonce: new_nonce()?,
    };
    let key = format!("{}/{number:020}.json", prefix(pipeline));
    match store.create(&key, &to_json(&key, &release)?)? {
        Created::Ours => Ok((release, true)),
        Created::Taken => Err(StoreError::Conflict { key }),
    }
}

/// The release with the highest number.
pub fn latest_release(store: &Store, pipeline: &str) -> Result<Option<Release>, StoreError> {
    let Some(key) = store.list(&prefix(pipeline))?.pop() else {
        return Ok(None);
    };
    read_json(store, &key)
}

/// The release of that number.
pub fn numbered_release(store: &Store, pipeline: &str, number: u64) -> Result<Option<Release>, StoreError> {
    read_json(store, &format!("{}/{number:020}.json", prefix(pipeline)))
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

fn prefix(pipeline: &str) -> String {
    format!("releases/{pipeline}")
}
