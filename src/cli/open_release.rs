//! A release whose index and pictures are at hand: what `search` and `report --serve` ask.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Failure;
use crate::data::{ArtifactKey, ArtifactKind, ErrorClass, Release};
use crate::index::{Document, Searcher};
use crate::ingest::Dataset;
use crate::model::{Checkpoint, ComputeDevice, Encoder, Precision};
use crate::stage::StageError;
use crate::store::{Store, StoreError, open_artifact};

/// A release with its index. Data sets are opened when a picture is asked for.
pub struct OpenRelease {
    pub release: Release,
    pub searcher: Searcher,
    store: Arc<Store>,
    datasets: Mutex<BTreeMap<String, Arc<Dataset>>>,
}

impl OpenRelease {
    pub fn new(store: Arc<Store>, release: Release) -> Result<Self, Failure> {
        let index = artifact(&release, ArtifactKind::Index)?;
        let searcher = Searcher::open(&open_artifact(&store, index)?.folder)?;
        Ok(Self { release, searcher, store, datasets: Mutex::default() })
    }

    /// The model that the index was built with, for queries.
    pub fn encoder(&self, device: &ComputeDevice) -> Result<Encoder, Failure> {
        let folder = open_artifact(&self.store, &self.searcher.about().model)?.folder;
        let Checkpoint { config, state } = Checkpoint::open(&folder)?;
        Ok(Encoder::new(&config, state, device, Precision::Fp32)?)
    }

    /// Names of the data sets of the release.
    pub fn dataset_names(&self) -> impl Iterator<Item = &str> {
        let datasets = self.release.artifacts.iter().filter(|(_, key)| key.kind == ArtifactKind::Dataset);
        datasets.map(|(name, _)| name.as_str())
    }

    pub fn dataset(&self, name: &str) -> Result<Arc<Dataset>, StageError> {
        let mut datasets = self.datasets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dataset) = datasets.get(name) {
            return Ok(Arc::clone(dataset));
        }
        let missing = || StoreError::NoArtifact { key: name.to_owned(), store: self.store.url().to_owned() };
        let key = self.release.artifacts.get(name).ok_or_else(missing)?;
        let dataset = Arc::new(Dataset::open(&open_artifact(&self.store, key)?)?);
        datasets.insert(name.to_owned(), Arc::clone(&dataset));
        Ok(dataset)
    }

    /// The bytes of a document's image, or `None` for a text without one.
    pub fn picture(&self, document: &Document) -> Result<Option<Vec<u8>>, StageError> {
        if document.image_id.is_empty() {
            return Ok(None);
        }
        self.dataset(&document.data)?.image_bytes(&document.image_id).map(Some)
    }
}

/// The artifact of a kind that a release has one of.
pub fn artifact(release: &Release, kind: ArtifactKind) -> Result<&ArtifactKey, Failure> {
    release.artifacts.values().find(|key| key.kind == kind).ok_or_else(|| {
        let message =
            format!("release {} of {} has no {kind}; add a stage of kind {kind}", release.number, release.pipeline);
        Failure::new(ErrorClass::NotFound, message)
    })
}
