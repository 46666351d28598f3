//! The scratch folder of one fingerprint: `out` becomes the artifact, `scratch` survives a kill for the next try.
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
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
    /// Opens the scratch folder of an artifact; one that another process holds is an error. Whoever held it before may have
    /// sealed the artifact meanwhile.
    pub fn open(store: &Store, artifact: &ArtifactKey) -> Result<Self, StoreError> {
        let root = store.work_root().join(format!("{}-{}", artifact.kind, artifact.fingerprint));
        let lock = lock(&root)?;
        let out = root.join("out");
        let scratch = root.join("scratch");
        for folder in [&out, &scratch] {
            fs::create_dir_all(folder).map_err(StoreError::io(folder))?;
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
        let path = self.root.join(LOCK_FILE);
        for folder in [&self.out, &self.scratch] {
            gone(fs::remove_dir_all(folder)).map_err(StoreError::io(folder))?;
        }
        gone(fs::remove_file(&path)).map_err(StoreError::io(&path))?;
        match fs::remove_dir(&self.root) {
            // The next one is there already.
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
            removed => gone(removed).map_err(StoreError::io(&self.root)),
        }
    }
}

const LOCK_FILE: &str = "lock";

/// The lock of the folder that lies at `root` now: one that was opened just before its holder removed it counts for nothing.
fn lock(root: &Path) -> Result<File, StoreError> {
    let path = root.join(LOCK_FILE);
    loop {
        fs::create_dir_all(root).map_err(StoreError::io(root))?;
        let lock = match File::create(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            created => created.map_err(StoreError::io(&path))?,
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path: root.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(StoreError::io(&path)(error)),
        }
        let inode = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        if fs::metadata(&path).ok().map(inode) == lock.metadata().ok().map(inode) {
            return Ok(lock);
        }
    }
}

/// What is not there is as good as removed.
fn gone(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
