//! A store behind `object_store`. The trait is asynchronous; the rest of the program is not, so the waiting is here.
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use tokio::runtime::Runtime;

use super::objects::{new_runtime, parse_key};
use super::{Created, StoreError, digest_file, write_whole};
use crate::data::FileEntry;

/// Transfers at the same time.
const CONCURRENCY: usize = 8;

#[derive(Debug)]
pub(super) struct RemoteStore {
    objects: Arc<dyn ObjectStore>,
    runtime: Runtime,
}

impl RemoteStore {
    pub(super) fn memory() -> Result<Self, StoreError> {
        Self::new(Arc::new(InMemory::new()))
    }

    fn new(objects: Arc<dyn ObjectStore>) -> Result<Self, StoreError> {
        Ok(Self { objects, runtime: new_runtime()? })
    }

    pub(super) fn read(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let key = parse_key(key)?;
        self.wait(async {
            match self.objects.get(&key).await {
                Ok(found) => Ok(Some(found.bytes().await?)),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    /// After any error the key is read back: the write may have landed, and `AlreadyExists` may be our own.
    pub(super) fn create(&self, key: &str, bytes: &[u8]) -> Result<Created, StoreError> {
        let path = parse_key(key)?;
        let payload = PutPayload::from(bytes.to_vec());
        let put = self.wait(async { self.objects.put_opts(&path, payload, PutMode::Create.into()).await });
        let Err(error) = put else {
            return Ok(Created::Ours);
        };
        match self.read(key)? {
            Some(present) if present.as_ref() == bytes => Ok(Created::Ours),
            Some(_) => Ok(Created::Taken),
            None => Err(error),
        }
    }

    pub(super) fn replace(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let key = parse_key(key)?;
        let payload = PutPayload::from(bytes.to_vec());
        self.wait(async { self.objects.put(&key, payload).await.map(|_| ()) })
    }

    pub(super) fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let prefix = parse_key(prefix)?;
        let mut keys: Vec<String> = self.wait(async {
            self.objects.list(Some(&prefix)).map_ok(|meta| meta.location.to_string()).try_collect().await
        })?;
        keys.sort();
        Ok(keys)
    }

    pub(super) fn put_files(&self, folder: &Path, files: &[String], prefix: &str) -> Result<(), StoreError> {
        let transfers = files.iter().map(|file| async move {
            let path = folder.join(file);
            let bytes = fs::read(&path).map_err(StoreError::io(&path))?;
            let key = parse_key(&format!("{prefix}/{file}"))?;
            let put = self.objects.put(&key, PutPayload::from(bytes)).await;
            put.map(|_| ()).map_err(|source| StoreError::Object { source })
        });
        self.runtime.block_on(async {
            futures::stream::iter(transfers).buffer_unordered(CONCURRENCY).try_collect::<Vec<()>>().await
        })?;
        Ok(())
    }

    /// Copies files into `cache`; one that is there with the right digest is kept.
    pub(super) fn fetch_folder(&self, prefix: &str, files: &[FileEntry], cache: &Path) -> Result<PathBuf, StoreError> {
        let folder = cache.join(prefix);
        for file in files {
            let path = folder.join(&file.path);
            if path.exists() && digest_file(&path)? == (file.bytes, file.digest.clone()) {
                continue;
            }
            let key = format!("{prefix}/{}", file.path);
            let bytes = self
                .read(&key)?
                .ok_or_else(|| StoreError::NoArtifact { key: key.clone(), store: "the object store".to_owned() })?;
            if blake3::hash(&bytes).to_hex().as_str() != file.digest {
                let (expected, digest) = (file.bytes, file.digest.clone());
                return Err(StoreError::Damaged { key, expected, digest });
            }
            write_whole(&path, &bytes)?;
        }
        Ok(folder)
    }

    fn wait<T>(&self, work: impl Future<Output = object_store::Result<T>>) -> Result<T, StoreError> {
        self.runtime.block_on(work).map_err(|source| StoreError::Object { source })
    }
}
