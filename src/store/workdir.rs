//! The scratch folder of one fingerprint: `out` becomes the artifact, `scratch` survives a kill for the next try.
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use super::{Store, StoreError};
use crate::data::ArtifactKey;

/// An open, locked scratch folder.
#[derive(Debug)]
pub struct Workdir {
    root: PathBuf,
    out: PathBuf,
    scratch: PathBuf,
    _lock: File,
}

impl Workdir {
    /// Opens the scratch folder of an artifact; one that another process holds is an error.
    pub fn open(store: &Store, artifact: &ArtifactKey) -> Result<Self, StoreError> {
        let root = store.work_root().join(format!("{}-{}", artifact.kind, artifact.fingerprint));
        let out = root.join("out");
        let scratch = root.join("scratch");
        for folder in [&out, &scratch] {
            fs::create_dir_all(folder).map_err(StoreError::io(folder))?;
        }
        let path = root.join("lock");
        let lock = File::create(&path).map_err(StoreError::io(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path: root }),
            Err(TryLockError::Error(error)) => return Err(StoreError::io(&path)(error)),
        }
        Ok(Self { root, out, scratch, _lock: lock })
    }

    /// Files of the artifact to be.
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// Receipts of finished shards and whatever a resume needs.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Forgets what an earlier try left.
    pub fn clear(&self) -> Result<(), StoreError> {
        for folder in [&self.out, &self.scratch] {
            fs::remove_dir_all(folder).and_then(|()| fs::create_dir_all(folder)).map_err(StoreError::io(folder))?;
        }
        Ok(())
    }

    /// Removes the folder once the artifact is sealed.
    pub fn remove(self) -> Result<(), StoreError> {
        fs::remove_dir_all(&self.root).map_err(StoreError::io(&self.root))
    }
}
