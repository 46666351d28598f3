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

enum Message {
    Images(StoredImages),
    /// Nothing follows. Without it the file is left unfinished, as nobody wants it any more.
    End,
}

/// Takes batches of images whose ids are unique.
pub struct ImageSink {
    sender: SyncSender<Message>,
    writer: JoinHandle<Result<Option<FileDigest>, StoreError>>,
}

impl ImageSink {
    /// Creates the file `path`; keys that do not fit memory wait in `scratch`.
    pub fn create(path: &Path, scratch: &Path) -> Result<Self, StoreError> {
        let mut builder = ImageStoreBuilder::create(path, scratch)?;
        let (sender, receiver) = sync_channel(BATCHES_AHEAD);
        let writer = std::thread::spawn(move || {
            for message in receiver {
                let Message::Images(images) = message else { return builder.finish().map(Some) };
                for (id, bytes) in images {
                    builder.insert(&id, &bytes)?;
                }
            }
            Ok(None)
        });
        Ok(Self { sender, writer })
    }

    /// Takes a batch; waits while the disk is slower. Says whether somebody is there to write it: `finish` knows why not.
    pub fn push(&self, images: StoredImages) -> bool {
        images.is_empty() || self.sender.send(Message::Images(images)).is_ok()
    }

    /// Makes everything durable; gives length and digest of the file, or what went wrong.
    pub fn finish(self) -> Result<FileDigest, StageError> {
        let Self { sender, writer } = self;
        let ended = || StageError::internal("the writer of the image store ended early".to_owned());
        // If nobody takes it, the writer has an error of its own to tell.
        let _ = sender.send(Message::End);
        writer.join().map_err(|_| ended())??.ok_or_else(ended)
    }
}
