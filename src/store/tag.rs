//! Names for releases. A tag that moves gets a new number, so that nothing is ever overwritten.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::release::numbered;
use super::seal::{read_json, to_json};
use super::{Created, Store, StoreError, numbered_release};

#[derive(Debug, Serialize, Deserialize)]
struct Tag {
    /// Always `Tag`.
    kind: String,
    version: u32,
    release: u64,
}

/// Lets `tag` name a release from now on; one that is not there, or goes meanwhile, is an error.
pub fn set_tag(store: &Store, pipeline: &str, tag: &str, release: u64) -> Result<(), StoreError> {
    let prefix = format!("tags/{pipeline}/{tag}");
    let next = store.list(&prefix)?.iter().filter_map(|key| numbered(key)).max().unwrap_or(0) + 1;
    let key = format!("{prefix}/{next:020}.json");
    let tag = Tag { kind: "Tag".to_owned(), version: 1, release };
    match store.create(&key, &to_json(&key, &tag)?)? {
        // `gc` looks for tags after it took a release away, and this looks for the release after the tag: one of them finds out.
        Created::Ours if numbered_release(store, pipeline, release)?.is_some() => Ok(()),
        Created::Ours => {
            store.remove(&key)?;
            Err(StoreError::Collected { pipeline: pipeline.to_owned(), release })
        }
        Created::Taken => Err(StoreError::Conflict { key }),
    }
}

/// Release by tag.
pub fn tagged_releases(store: &Store, pipeline: &str) -> Result<BTreeMap<String, u64>, StoreError> {
    let prefix = format!("tags/{pipeline}/");
    let mut newest: BTreeMap<String, String> = BTreeMap::new();
    for key in store.list(prefix.trim_end_matches('/'))? {
        if let Some((name, _)) = key.strip_prefix(&prefix).and_then(|rest| rest.split_once('/')) {
            // Keys come sorted: the last one is the newest.
            newest.insert(name.to_owned(), key.clone());
        }
    }
    let mut tags = BTreeMap::new();
    for (name, key) in newest {
        if let Some(tag) = read_json::<Tag>(store, &key)? {
            tags.insert(name, tag.release);
        }
    }
    Ok(tags)
}
