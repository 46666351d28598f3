//! The scratch folder of one fingerprint: `out` becomes the artifact, `scratch` survives a kill for the next try. Beside
//! them shards that other processes make have scratch folders of their own.
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Store, StoreError, new_nonce};
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
        let root = work_folder(store, artifact);
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

    /// Removes the folder once the artifact is sealed, with the shards that were made for it.
    pub fn remove(self) -> Result<(), StoreError> {
        // What lies in the folder goes while it is locked; the lock goes last.
        for entry in fs::read_dir(&self.root).map_err(StoreError::io(&self.root))? {
            let path = entry.map_err(StoreError::io(&self.root))?.path();
            if path.is_dir() {
                match absent_is_removed(fs::remove_dir_all(&path)) {
                    // A worker that came late writes there still. It will see that it came late; what it leaves is garbage.
                    Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
                    removed => removed.map_err(StoreError::io(&path))?,
                }
            }
        }
        let path = self.root.join(LOCK_FILE);
        absent_is_removed(fs::remove_file(&path)).map_err(StoreError::io(&path))?;
        match fs::remove_dir(&self.root) {
            // The next one is there already, or a late worker.
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
            removed => absent_is_removed(removed).map_err(StoreError::io(&self.root)),
        }
    }
}

const LOCK_FILE: &str = "lock";

/// The lock of the folder that lies at `root` now: one that was opened just before its holder removed it counts for nothing.
fn lock(root: &Path) -> Result<File, StoreError> {
    let path = root.join(LOCK_FILE);
    loop {
        match fs::create_dir_all(root) {
            // The holder before removed it at this moment.
            Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => continue,
            created => created.map_err(StoreError::io(root))?,
        }
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

/// The scratch folder of one try at a shard: fresh, and locked against other tries on this machine.
#[derive(Debug)]
pub struct Attempt {
    folder: PathBuf,
    out: PathBuf,
    scratch: PathBuf,
    _lock: File,
}

impl Attempt {
    /// Opens a folder of its own for a shard, or `None` while another process is at work on the same one.
    pub fn open(store: &Store, artifact: &ArtifactKey, shard: &str) -> Result<Option<Self>, StoreError> {
        // No name of a stage or a file has a plus sign.
        let root = work_folder(store, artifact).join("attempts").join(shard.replace('/', "+"));
        fs::create_dir_all(&root).map_err(StoreError::io(&root))?;
        let path = root.join("lock");
        let lock = File::create(&path).map_err(StoreError::io(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(StoreError::io(&path)(error)),
        }
        for entry in fs::read_dir(&root).map_err(StoreError::io(&root))? {
            let left = entry.map_err(StoreError::io(&root))?.path();
            if left.is_dir() {
                // Whoever made it was killed.
                absent_is_removed(fs::remove_dir_all(&left)).map_err(StoreError::io(&left))?;
            }
        }
        // Where locks do not reach, as on some network file systems, two tries still write to different files.
        let folder = root.join(new_nonce()?);
        let (out, scratch) = (folder.join("out"), folder.join("scratch"));
        for folder in [&out, &scratch] {
            fs::create_dir_all(folder).map_err(StoreError::io(folder))?;
        }
        Ok(Some(Self { folder, out, scratch, _lock: lock }))
    }

    /// Files of the shard.
    pub fn out(&self) -> &Path {
        &self.out
    }

    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Removes the folder once the shard has its receipt, or needs none any more.
    pub fn remove(self) -> Result<(), StoreError> {
        absent_is_removed(fs::remove_dir_all(&self.folder)).map_err(StoreError::io(&self.folder))
    }
}

fn work_folder(store: &Store, artifact: &ArtifactKey) -> PathBuf {
    store.work_root().join(format!("{}-{}", artifact.kind, artifact.fingerprint))
}

fn absent_is_removed(removed: std::io::Result<()>) -> std::io::Result<()> {
    removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
