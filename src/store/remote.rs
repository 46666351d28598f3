//! A store behind `object_store`. The trait is asynchronous; the rest of the program is not, so the waiting is here.
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use tokio::runtime::Runtime;

use super::cache::ArtifactCache;
use super::objects::{new_runtime, parse_key};
use super::transfer::{Traffic, digest_object, download, upload};
use super::{Created, StoreError, StoreOptions, StoredObject};
use crate::data::FileEntry;

/// Files under way at the same time.
const CONCURRENCY: usize = 4;
/// What the client does not repeat by itself on a broken connection is tried again this often, after a wait that doubles.
const AGAIN: u32 = 3;
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// About 512 KiB, several times what is under way unread: a server that looks whether a key is there before it takes the body
/// then looks for all writers before the first is done, however busy it is.
const RACE_REPEATS: usize = 56_000;

#[derive(Debug)]
pub(super) struct RemoteStore {
    objects: Arc<dyn ObjectStore>,
    runtime: Runtime,
    cache: ArtifactCache,
    traffic: Arc<Traffic>,
}

/// Where a file of an artifact lies. With its digest in the key, two runs that make the same artifact differently at the same
/// time do not write over each other: the manifest that is sealed first names its own files.
pub(super) fn object_key(prefix: &str, file: &FileEntry) -> String {
    format!("{prefix}/{}/{}", file.digest, file.path)
}

impl RemoteStore {
    pub(super) fn new(
        objects: Arc<dyn ObjectStore>,
        options: &StoreOptions,
        traffic: &Arc<Traffic>,
    ) -> Result<Self, StoreError> {
        let cache = ArtifactCache::new(options.cache.join("objects"), options.cache_bytes);
        Ok(Self { objects, runtime: new_runtime()?, cache, traffic: Arc::clone(traffic) })
    }

