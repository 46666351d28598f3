//! One file of a source in object storage: whole, or read from its beginning in pieces that are fetched ahead.
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use object_store::path::Path as Key;
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::StoreError;
use super::objects::parse_key;
use super::transfer::Traffic;
use crate::data::ErrorClass;

/// Bytes of one request.
const CHUNK_BYTES: u64 = 8 << 20;
/// Requests for one file at the same time.
const CHUNKS_AHEAD: usize = 4;

/// The bytes of an object of at most `limit` bytes; `path` is its name for messages.
pub(super) async fn read_object(
    objects: &dyn ObjectStore,
    name: &str,
    path: PathBuf,
    traffic: &Traffic,
    limit: u64,
) -> Result<Vec<u8>, StoreError> {
    let key = parse_key(name)?;
    traffic.request()?;
    let found = objects.get(&key).await.map_err(StoreError::object)?;
    if found.meta.size > limit {
        return Err(StoreError::TooLarge { path, bytes: found.meta.size, limit });
    }
    let bytes = found.bytes().await.map_err(StoreError::object)?;
    traffic.add_received(bytes.len());
    Ok(bytes.to_vec())
}

/// Sends a file piece by piece. Every request names the version that the first one found, so that a file which is
/// replaced meanwhile is an error and not a mixture.
async fn stream(
    objects: Arc<dyn ObjectStore>,
    key: Key,
    meta: ObjectMeta,
    traffic: Arc<Traffic>,
    sender: mpsc::Sender<Result<Bytes, StoreError>>,
) {
    let starts = (0..meta.size).step_by(CHUNK_BYTES as usize);
    let piece = |start: u64| {
        let (objects, key, traffic) = (Arc::clone(&objects), key.clone(), Arc::clone(&traffic));
        let options = GetOptions {
            range: Some((start..meta.size.min(start + CHUNK_BYTES)).into()),
            if_match: meta.e_tag.clone(),
            ..GetOptions::default()
        };
        async move {
            traffic.request()?;
            let found = objects.get_opts(&key, options).await.map_err(StoreError::object)?;
            let bytes = found.bytes().await.map_err(StoreError::object)?;
            traffic.add_received(bytes.len());
            Ok(bytes)
        }
    };
    let mut pieces = futures::stream::iter(starts.map(piece)).buffered(CHUNKS_AHEAD);
    while let Some(piece) = pieces.next().await {
        // The reader is gone once its user has seen enough.
        if sender.send(piece).await.is_err() {
            return;
        }
    }
}

/// Reads an object from its beginning; the next pieces are under way while this one is used.
pub(super) struct RemoteReader {
    receiver: mpsc::Receiver<Result<Bytes, StoreError>>,
    piece: Bytes,
    _runtime: Arc<Runtime>,
}

impl RemoteReader {
    /// Begins with the first pieces of the object at `key`, which `meta` describes.
    pub(super) fn start(
        objects: &Arc<dyn ObjectStore>,
        key: Key,
        meta: ObjectMeta,
        traffic: &Arc<Traffic>,
        runtime: &Arc<Runtime>,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        runtime.spawn(stream(Arc::clone(objects), key, meta, Arc::clone(traffic), sender));
        Self { receiver, piece: Bytes::new(), _runtime: Arc::clone(runtime) }
    }
}

impl Read for RemoteReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                None => return Ok(0),
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => {
                    let kind = match error.class() {
                        ErrorClass::NotFound => io::ErrorKind::NotFound,
                        ErrorClass::Permission => io::ErrorKind::PermissionDenied,
                        _ => io::ErrorKind::ConnectionAborted,
                    };
                    return Err(io::Error::new(kind, error));
                }
            }
        }
        let count = buffer.len().min(self.piece.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}
