//! How files of others are reached: digests of local ones are remembered, requests for remote ones are counted.
use std::sync::Arc;

use super::digest_cache::DigestCache;
use super::source::SourceFolder;
use super::transfer::Traffic;
use super::{Store, StoreError};

/// Opens sources for one process; its requests count against the budget of the store.
#[derive(Debug, Default)]
pub struct Sources {
    /// Digests of local files that did not change.
    pub digests: DigestCache,
    traffic: Arc<Traffic>,
}

impl Sources {
    /// Remembers what is known in the cache of a store; that is held by one run at a time.
    pub fn of(store: &Store) -> Self {
        Self { digests: DigestCache::open(&store.options.cache), traffic: Arc::clone(&store.traffic) }
    }

    /// Remembers nothing of local files.
    pub fn forgetful(store: &Store) -> Self {
        Self { digests: DigestCache::none(), traffic: Arc::clone(&store.traffic) }
    }

    /// Opens a source by path or URL.
    pub fn open(&self, root: &str) -> Result<SourceFolder, StoreError> {
        Ok(SourceFolder::open(root)?.counted_by(&self.traffic))
    }
}
