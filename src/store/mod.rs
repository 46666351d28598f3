//! Where are the bytes, and are they whole?

mod cache;
mod digest_cache;
mod error;
mod garbage;
mod lease;
mod left_over;
mod lmdb;
mod lmdb_builder;
mod local;
mod mapping;
mod objects;
mod parquet;
mod probe;
mod release;
mod remote;
mod remote_file;
mod row_filter;
mod seal;
mod shards;
mod source;
mod sources;
mod tag;
mod transfer;
mod workdir;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use object_store::ObjectStore;
use object_store::memory::InMemory;

use crate::data::FileEntry;

pub use digest_cache::DigestCache;
pub use error::StoreError;
pub use garbage::{GarbageOptions, GarbageStats, collect_garbage};
pub use lease::{Clock, Lease, LeaseHolder};
pub use lmdb::{ImageStore, MAX_KEY_BYTES};
pub use lmdb_builder::{
    FileDigest, ImageStoreBuilder, LmdbBuilder, MAX_VALUE_BYTES, Sheet, SheetPlace, SheetPool, StoredImage,
};
pub use local::{sync_folder, write_whole};
pub use mapping::Mapping;
pub use parquet::{
    TableBatch, TableReader, TableWriter, primitive_column, read_table, text_column, u32_list_column, vector_column,
};
pub use probe::ConditionalWrites;
pub use release::{Publication, latest_release, numbered_release, pipelines, publish, release_numbers, was_collected};
pub use row_filter::RowFilter;
pub use seal::{Description, Sealed, digest_file, new_nonce, open_artifact, read_manifest, seal};
pub use shards::{FinishedShard, ShardStore};
pub use source::{SourceFile, SourceFolder};
pub use sources::Sources;
pub use tag::{set_tag, tagged_releases};
pub use transfer::Traffic;
pub use workdir::{Attempt, Workdir};

use local::LocalStore;
use objects::connect;
use remote::RemoteStore;

/// Where artifacts, releases and run records live: a local folder or an object store.
#[derive(Debug)]
pub struct Store {
    backend: Backend,
    url: String,
    options: StoreOptions,
    traffic: Arc<Traffic>,
}

#[derive(Debug)]
enum Backend {
    Local(LocalStore),
    Remote(RemoteStore),
}

/// How a store is used.
#[derive(Debug, Clone, Default)]
pub struct StoreOptions {
    /// Scratch folders and, for stores that are not local, copies of artifacts.
    pub cache: PathBuf,
    /// Size that copies of artifacts are kept to, as far as they are not in use.
    pub cache_bytes: Option<u64>,
    /// Requests that this process may make; more are an error.
    pub request_budget: Option<u64>,
}

impl StoreOptions {
    /// A cache without a limit, and as many requests as it takes.
    pub fn cached_in(cache: &Path) -> Self {
        Self { cache: cache.to_owned(), ..Self::default() }
    }
}

