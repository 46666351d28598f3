//! Folders in which shards are made and kept, beside artifacts: which of them nobody wants any more.
use std::collections::{BTreeMap, BTreeSet};

use super::{Store, StoreError, StoredObject};

/// Folders below `work/<kind>-<fingerprint>/` that other processes than the planner write to.
const FOLDERS: [&str; 2] = ["shards", "attempts"];

/// Objects by folder, without the folders of artifacts that `live` names and that are not sealed yet.
pub(super) fn left_over(
    store: &Store,
    live: &BTreeSet<String>,
) -> Result<BTreeMap<String, Vec<StoredObject>>, StoreError> {
    let mut found: BTreeMap<String, Vec<StoredObject>> = BTreeMap::new();
    for object in store.objects("work")? {
        let parts: Vec<&str> = object.key.splitn(4, '/').collect();
        if let [root, work, folder, _] = parts[..]
            && FOLDERS.contains(&folder)
        {
            found.entry(format!("{root}/{work}/{folder}")).or_default().push(object);
        }
    }
    let mut unwanted = BTreeMap::new();
    for (prefix, objects) in found {
        if !is_wanted(store, live, &prefix)? {
            unwanted.insert(prefix, objects);
        }
    }
    Ok(unwanted)
}

/// Whether a folder belongs to an artifact that is named and not sealed yet; what is no such folder is not wanted here.
pub(super) fn is_wanted(store: &Store, live: &BTreeSet<String>, prefix: &str) -> Result<bool, StoreError> {
    let Some(artifact) = artifact_prefix(prefix) else { return Ok(false) };
    Ok(live.contains(&artifact) && store.read(&format!("{artifact}/manifest.json"))?.is_none())
}

/// Whether a prefix is that of such a folder.
pub(super) fn is_work(prefix: &str) -> bool {
    artifact_prefix(prefix).is_some()
}

fn artifact_prefix(prefix: &str) -> Option<String> {
    let (kind, fingerprint) = prefix.strip_prefix("work/")?.split('/').next()?.split_once('-')?;
    Some(format!("artifacts/{kind}/{fingerprint}"))
}