    pub(super) fn read(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let key = parse_key(key)?;
        self.traffic.request()?;
        let read = self.wait(async {
            match self.objects.get(&key).await {
                Ok(found) => Ok(Some(found.bytes().await?)),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        })?;
        self.traffic.add_received(read.as_ref().map_or(0, Bytes::len));
        Ok(read)
    }

    /// After any error the key is read back: the write may have landed, and `AlreadyExists` may be our own. What did not land is
    /// tried again.
    pub(super) fn create(&self, key: &str, bytes: &[u8]) -> Result<Created, StoreError> {
        let mut tries = 0;
        loop {
            let Err(error) = self.create_once(key, bytes) else {
                return Ok(Created::Ours);
            };
            match self.read(key)? {
                Some(present) if present.as_ref() == bytes => return Ok(Created::Ours),
                Some(_) => return Ok(Created::Taken),
                None if tries < AGAIN && error.is_of_connection() => self.runtime.block_on(wait_again(&mut tries)),
                None => return Err(error),
            }
        }
    }

    /// A create-only write whose answer is taken as it comes.
    fn create_once(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = parse_key(key)?;
        let payload = PutPayload::from(bytes.to_vec());
        self.traffic.request()?;
        self.wait(async { self.objects.put_opts(&path, payload, PutMode::Create.into()).await })?;
        self.traffic.add_sent(bytes.len());
        Ok(())
    }

    /// How many of `writers` that create the same key at once are told that they did.
    pub(super) fn race(&self, key: &str, writers: usize) -> Result<usize, StoreError> {
        let path = parse_key(key)?;
        let writes: Vec<_> = (0..writers)
            .map(|writer| {
                let (objects, path) = (Arc::clone(&self.objects), path.clone());
                let payload = PutPayload::from(format!("writer {writer} ").repeat(RACE_REPEATS).into_bytes());
                let write = async move {
                    let mut tries = 0;
                    loop {
                        match objects.put_opts(&path, payload.clone(), PutMode::Create.into()).await {
                            Err(object_store::Error::Generic { .. }) if tries < AGAIN => wait_again(&mut tries).await,
                            written => return written,
                        }
                    }
                };
                self.traffic.request().map(|()| self.runtime.spawn(write))
            })
            .collect::<Result<_, _>>()?;
        self.runtime.block_on(async {
            let mut won = 0;
            for write in writes {
                match write.await {
                    Ok(Ok(_)) => won += 1,
                    Ok(Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. })) => {}
                    Ok(Err(source)) => return Err(StoreError::Object { source }),
                    Err(_) => {}
                }
            }
            Ok(won)
        })
    }

    pub(super) fn replace(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let key = parse_key(key)?;
        let payload = PutPayload::from(bytes.to_vec());
        self.traffic.request()?;
        self.wait(async { self.objects.put(&key, payload).await.map(|_| ()) })?;
        self.traffic.add_sent(bytes.len());
        Ok(())
    }

    pub(super) fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.runtime.block_on(self.remove_one(key))
    }

    /// What is not there is removed.
    async fn remove_one(&self, key: &str) -> Result<(), StoreError> {
        let key = parse_key(key)?;
        let mut tries = 0;
        loop {
            self.traffic.request()?;
            match self.objects.delete(&key).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => return Ok(()),
                Err(object_store::Error::Generic { .. }) if tries < AGAIN => wait_again(&mut tries).await,
                Err(error) => return Err(StoreError::object(error)),
            }
        }
    }

    pub(super) fn remove_all(&self, keys: &[String]) -> Result<(), StoreError> {
        let removals = keys.iter().map(|key| self.remove_one(key));
        self.runtime.block_on(async {
            futures::stream::iter(removals).buffer_unordered(CONCURRENCY).try_collect::<Vec<()>>().await
        })?;
        Ok(())
    }

    pub(super) fn list(&self, prefix: &str) -> Result<Vec<StoredObject>, StoreError> {
        let prefix = parse_key(prefix)?;
        self.traffic.request()?;
        let object = |meta: ObjectMeta| StoredObject {
            key: meta.location.to_string(),
            bytes: meta.size,
            modified: SystemTime::from(meta.last_modified),
        };
        self.wait(async { self.objects.list(Some(&prefix)).map_ok(object).try_collect().await })
    }

    pub(super) fn digest(&self, key: &str, bytes: u64) -> Result<String, StoreError> {
        let key = parse_key(key)?;
        self.runtime.block_on(digest_object(&self.objects, &key, bytes, &self.traffic))
    }

    /// Sends the files of an artifact.
    pub(super) fn put_files(&self, folder: &Path, files: &[FileEntry], prefix: &str) -> Result<(), StoreError> {
        let transfers = files.iter().map(|file| async move {
            let key = parse_key(&object_key(prefix, file))?;
            upload(self.objects.as_ref(), &folder.join(&file.path), &key, &self.traffic).await
        });
        self.runtime.block_on(async {
            futures::stream::iter(transfers).buffer_unordered(CONCURRENCY).try_collect::<Vec<()>>().await
        })?;
        Ok(())
    }

    /// Makes the files of an artifact that was made here its copy.
    pub(super) fn adopt(&self, folder: &Path, files: &[FileEntry], prefix: &str) -> Result<(), StoreError> {
        self.cache.adopt(folder, prefix, files)
    }

    /// Reads one file to `path`, outside the cache.
    pub(super) fn fetch_file(&self, prefix: &str, file: &FileEntry, path: &Path) -> Result<(), StoreError> {
        let key = parse_key(&object_key(prefix, file))?;
        self.runtime.block_on(download(&self.objects, &key, file, path, &self.traffic))
    }

    /// Copies the files of an artifact into the cache, but for those that are there.
    pub(super) fn fetch_folder(&self, prefix: &str, files: &[FileEntry]) -> Result<PathBuf, StoreError> {
        let folder = self.cache.hold(prefix)?;
        let missing = ArtifactCache::missing(&folder, files);
        if missing.is_empty() {
            return Ok(folder);
        }
        self.cache.trim()?;
        let transfers = missing.iter().map(|file| {
            let path = folder.join(&file.path);
            async move {
                let key = parse_key(&object_key(prefix, file))?;
                download(&self.objects, &key, file, &path, &self.traffic).await
            }
        });
        self.runtime.block_on(async {
            futures::stream::iter(transfers).buffer_unordered(CONCURRENCY).try_collect::<Vec<()>>().await
        })?;
        ArtifactCache::note(&folder, &missing)?;
        Ok(folder)
    }

    fn wait<T>(&self, work: impl Future<Output = object_store::Result<T>>) -> Result<T, StoreError> {
        self.runtime.block_on(work).map_err(StoreError::object)
    }
}

async fn wait_again(tries: &mut u32) {
    tokio::time::sleep(FIRST_WAIT * 2u32.pow(*tries)).await;
    *tries += 1;
}
