//! LMDB files: sealed image stores (raw bytes by image id) and small files that change. `lmdb_builder` writes the former.
use std::path::{Path, PathBuf};

use heed::types::{Bytes, Str};
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, RwTxn, WithoutTls};

use super::StoreError;

/// LMDB's own limit on keys, in bytes.
pub const MAX_KEY_BYTES: usize = 511;

const FIRST_MAP_BYTES: usize = 64 << 20;
/// Readers reserve address space only, so a reader's map may be as large as any file.
const READ_MAP_BYTES: usize = 1 << 40;

type Images = Database<'static, Str, Bytes>;

/// Reads images from one or more sealed files; cheap to share between threads.
#[derive(Debug)]
pub struct ImageStore {
    /// The newest first.
    segments: Vec<Segment>,
}

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    env: Env<WithoutTls>,
    images: Images,
}

/// Bytes by key in one LMDB file, for look-ups that should not need memory.
#[derive(Debug)]
pub(super) struct KeyValueFile {
    path: PathBuf,
    env: Env<WithoutTls>,
    values: Database<'static, Bytes, Bytes>,
    map_bytes: usize,
}

impl KeyValueFile {
    /// Opens or creates a file.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let env = open(path, FIRST_MAP_BYTES, EnvFlags::empty())?;
        let values = env
            .create_databases_and_commit(env.write_txn().map_err(lmdb(path))?, |opener, txn| {
                opener.create_database(txn, None).map(CommitOrAbort::<_, ()>::Commit)
            })
            .map_err(lmdb(path))?
            .unwrap_commit();
        let map_bytes = env.info().map_size;
        Ok(Self { path: path.to_owned(), env, values, map_bytes })
    }

    /// The value of a key, or `None`.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let txn = self.env.read_txn().map_err(lmdb(&self.path))?;
        Ok(self.values.get(&txn, key).map_err(lmdb(&self.path))?.map(<[u8]>::to_vec))
    }

    /// Sets the values of some keys, all or none.
    pub(super) fn put(&mut self, rows: &[(&[u8], &[u8])]) -> Result<(), StoreError> {
        let values = self.values;
        self.write(|txn| rows.iter().try_for_each(|(key, value)| values.put(txn, key, value)))
    }

    /// One transaction, repeated with a larger map while the file is full.
    fn write(&mut self, work: impl Fn(&mut RwTxn<'_>) -> Result<(), heed::Error>) -> Result<(), StoreError> {
        loop {
            let attempt = self.env.write_txn().and_then(|mut txn| {
                work(&mut txn)?;
                txn.commit()
            });
            match attempt {
                Ok(()) => return Ok(()),
                Err(heed::Error::Mdb(heed::MdbError::MapFull)) => self.grow()?,
                Err(error) => return Err(lmdb(&self.path)(error)),
            }
        }
    }

    fn grow(&mut self) -> Result<(), StoreError> {
        self.map_bytes *= 2;
        // SAFETY: no transaction of this process is open: `write` has ended and dropped its own.
        #[expect(unsafe_code, reason = "LMDB maps the file into memory")]
        let resized = unsafe { self.env.resize(self.map_bytes) };
        resized.map_err(lmdb(&self.path))
    }
}

impl ImageStore {
    /// Opens sealed files read-only and without a lock: nobody writes them any more. Where two hold an id, the first counts.
    pub fn open(paths: &[PathBuf]) -> Result<Self, StoreError> {
        Ok(Self { segments: paths.iter().map(|path| Segment::open(path)).collect::<Result<_, _>>()? })
    }

    /// The bytes of an image, or `None`.
    pub fn get(&self, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(id, <[u8]>::to_vec)
    }

    /// Images in all files, those that a newer file replaces included.
    pub fn entries(&self) -> Result<u64, StoreError> {
        self.segments.iter().try_fold(0, |sum, segment| {
            let txn = segment.env.read_txn().map_err(lmdb(&segment.path))?;
            Ok(sum + segment.images.len(&txn).map_err(lmdb(&segment.path))?)
        })
    }

    /// What `read` makes of the bytes of an image where they lie, or `None`.
    pub fn with<T>(&self, id: &str, read: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, StoreError> {
        for segment in &self.segments {
            let txn = segment.env.read_txn().map_err(lmdb(&segment.path))?;
            if let Some(bytes) = segment.images.get(&txn, id).map_err(lmdb(&segment.path))? {
                return Ok(Some(read(bytes)));
            }
        }
        Ok(None)
    }
}

impl Segment {
    fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::io(path)(std::io::ErrorKind::NotFound.into()));
        }
        let env = open(path, READ_MAP_BYTES, EnvFlags::READ_ONLY | EnvFlags::NO_LOCK)?;
        let txn = env.read_txn().map_err(lmdb(path))?;
        let images = env
            .open_databases_and_commit(txn, |opener, txn| {
                opener.open_database(txn, None).map(CommitOrAbort::<_, ()>::Commit)
            })
            .map_err(lmdb(path))?
            .commit()
            .flatten()
            .ok_or_else(|| StoreError::io(path)(std::io::ErrorKind::InvalidData.into()))?;
        Ok(Self { path: path.to_owned(), env, images })
    }
}

fn open(path: &Path, map_bytes: usize, flags: EnvFlags) -> Result<Env<WithoutTls>, StoreError> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(map_bytes);
    let flags = flags | EnvFlags::NO_SUB_DIR | EnvFlags::NO_LOCK;
    loop {
        // SAFETY: a file being written lies in a scratch folder that this process holds the lock of, a sealed file is
        // never written again; so without LMDB's own lock nobody changes the map under a reader.
        #[expect(unsafe_code, reason = "LMDB maps the file into memory")]
        let opened = unsafe { options.flags(flags).open(path) };
        match opened {
            // What a signal interrupts is repeated, as the standard library does with files.
            Err(heed::Error::Io(error)) if error.kind() == std::io::ErrorKind::Interrupted => {}
            opened => return opened.map_err(lmdb(path)),
        }
    }
}

fn lmdb(path: &Path) -> impl FnOnce(heed::Error) -> StoreError {
    move |source| StoreError::Lmdb { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_full_grows_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("values.mdb");
        let mut file = KeyValueFile::open(&path).unwrap();
        // More than the first map holds, in one transaction.
        let large = vec![7u8; 3 << 20];
        let keys: Vec<Vec<u8>> = (0..40u8).map(|key| vec![key]).collect();
        let batch: Vec<(&[u8], &[u8])> = keys.iter().map(|key| (&key[..], &large[..])).collect();
        file.put(&batch).unwrap();
        file.put(&[(&[3], b"other")]).unwrap();
        assert_eq!(file.get(&[3]).unwrap().unwrap(), b"other");
        assert_eq!(file.get(&[39]).unwrap().unwrap(), large);
        assert_eq!(file.get(&[40]).unwrap(), None);
        assert!(!folder.path().join("values.mdb-lock").exists());
    }
}
