//! The image store: raw image bytes by image id in one LMDB file. The only page with `unsafe`.
use std::path::{Path, PathBuf};

use heed::types::{Bytes, Str};
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, PutFlags, RoTxn, WithoutTls};

use super::StoreError;

/// LMDB's own limit on keys, in bytes.
pub const MAX_KEY_BYTES: usize = 511;

const FIRST_MAP_BYTES: usize = 64 << 20;
/// Readers reserve address space only, so a reader's map may be as large as any file.
const READ_MAP_BYTES: usize = 1 << 40;

type Images = Database<'static, Str, Bytes>;

/// Writes images in one transaction per batch; the map grows as needed.
#[derive(Debug)]
pub struct ImageStoreWriter {
    path: PathBuf,
    env: Env<WithoutTls>,
    images: Images,
    map_bytes: usize,
}

/// Reads images; cheap to share between threads.
#[derive(Debug)]
pub struct ImageStore {
    path: PathBuf,
    env: Env<WithoutTls>,
    images: Images,
}

impl ImageStoreWriter {
    /// Creates the LMDB file `path`; no lock file is left beside it.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let env = open(path, FIRST_MAP_BYTES, EnvFlags::empty())?;
        let images = env
            .create_databases_and_commit(env.write_txn().map_err(lmdb(path))?, |opener, txn| {
                opener.create_database(txn, None).map(CommitOrAbort::<_, ()>::Commit)
            })
            .map_err(lmdb(path))?
            .unwrap_commit();
        Ok(Self { path: path.to_owned(), env, images, map_bytes: FIRST_MAP_BYTES })
    }

    /// The bytes stored under an id, or `None`.
    pub fn get(&self, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let txn = self.env.read_txn().map_err(lmdb(&self.path))?;
        Ok(self.images.get(&txn, id).map_err(lmdb(&self.path))?.map(<[u8]>::to_vec))
    }

    /// Stores images whose ids are new; says for each whether it was. All or none of the batch is stored.
    pub fn insert(&mut self, batch: &[(&str, &[u8])]) -> Result<Vec<bool>, StoreError> {
        loop {
            match self.try_insert(batch) {
                Ok(inserted) => return Ok(inserted),
                Err(heed::Error::Mdb(heed::MdbError::MapFull)) => self.grow()?,
                Err(error) => return Err(lmdb(&self.path)(error)),
            }
        }
    }

    /// Makes everything durable and closes the file.
    pub fn finish(self) -> Result<(), StoreError> {
        self.env.force_sync().map_err(lmdb(&self.path))?;
        self.env.prepare_for_closing().wait();
        Ok(())
    }

    fn try_insert(&self, batch: &[(&str, &[u8])]) -> Result<Vec<bool>, heed::Error> {
        let mut txn = self.env.write_txn()?;
        let mut inserted = Vec::with_capacity(batch.len());
        for (id, bytes) in batch {
            match self.images.put_with_flags(&mut txn, PutFlags::NO_OVERWRITE, id, bytes) {
                Ok(()) => inserted.push(true),
                Err(heed::Error::Mdb(heed::MdbError::KeyExist)) => inserted.push(false),
                Err(error) => return Err(error),
            }
        }
        txn.commit()?;
        Ok(inserted)
    }

    fn grow(&mut self) -> Result<(), StoreError> {
        self.map_bytes *= 2;
        // SAFETY: no transaction of this process is open: `try_insert` has ended and dropped its own.
        #[expect(unsafe_code, reason = "LMDB maps the file into memory")]
        let resized = unsafe { self.env.resize(self.map_bytes) };
        resized.map_err(lmdb(&self.path))
    }
}

impl ImageStore {
    /// Opens a sealed file read-only and without a lock: nobody writes it any more.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
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

    /// The bytes of an image, or `None`.
    pub fn get(&self, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let txn = self.begin()?;
        Ok(self.images.get(&txn, id).map_err(lmdb(&self.path))?.map(<[u8]>::to_vec))
    }

    fn begin(&self) -> Result<RoTxn<'_, WithoutTls>, StoreError> {
        self.env.read_txn().map_err(lmdb(&self.path))
    }
}

fn open(path: &Path, map_bytes: usize, flags: EnvFlags) -> Result<Env<WithoutTls>, StoreError> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(map_bytes);
    let flags = flags | EnvFlags::NO_SUB_DIR | EnvFlags::NO_LOCK;
    // SAFETY: a file being written lies in a scratch folder that this process holds the lock of, a sealed file is
    // never written again; so without LMDB's own lock nobody changes the map under a reader.
    #[expect(unsafe_code, reason = "LMDB maps the file into memory")]
    let opened = unsafe { options.flags(flags).open(path) };
    opened.map_err(lmdb(path))
}

fn lmdb(path: &Path) -> impl FnOnce(heed::Error) -> StoreError {
    move |source| StoreError::Lmdb { path: path.to_owned(), source }
}
