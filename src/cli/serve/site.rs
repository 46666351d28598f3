//! What is served: a release, its model, its pictures by id, and its report.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::super::Failure;
use super::super::open_release::OpenRelease;
use super::pages::Report;
use crate::data::{ErrorClass, ItemKind};
use crate::embed::{encode_images, encode_texts};
use crate::index::{Document, Hit, Query, SearchMode, SearchOptions};
use crate::ingest::decode;
use crate::model::{ComputeDevice, Encoder};
use crate::stage::StageError;

/// Everything that answers are made from.
pub struct Site {
    pub open: OpenRelease,
    pub report: Report,
    /// One search at a time: each uses all cores.
    pub turn: Arc<Semaphore>,
    encoder: Mutex<Encoder>,
    /// Rows of the index by `data set/image id`; nothing else is a picture here.
    images: HashMap<String, usize>,
}

/// What somebody asks with.
pub enum Subject {
    Words(String),
    /// `data set/image id`.
    Image(String),
}

impl Site {
    pub fn new(open: OpenRelease, report: Report, device: &ComputeDevice) -> Result<Self, Failure> {
        let encoder = Mutex::new(open.encoder(device)?);
        let mut images = HashMap::new();
        for row in 0..open.searcher.about().rows {
            images.insert(open.searcher.image(row).map_err(StageError::from)?.id, row);
        }
        Ok(Self { open, report, turn: Arc::new(Semaphore::new(1)), encoder, images })
    }

    /// An image of the index by its id.
    pub fn image(&self, id: &str) -> Result<Option<Document>, StageError> {
        let row = self.images.get(id);
        Ok(row.map(|row| self.open.searcher.image(*row)).transpose()?)
    }

    /// Bytes of an image of the index.
    pub fn picture(&self, id: &str) -> Result<Option<Vec<u8>>, StageError> {
        match self.image(id)? {
            Some(document) => self.open.picture(&document),
            None => Ok(None),
        }
    }

    /// Encodes and searches.
    pub fn search(&self, subject: &Subject, among: ItemKind, k: usize) -> Result<Vec<Hit>, StageError> {
        let (text, vector) = match subject {
            Subject::Words(text) => (Some(text.as_str()), encode_texts(&self.encoder(), &[text.as_str()])?),
            Subject::Image(id) => {
                let missing = || StageError::new(ErrorClass::NotFound, format!("no image `{id}` in this release"));
                let (picture, _) = decode(&self.picture(id)?.ok_or_else(missing)?)?;
                (None, encode_images(&self.encoder(), &[picture])?)
            }
        };
        let searcher = &self.open.searcher;
        let query = Query { text, vector: Some((&vector, &searcher.about().model)) };
        searcher.search(query, &SearchOptions { among, mode: SearchMode::Hybrid, k, allowed: None })
    }

    fn encoder(&self) -> std::sync::MutexGuard<'_, Encoder> {
        self.encoder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