/// An object as a listing gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    pub key: String,
    pub bytes: u64,
    pub modified: SystemTime,
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
    /// Opens a store by URL: a path, `file://`, `s3://`, `gs://`, `az://` or `memory://`; credentials come from the
    /// provider's own variables.
    pub fn open(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let path = match url.split_once("://") {
            None => url,
            Some(("file", path)) => path,
            Some(("memory", _)) => return Self::of_objects(url, Arc::new(InMemory::new()), options),
            Some(_) => return Self::of_objects(url, connect(url)?, options),
        };
        let (backend, url) = (Backend::Local(LocalStore::open(Path::new(path))?), url.trim_end_matches('/').to_owned());
        let traffic = Arc::new(Traffic::new(options.request_budget));
        Ok(Self { backend, url, options, traffic })
    }

    /// A store whose objects somebody else holds.
    pub fn of_objects(url: &str, objects: Arc<dyn ObjectStore>, options: StoreOptions) -> Result<Self, StoreError> {
        let traffic = Arc::new(Traffic::new(options.request_budget));
        let backend = Backend::Remote(RemoteStore::new(objects, &options, &traffic)?);
        Ok(Self { backend, url: url.trim_end_matches('/').to_owned(), options, traffic })
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

    /// Removes `key`; what is not there is as good as removed.
    pub fn remove(&self, key: &str) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Local(local) => local.remove(key),
            Backend::Remote(remote) => remote.remove(key),
        }
    }

    /// Removes several keys.
    fn remove_all(&self, keys: &[String]) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Local(local) => keys.iter().try_for_each(|key| local.remove(key)),
            Backend::Remote(remote) => remote.remove_all(keys),
        }
    }

    /// Removes the empty folders that removed objects leave in a local store.
    fn remove_empty(&self, prefix: &str) {
        if let Backend::Local(local) = &self.backend {
            local.remove_empty(prefix);
        }
    }

    /// Keys below `prefix`, sorted.
    pub fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        Ok(self.objects(prefix)?.into_iter().map(|object| object.key).collect())
    }

    /// Objects below `prefix`, sorted by key.
    pub fn objects(&self, prefix: &str) -> Result<Vec<StoredObject>, StoreError> {
        let mut objects = match &self.backend {
            Backend::Local(local) => local.list(prefix)?,
            Backend::Remote(remote) => remote.list(prefix)?,
        };
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }

    /// BLAKE3 of an object of `bytes` bytes, as it lies in the store: no copy of it counts.
    pub fn digest(&self, key: &str, bytes: u64) -> Result<String, StoreError> {
        match &self.backend {
            Backend::Local(local) => Ok(digest_file(&local.path(key))?.1),
            Backend::Remote(remote) => remote.digest(key, bytes),
        }
    }

    /// What moved between this machine and object stores: this one, and the sources that were opened for it.
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// Whether artifacts lie on this machine.
    pub fn is_local(&self) -> bool {
        matches!(self.backend, Backend::Local(_))
    }

    /// Makes the content of `folder` the content of `prefix`; the files count only once a manifest names them.
    fn put_folder(&self, folder: &Path, files: &[FileEntry], prefix: &str) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Local(local) => local.adopt_folder(folder, files, prefix),
            Backend::Remote(remote) => remote.put_files(folder, files, prefix),
        }
    }

    /// Puts files to where their digests say below `prefix`; a local store moves them.
    fn put_by_digest(&self, folder: &Path, files: &[FileEntry], prefix: &str) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Local(local) => local.put_by_digest(folder, files, prefix),
            Backend::Remote(remote) => remote.put_files(folder, files, prefix),
        }
    }

    /// Makes a file that `put_by_digest` put there appear at `path`, once its length and digest were found to be right.
    fn fetch_by_digest(&self, prefix: &str, file: &FileEntry, path: &Path) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Local(local) => local.link_by_digest(prefix, file, path),
            Backend::Remote(remote) => remote.fetch_file(prefix, file, path),
        }
    }

    /// The key of a file of the artifact at `prefix`.
    pub fn file_key(&self, prefix: &str, file: &FileEntry) -> String {
        match &self.backend {
            Backend::Local(_) => format!("{prefix}/{}", file.path),
            Backend::Remote(_) => remote::object_key(prefix, file),
        }
    }

    /// Keeps what was made in `folder` as the copy of the sealed artifact at `prefix`.
    fn adopt(&self, folder: &Path, files: &[FileEntry], prefix: &str) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Local(_) => Ok(()),
            Backend::Remote(remote) => remote.adopt(folder, files, prefix),
        }
    }

    /// A local folder with the files of `prefix`.
    fn local_folder(&self, prefix: &str, files: &[FileEntry]) -> Result<PathBuf, StoreError> {
        match &self.backend {
            Backend::Local(local) => Ok(local.path(prefix)),
            Backend::Remote(remote) => remote.fetch_folder(prefix, files),
        }
    }

    /// Where unfinished work lies: beside the artifacts if the store is local, in the cache otherwise.
    fn work_root(&self) -> PathBuf {
        match &self.backend {
            Backend::Local(local) => local.path("work"),
            Backend::Remote(_) => self.options.cache.join("work"),
        }
    }
}
