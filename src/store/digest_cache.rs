//! Digests of local files that did not change since they were last read, so that planning need not read them again.
use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use super::lmdb::KeyValueFile;
use super::{StoreError, digest_file};

/// A file that was written this recently could change again without its times showing it.
const SETTLED: Duration = Duration::from_secs(2);

/// Digest by path, valid while length, inode and both times stay. Losing it costs time only.
#[derive(Debug, Default)]
pub struct DigestCache {
    open: Option<Mutex<Open>>,
}

#[derive(Debug)]
struct Open {
    file: KeyValueFile,
    pending: Vec<([u8; 32], Vec<u8>)>,
    _lock: File,
}

impl DigestCache {
    /// Opens `digests.mdb` in a folder. If another process holds it, or it is damaged, every file is read instead.
    pub fn open(folder: &Path) -> Self {
        Self { open: Self::try_open(folder).map(Mutex::new) }
    }

    /// Remembers nothing.
    pub fn none() -> Self {
        Self::default()
    }

    fn try_open(folder: &Path) -> Option<Open> {
        fs::create_dir_all(folder).ok()?;
        let lock = File::create(folder.join("digests.lock")).ok()?;
        lock.try_lock().ok()?;
        let path = folder.join("digests.mdb");
        let file = KeyValueFile::open(&path).or_else(|_| {
            // What cannot be opened can be made anew.
            let _ = fs::remove_file(&path);
            KeyValueFile::open(&path)
        });
        Some(Open { file: file.ok()?, pending: Vec::new(), _lock: lock })
    }

    /// BLAKE3 of a file as 64 hexadecimal characters, read only if the file changed.
    pub fn digest(&self, path: &Path) -> Result<String, StoreError> {
        if let Some(known) = self.known(path) {
            return Ok(known);
        }
        let before = fs::metadata(path).map_err(StoreError::io(path))?;
        let (_, digest) = digest_file(path)?;
        let after = fs::metadata(path).map_err(StoreError::io(path))?;
        if state(&before) == state(&after) && is_settled(&after) {
            self.remember(path, &after, &digest);
        }
        Ok(digest)
    }

    /// The digest of a file that did not change.
    pub fn known(&self, path: &Path) -> Option<String> {
        let open = self.open.as_ref()?.lock().ok()?;
        let metadata = fs::metadata(path).ok()?;
        let value = open.file.get(&key(path)).ok()??;
        let (known, digest) = value.split_at_checked(40)?;
        (known == state(&metadata)).then(|| String::from_utf8(digest.to_vec()).ok()).flatten()
    }

    fn remember(&self, path: &Path, metadata: &Metadata, digest: &str) {
        let Some(Ok(mut open)) = self.open.as_ref().map(Mutex::lock) else { return };
        let value = [&state(metadata)[..], digest.as_bytes()].concat();
        open.pending.push((key(path), value));
        if open.pending.len() >= 4096 {
            open.flush();
        }
    }
}

impl Drop for DigestCache {
    fn drop(&mut self) {
        if let Some(Ok(mut open)) = self.open.as_ref().map(Mutex::lock) {
            open.flush();
        }
    }
}

impl Open {
    /// A digest that cannot be kept is computed again next time.
    fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let rows: Vec<(&[u8], &[u8])> = pending.iter().map(|(key, value)| (&key[..], &value[..])).collect();
        let _ = self.file.put(&rows);
    }
}

fn key(path: &Path) -> [u8; 32] {
    *blake3::hash(path.as_os_str().as_encoded_bytes()).as_bytes()
}

/// Length, inode, and the times of content and of inode.
fn state(metadata: &Metadata) -> [u8; 40] {
    let nanoseconds = |seconds: i64, rest: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(rest);
    let mut bytes = [0; 40];
    let words = [
        metadata.len(),
        metadata.ino(),
        metadata.dev(),
        nanoseconds(metadata.mtime(), metadata.mtime_nsec()) as u64,
        nanoseconds(metadata.ctime(), metadata.ctime_nsec()) as u64,
    ];
    for (slot, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *slot = word.to_le_bytes();
    }
    bytes
}

/// The clock decides only whether a digest is kept, never what it is.
fn is_settled(metadata: &Metadata) -> bool {
    metadata.modified().is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age >= SETTLED))
}
