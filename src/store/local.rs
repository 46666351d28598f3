//! A store in a folder. `object_store` never syncs a local file, so durability is written out here: temporary file,
//! fsync, rename or link, fsync of the folder.
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::remote::object_key;
use super::{Created, StoreError, StoredObject, digest_file};
use crate::data::FileEntry;

#[derive(Debug)]
pub(super) struct LocalStore {
    root: PathBuf,
}

impl LocalStore {
    pub(super) fn open(root: &Path) -> Result<Self, StoreError> {
        make_folder(root)?;
        Ok(Self { root: root.to_owned() })
    }

    pub(super) fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    pub(super) fn read(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let path = self.path(key);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io(&path)(error)),
        }
    }

    /// A hard link fails if its target exists: that makes the write create-only and atomic.
    pub(super) fn create(&self, key: &str, bytes: &[u8]) -> Result<Created, StoreError> {
        let path = self.path(key);
        let temporary = write_temporary(&path, bytes)?;
        let linked = fs::hard_link(&temporary, &path);
        fs::remove_file(&temporary).map_err(StoreError::io(&temporary))?;
        match linked {
            Ok(()) => {
                sync_parent(&path)?;
                Ok(Created::Ours)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let present = fs::read(&path).map_err(StoreError::io(&path))?;
                Ok(if present == bytes { Created::Ours } else { Created::Taken })
            }
            Err(error) => Err(StoreError::io(&path)(error)),
        }
    }

    pub(super) fn remove(&self, key: &str) -> Result<(), StoreError> {
        let path = self.path(key);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io(&path)(error)),
            _ => Ok(()),
        }
    }

    /// Removes the folder at `prefix` and the one above, as far as nothing but temporary files is in them.
    pub(super) fn remove_empty(&self, prefix: &str) {
        let folder = self.path(prefix);
        remove_empty(&folder);
        // It fails if something else is there, and then it shall.
        let _ = fs::remove_dir(parent(&folder));
    }

    pub(super) fn list(&self, prefix: &str) -> Result<Vec<StoredObject>, StoreError> {
        let mut objects = Vec::new();
        let folder = self.path(prefix);
        if folder.is_dir() {
            collect_files(&folder, prefix, &mut objects)?;
        }
        Ok(objects)
    }

    /// Moves files to where their digests say; one that lies there already has the same content.
    pub(super) fn put_by_digest(&self, folder: &Path, files: &[FileEntry], prefix: &str) -> Result<(), StoreError> {
        for file in files {
            let path = folder.join(&file.path);
            File::open(&path).and_then(|f| f.sync_all()).map_err(StoreError::io(&path))?;
            let target = self.path(&object_key(prefix, file));
            let parent = parent(&target);
            fs::create_dir_all(parent).map_err(StoreError::io(parent))?;
            fs::rename(&path, &target).map_err(StoreError::io(&target))?;
            sync_folder(parent)?;
        }
        Ok(())
    }

    /// A second name for a file that lies where its digest says.
    pub(super) fn link_by_digest(&self, prefix: &str, file: &FileEntry, path: &Path) -> Result<(), StoreError> {
        let key = object_key(prefix, file);
        let source = self.path(&key);
        if digest_file(&source)? != (file.bytes, file.digest.clone()) {
            return Err(StoreError::Damaged { key, expected: file.bytes, digest: file.digest.clone() });
        }
        let parent = parent(path);
        fs::create_dir_all(parent).map_err(StoreError::io(parent))?;
        match fs::remove_file(path) {
            // What an earlier try left half done makes room.
            Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io(path)(error)),
            _ => fs::hard_link(&source, path).map_err(StoreError::io(path)),
        }
    }

    /// Moves `folder` into place. What lies there without a manifest is left over from a killed run.
    pub(super) fn adopt_folder(&self, folder: &Path, files: &[FileEntry], prefix: &str) -> Result<(), StoreError> {
        for file in files {
            let path = folder.join(&file.path);
            File::open(&path).and_then(|f| f.sync_all()).map_err(StoreError::io(&path))?;
        }
        let folders: BTreeSet<&Path> =
            files.iter().flat_map(|file| Path::new(&file.path).ancestors().skip(1)).collect();
        folders.into_iter().rev().try_for_each(|below| sync_folder(&folder.join(below)))?;
        let target = self.path(prefix);
        if target.exists() {
            fs::remove_dir_all(&target).map_err(StoreError::io(&target))?;
        }
        make_folder(parent(&target))?;
        fs::rename(folder, &target).map_err(StoreError::io(&target))?;
        sync_parent(&target)
    }
}

/// Writes `path` so that a reader, or a machine after a power loss, sees the old content or all of the new.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let temporary = write_temporary(path, bytes)?;
    fs::rename(&temporary, path).map_err(StoreError::io(path))?;
    sync_parent(path)
}

/// Makes the entries of a folder durable.
pub fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(StoreError::io(folder))
}

/// Makes a folder and those above it that are missing, and makes their entries durable.
fn make_folder(folder: &Path) -> Result<(), StoreError> {
    if folder.is_dir() {
        return Ok(());
    }
    make_folder(parent(folder))?;
    match fs::create_dir(folder) {
        // Another process was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made.map_err(StoreError::io(folder))?,
    }
    sync_parent(folder)
}

fn sync_parent(path: &Path) -> Result<(), StoreError> {
    sync_folder(parent(path))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn write_temporary(path: &Path, bytes: &[u8]) -> Result<PathBuf, StoreError> {
    let folder = parent(path);
    make_folder(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}", super::new_nonce()?));
    let mut file = File::create_new(&temporary).map_err(StoreError::io(&temporary))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written {
        drop(file);
        // The write already failed; a left-over temporary file is all that could remain.
        let _ = fs::remove_file(&temporary);
        return Err(StoreError::io(&temporary)(error));
    }
    Ok(temporary)
}

/// Whether a file is one that `write_temporary` made and could not remove: `.name.nonce`.
pub(super) fn is_temporary(name: &str) -> bool {
    let nonce = name.strip_prefix('.').and_then(|rest| Some(rest.rsplit_once('.')?.1));
    nonce.is_some_and(|nonce| nonce.len() == 16 && nonce.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn remove_empty(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_empty(&entry.path());
        } else if is_temporary(&entry.file_name().to_string_lossy()) {
            // What cannot be removed keeps its folder.
            let _ = fs::remove_file(entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}

fn collect_files(folder: &Path, prefix: &str, objects: &mut Vec<StoredObject>) -> Result<(), StoreError> {
    let entries = match fs::read_dir(folder) {
        // What went away meanwhile is not there.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(StoreError::io(folder))?,
    };
    for entry in entries {
        let entry = entry.map_err(StoreError::io(folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_temporary(&name) {
            continue;
        }
        let key = format!("{prefix}/{name}");
        let path = entry.path();
        if path.is_dir() {
            collect_files(&path, &key, objects)?;
        } else if let Ok(metadata) = entry.metadata() {
            let modified = metadata.modified().map_err(StoreError::io(&path))?;
            objects.push(StoredObject { key, bytes: metadata.len(), modified });
        }
    }
    Ok(())
}
