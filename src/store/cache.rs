//! Copies of artifacts whose store is not local, for what needs a path: LMDB, tantivy, mapped vectors.
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use super::{StoreError, new_nonce, write_whole};
use crate::data::FileEntry;

/// Digests of the files that were checked, beside them.
const CHECKED_FILE: &str = ".checked.json";
/// Held by every process that uses the copy; its time says when that was last.
const USED_FILE: &str = ".used";

/// A folder of copies, one folder per artifact. Losing it costs time only.
#[derive(Debug)]
pub(super) struct ArtifactCache {
    root: PathBuf,
    /// Size that copies not in use are removed down to.
    limit_bytes: Option<u64>,
    in_use: Mutex<BTreeMap<PathBuf, File>>,
}

impl ArtifactCache {
    pub(super) fn new(root: PathBuf, limit_bytes: Option<u64>) -> Self {
        Self { root, limit_bytes, in_use: Mutex::new(BTreeMap::new()) }
    }

    /// The folder of an artifact, which nobody removes while this process lives.
    pub(super) fn hold(&self, prefix: &str) -> Result<PathBuf, StoreError> {
        let folder = self.root.join(prefix);
        let Ok(mut in_use) = self.in_use.lock() else { return Ok(folder) };
        if in_use.contains_key(&folder) && folder.is_dir() {
            return Ok(folder);
        }
        fs::create_dir_all(&folder).map_err(StoreError::io(&folder))?;
        let path = folder.join(USED_FILE);
        let mut used = File::create(&path).map_err(StoreError::io(&path))?;
        used.lock_shared().map_err(StoreError::io(&path))?;
        let inode = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let is_there = fs::metadata(&path).map(inode).ok() == used.metadata().map(inode).ok();
        if !is_there {
            // Somebody moved the folder away between opening and locking.
            drop(in_use);
            return self.hold(prefix);
        }
        // Writing moves the file's time, which only orders what may go first.
        used.write_all(b"in use\n").map_err(StoreError::io(&path))?;
        in_use.insert(folder.clone(), used);
        Ok(folder)
    }

    /// Which of the files are not there as the manifest has them.
    pub(super) fn missing<'a>(folder: &Path, files: &'a [FileEntry]) -> Vec<&'a FileEntry> {
        let checked = checked(folder);
        let is_here = |file: &FileEntry| {
            let length = fs::metadata(folder.join(&file.path)).map(|metadata| metadata.len());
            checked.get(&file.path) == Some(&file.digest) && length.is_ok_and(|length| length == file.bytes)
        };
        files.iter().filter(|file| !is_here(file)).collect()
    }

    /// Notes that files were found to have their digests.
    pub(super) fn note(folder: &Path, files: &[&FileEntry]) -> Result<(), StoreError> {
        let mut known = checked(folder);
        known.extend(files.iter().map(|file| (file.path.clone(), file.digest.clone())));
        let json =
            serde_json::to_vec(&known).map_err(|source| StoreError::Json { key: CHECKED_FILE.to_owned(), source })?;
        write_whole(&folder.join(CHECKED_FILE), &json)
    }

    /// Takes over the files of an artifact that was made here and lies in the store now.
    pub(super) fn adopt(&self, made: &Path, prefix: &str, files: &[FileEntry]) -> Result<(), StoreError> {
        let folder = self.hold(prefix)?;
        let mut taken = Vec::new();
        for file in files {
            let target = folder.join(&file.path);
            let parent = target.parent().unwrap_or(&folder);
            fs::create_dir_all(parent).map_err(StoreError::io(parent))?;
            // From another file system it will be fetched when somebody wants it.
            if fs::rename(made.join(&file.path), &target).is_ok() {
                taken.push(file);
            }
        }
        Self::note(&folder, &taken)
    }

    /// Removes the copies that were not used for longest, until the rest fits.
    pub(super) fn trim(&self) -> Result<(), StoreError> {
        let Some(limit) = self.limit_bytes else { return Ok(()) };
        let mut copies = Vec::new();
        for kind in folders(&self.root.join("artifacts")) {
            for copy in folders(&kind) {
                let used = fs::metadata(copy.join(USED_FILE)).and_then(|metadata| metadata.modified());
                copies.push((used.unwrap_or(SystemTime::UNIX_EPOCH), size(&copy), copy));
            }
        }
        copies.sort();
        let mut total: u64 = copies.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, copy) in copies {
            if total <= limit {
                break;
            }
            // Held until the folder is gone from its place, so that nobody can begin to use it meanwhile.
            let Ok(used) = File::open(copy.join(USED_FILE)) else { continue };
            let gone = copy.with_extension(new_nonce()?);
            if used.try_lock().is_ok() && fs::rename(&copy, &gone).is_ok() {
                // What is left of it is in nobody's way.
                let _ = fs::remove_dir_all(&gone);
                total -= bytes;
            }
        }
        Ok(())
    }
}

fn checked(folder: &Path) -> BTreeMap<String, String> {
    let json = fs::read(folder.join(CHECKED_FILE)).unwrap_or_default();
    serde_json::from_slice(&json).unwrap_or_default()
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
