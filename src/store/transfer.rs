//! Files to and from an object store, piece by piece, in bounded memory; every request is counted.
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use object_store::path::Path as Key;
use object_store::{GetOptions, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};

use super::{StoreError, new_nonce};
use crate::data::FileEntry;

/// Bytes of one request; stores want the parts of an upload to be equal and at least 5 MiB.
const PIECE_BYTES: u64 = 8 << 20;
/// Pieces of one file under way at the same time.
const PIECES_AHEAD: usize = 4;

/// What moved between this machine and an object store.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    /// Requests allowed, 0 for any number.
    budget: u64,
}

impl Traffic {
    /// Counts from zero; more than `budget` requests are refused.
    pub fn new(budget: Option<u64>) -> Self {
        Self { budget: budget.unwrap_or(0), ..Self::default() }
    }

    /// Requests made. What the client repeats by itself after an error counts once.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Bytes of objects sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Bytes of objects received.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Counts a request that is about to be made.
    pub(super) fn request(&self) -> Result<(), StoreError> {
        let made = self.requests.fetch_add(1, Ordering::Relaxed);
        if self.budget > 0 && made >= self.budget {
            return Err(StoreError::Budget { requests: self.budget });
        }
        Ok(())
    }

    pub(super) fn add_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn add_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Writes a local file as one object, in parts if it is large. What failed leaves nothing behind.
pub(super) async fn upload(
    objects: &dyn ObjectStore,
    path: &Path,
    key: &Key,
    traffic: &Traffic,
) -> Result<(), StoreError> {
    let mut file = File::open(path).map_err(StoreError::io(path))?;
    let size = file.metadata().map_err(StoreError::io(path))?.len();
    if size <= PIECE_BYTES {
        let bytes = fs::read(path).map_err(StoreError::io(path))?;
        let sent = bytes.len();
        traffic.request()?;
        objects.put(key, PutPayload::from(bytes)).await.map_err(StoreError::object)?;
        traffic.add_sent(sent);
        return Ok(());
    }
    traffic.request()?;
    let mut upload = objects.put_multipart(key).await.map_err(StoreError::object)?;
    let sent = send_parts(upload.as_mut(), &mut file, path, traffic).await;
    if sent.is_err() {
        // The parts of an upload that is given up cost money until somebody removes them.
        let _ = upload.abort().await;
    }
    sent
}

async fn send_parts(
    upload: &mut dyn MultipartUpload,
    file: &mut File,
    path: &Path,
    traffic: &Traffic,
) -> Result<(), StoreError> {
    let mut parts = FuturesUnordered::new();
    loop {
        let mut piece = Vec::new();
        let read = Read::take(&mut *file, PIECE_BYTES).read_to_end(&mut piece).map_err(StoreError::io(path))?;
        if read == 0 {
            break;
        }
        while parts.len() >= PIECES_AHEAD {
            settle(parts.next().await, traffic)?;
        }
        traffic.request()?;
        let part = upload.put_part(PutPayload::from(piece));
        parts.push(async move { part.await.map(|()| read) });
    }
    while let Some(part) = parts.next().await {
        settle(Some(part), traffic)?;
    }
    traffic.request()?;
    upload.complete().await.map_err(StoreError::object)?;
    Ok(())
}

fn settle(part: Option<object_store::Result<usize>>, traffic: &Traffic) -> Result<(), StoreError> {
    let sent = part.transpose().map_err(StoreError::object)?;
    traffic.add_sent(sent.unwrap_or(0));
    Ok(())
}

/// Reads one object into `path`: nothing is there before its length and digest are right.
pub(super) async fn download(
    objects: &Arc<dyn ObjectStore>,
    key: &Key,
    file: &FileEntry,
    path: &Path,
    traffic: &Traffic,
) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(StoreError::io(folder))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}", new_nonce()?));
    let received = receive(objects, key, file, &temporary, traffic).await;
    let moved = received.and_then(|()| fs::rename(&temporary, path).map_err(StoreError::io(path)));
    if moved.is_err() {
        // It failed already; a left-over temporary file is all that could remain.
        let _ = fs::remove_file(&temporary);
    }
    moved
}

async fn receive(
    objects: &Arc<dyn ObjectStore>,
    key: &Key,
    file: &FileEntry,
    temporary: &Path,
    traffic: &Traffic,
) -> Result<(), StoreError> {
    let mut out = File::create_new(temporary).map_err(StoreError::io(temporary))?;
    let mut hasher = blake3::Hasher::new();
    let mut pieces = futures::stream::iter((0..file.bytes).step_by(PIECE_BYTES as usize))
        .map(|start| piece(objects, key, start..file.bytes.min(start + PIECE_BYTES), file.bytes, traffic))
        .buffered(PIECES_AHEAD);
    while let Some(piece) = pieces.next().await {
        let piece = match piece {
            // Where an object ends early the server refuses what would come next, as if that were a fault of its own.
            Err(_) if has_other_length(objects, key, file.bytes, traffic).await => return Err(damaged(key, file)),
            piece => piece?,
        };
        traffic.add_received(piece.len());
        hasher.update_rayon(&piece);
        out.write_all(&piece).map_err(StoreError::io(temporary))?;
    }
    out.sync_all().map_err(StoreError::io(temporary))?;
    if hasher.count() != file.bytes || hasher.finalize().to_hex().as_str() != file.digest {
        return Err(damaged(key, file));
    }
    Ok(())
}

fn damaged(key: &Key, file: &FileEntry) -> StoreError {
    StoreError::Damaged { key: key.to_string(), expected: file.bytes, digest: file.digest.clone() }
}

/// Whether the object is there and has not `bytes` bytes. What cannot be found out is no reason to call it damaged.
async fn has_other_length(objects: &Arc<dyn ObjectStore>, key: &Key, bytes: u64, traffic: &Traffic) -> bool {
    traffic.request().is_ok() && objects.head(key).await.is_ok_and(|found| found.size != bytes)
}

/// A range of an object that has `bytes` in all.
async fn piece(
    objects: &Arc<dyn ObjectStore>,
    key: &Key,
    range: std::ops::Range<u64>,
    bytes: u64,
    traffic: &Traffic,
) -> Result<Bytes, StoreError> {
    traffic.request()?;
    // Some servers answer a range that is all of an object as if none had been asked for, which the client takes for an error.
    let range = (range != (0..bytes)).then(|| range.into());
    let options = GetOptions { range, ..GetOptions::default() };
    let found = objects.get_opts(key, options).await.map_err(StoreError::object)?;
    found.bytes().await.map_err(StoreError::object)
}

/// BLAKE3 of an object of a known length.
pub(super) async fn digest_object(
    objects: &Arc<dyn ObjectStore>,
    key: &Key,
    bytes: u64,
    traffic: &Traffic,
) -> Result<String, StoreError> {
    let mut hasher = blake3::Hasher::new();
    let mut pieces = futures::stream::iter((0..bytes).step_by(PIECE_BYTES as usize))
        .map(|start| piece(objects, key, start..bytes.min(start + PIECE_BYTES), bytes, traffic))
        .buffered(PIECES_AHEAD);
    while let Some(piece) = pieces.next().await {
        let piece = match piece {
            // The digest of what there is, which is not that of the whole.
            Err(_) if has_other_length(objects, key, bytes, traffic).await => break,
            piece => piece?,
        };
        traffic.add_received(piece.len());
        hasher.update_rayon(&piece);
    }
    Ok(hasher.finalize().to_hex().to_string())
}
