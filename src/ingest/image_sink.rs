//! The image store of a data set, written by a thread of its own while the next images are looked at.
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::stage::StageError;
use crate::store::{FileDigest, ImageStoreBuilder, StoreError};

/// Batches that wait to be written.
const BATCHES_AHEAD: usize = 2;

/// Encoded images by id.
pub type StoredImages = Vec<(String, Vec<u8>)>;

/// Takes batches of images whose ids are unique.
pub struct ImageSink {
    sender: SyncSender<StoredImages>,
    writer: JoinHandle<Result<FileDigest, StoreError>>,
}

impl ImageSink {
    /// Creates the file `path`; keys that do not fit memory wait in `scratch`.
    pub fn create(path: &Path, scratch: &Path) -> Result<Self, StoreError> {
        let mut builder = ImageStoreBuilder::create(path, scratch)?;
        let (sender, receiver) = sync_channel::<StoredImages>(BATCHES_AHEAD);
        let writer = std::thread::spawn(move || {
            for (id, bytes) in receiver.iter().flatten() {
                builder.insert(&id, &bytes)?;
            }
            builder.finish()
        });
        Ok(Self { sender, writer })
    }

    /// Takes a batch; waits while the disk is slower. Says whether somebody is there to write it: `finish` knows why not.
    pub fn push(&self, images: StoredImages) -> bool {
        images.is_empty() || self.sender.send(images).is_ok()
    }

    /// Makes everything durable; gives length and digest of the file, or what went wrong.
    pub fn finish(self) -> Result<FileDigest, StageError> {
        let Self { sender, writer } = self;
        drop(sender);
        let written =
            writer.join().map_err(|_| StageError::internal("the writer of the image store ended early".to_owned()))?;
        Ok(written?)
    }
}
