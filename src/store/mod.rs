//! Where are the bytes, and are they whole?

mod digest_cache;
mod error;
mod lmdb;
mod local;
mod mapping;
mod objects;
mod parquet;
mod release;
mod remote;
mod row_filter;
mod seal;
mod source;
mod workdir;

use std::path::{Path, PathBuf};

use bytes::Bytes;

pub use digest_cache::DigestCache;
pub use error::StoreError;
pub use lmdb::{ImageStore, ImageStoreWriter, MAX_KEY_BYTES};
pub use local::{sync_folder, write_whole};
pub use mapping::Mapping;
pub use parquet::{TableBatch, TableReader, TableWriter, primitive_column, read_table, text_column, vector_column};
pub use release::{latest_release, numbered_release, pipelines, publish};
pub use row_filter::RowFilter;
pub use seal::{Description, Sealed, digest_file, new_nonce, open_artifact, read_manifest, seal};
pub use source::{SourceFile, SourceFolder};
pub use workdir::Workdir;

use local::LocalStore;
use remote::RemoteStore;

/// Where artifacts, releases and run records live: a local folder or an object store.
#[derive(Debug)]
pub struct Store {
    backend: Backend,
    url: String,
    cache: PathBuf,
}

#[derive(Debug)]
enum Backend {
    Local(LocalStore),
    Remote(RemoteStore),
}

/// How a create-only write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The key holds what we wrote.
    Ours,
    /// The key already held something else.
    Taken,
}

impl Store {
    /// Opens a store by URL: a path, `file://` or `memory://`. `cache` holds scratch folders and, for stores that are
    /// not local, copies of artifacts.
    pub fn open(url: &str, cache: &Path) -> Result<Self, StoreError> {
        let backend = match url.split_once("://") {
            None => Backend::Local(LocalStore::open(Path::new(url))?),
            Some(("file", path)) => Backend::Local(LocalStore::open(Path::new(path))?),
            Some(("memory", _)) => Backend::Remote(RemoteStore::memory()?),
            Some((scheme, _)) => {
                return Err(StoreError::UnknownScheme { scheme: scheme.to_owned(), url: url.to_owned() });
            }
        };
        Ok(Self { backend, url: url.to_owned(), cache: cache.to_owned() })
    }

    /// The URL it was opened with.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The whole object at `key`, or `None`.
    pub fn read(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        match &self.backend {
            Backend::Local(local) => local.read(key),
            Backend::Remote(remote) => remote.read(key),
        }
    }

    /// Writes `key` only if it does not exist. An ambiguous answer is settled by reading the key back.
    pub fn create(&self, key: &str, bytes: &[u8]) -> Result<Created, StoreError> {
        match &self.backend {
            Backend::Local(local) => local.create(key, bytes),
            Backend::Remote(remote) => remote.create(key, bytes),
        }
    }

    /// Writes or replaces `key`, durably.
    pub fn replace(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Local(local) => write_whole(&local.path(key), bytes),
            Backend::Remote(remote) => remote.replace(key, bytes),
        }
    }

    /// Keys below `prefix`, sorted.
    pub fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        match &self.backend {
            Backend::Local(local) => local.list(prefix),
            Backend::Remote(remote) => remote.list(prefix),
        }
    }

    /// Makes the content of `folder` the content of `prefix`; the files count only once a manifest names them.
    fn put_folder(&self, folder: &Path, files: &[String], prefix: &str) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Local(local) => local.adopt_folder(folder, files, prefix),
            Backend::Remote(remote) => remote.put_files(folder, files, prefix),
        }
    }

    /// A local folder with the files of `prefix`.
    fn local_folder(&self, prefix: &str, files: &[crate::data::FileEntry]) -> Result<PathBuf, StoreError> {
        match &self.backend {
            Backend::Local(local) => Ok(local.path(prefix)),
            Backend::Remote(remote) => remote.fetch_folder(prefix, files, &self.cache.join("objects")),
        }
    }

    /// What is known of local files; held by one run at a time.
    pub fn digests(&self) -> DigestCache {
        DigestCache::open(&self.cache)
    }

    /// Where unfinished work lies: beside the artifacts if the store is local, in the cache otherwise.
    fn work_root(&self) -> PathBuf {
        match &self.backend {
            Backend::Local(local) => local.path("work"),
            Backend::Remote(_) => self.cache.join("work"),
        }
    }
}
