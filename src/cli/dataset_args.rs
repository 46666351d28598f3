//! Which data set a command is about.
use clap::Args;
use serde_json::json;

use super::Failure;
use super::setup::{StoreArgs, find_release};
use crate::data::{ArtifactKey, ArtifactKind, ErrorClass, Fingerprint};
use crate::store::{Sealed, Store, numbered_release, open_artifact};

/// Which data set.
#[derive(Debug, Args)]
pub struct DatasetArgs {
    /// A stage such as `muge` of the newest release, `muge@3` of release 3, or a fingerprint.
    pub name: String,
    #[command(flatten)]
    pub at: PlaceArgs,
}

/// Where data sets are looked for.
#[derive(Debug, Args)]
pub struct PlaceArgs {
    /// Name of the pipeline, where the store has several.
    #[arg(long)]
    pipeline: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

impl DatasetArgs {
    pub fn open(&self) -> Result<Sealed, Failure> {
        self.at.open(&self.name)
    }
}

impl PlaceArgs {
    /// The data set of that name.
    pub fn open(&self, name: &str) -> Result<Sealed, Failure> {
        find(&self.store.open()?, self.pipeline.as_deref(), name)
    }
}

/// The data set that a name means.
fn find(store: &Store, pipeline: Option<&str>, name: &str) -> Result<Sealed, Failure> {
    let not_found = |message: String| Failure::new(ErrorClass::NotFound, message);
    if name.len() >= 8 && name.chars().all(|c| c.is_ascii_hexdigit()) {
        let prefix = format!("artifacts/{}/", ArtifactKind::Dataset);
        let keys = store.list(prefix.trim_end_matches('/'))?;
        let mut found: Vec<&str> = keys
            .iter()
            .filter_map(|key| key.strip_prefix(&prefix)?.strip_suffix("/manifest.json"))
            .filter(|fingerprint| fingerprint.starts_with(name))
            .collect();
        if let (Some(fingerprint), true) = (found.pop(), found.is_empty()) {
            let fingerprint: Fingerprint = serde_json::from_value(json!(fingerprint))
                .map_err(|error| Failure::new(ErrorClass::Internal, error.to_string()))?;
            return Ok(open_artifact(store, &ArtifactKey { kind: ArtifactKind::Dataset, fingerprint })?);
        }
    }
    let (stage, number) = match name.split_once('@') {
        None => (name, None),
        Some((stage, number)) => {
            let number = number.parse::<u64>();
            (
                stage,
                Some(number.map_err(|_| Failure::new(ErrorClass::Usage, format!("`{name}`: expected stage@release")))?),
            )
        }
    };
    let newest = find_release(store, pipeline)?;
    let release = match number {
        None => newest,
        Some(number) => numbered_release(store, &newest.pipeline, number)?
            .ok_or_else(|| not_found(format!("{} has no release {number}", newest.pipeline)))?,
    };
    let datasets = || release.artifacts.iter().filter(|(_, key)| key.kind == ArtifactKind::Dataset);
    match datasets().find(|(id, _)| id.as_str() == stage) {
        Some((_, key)) => Ok(open_artifact(store, key)?),
        None => {
            let known = datasets().map(|(id, _)| id.as_str()).collect::<Vec<_>>().join(", ");
            Err(not_found(format!("no data set `{stage}` in release {}; it has {known}", release.number)))
        }
    }
}
