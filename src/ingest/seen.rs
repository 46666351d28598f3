//! Which ids were seen and what became of them, on disk: memory does not grow with the data set.
use std::fs;
use std::path::{Path, PathBuf};

use crate::data::Split;
use crate::store::{LookupFile, MAX_KEY_BYTES, StoreError};

/// What became of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenImage {
    pub split: Split,
    pub fate: Fate,
    /// The beginning of the digest of its bytes.
    pub digest: [u8; 8],
}

/// Whether an image is in the data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Kept,
    Filtered,
    /// Another image has the same bytes and stands for it.
    MergedInto(String),
}

/// What a text is to the rows before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenText {
    New,
    /// Its id was there, with the same text and split.
    Same,
    /// Its id was there, with another text or split.
    Different,
}

/// Look-up files in a scratch folder.
pub struct Seen {
    folder: PathBuf,
    images: LookupFile,
    texts: LookupFile,
    digests: LookupFile,
}

const FILES: [&str; 3] = ["seen_images.mdb", "seen_texts.mdb", "seen_digests.mdb"];

impl Seen {
    /// Begins anew in a folder.
    pub fn create(folder: &Path) -> Result<Self, StoreError> {
        let [images, texts, digests] = FILES.map(|name| create_anew(&folder.join(name)));
        Ok(Self { folder: folder.to_owned(), images: images?, texts: texts?, digests: digests? })
    }

    /// Removes the files.
    pub fn remove(self) -> Result<(), StoreError> {
        let Self { folder, images, texts, digests } = self;
        drop((images, texts, digests));
        for name in FILES {
            let path = folder.join(name);
            fs::remove_file(&path).map_err(StoreError::io(&path))?;
        }
        Ok(())
    }

    /// What became of an image, or `None` if it was not seen. No image has an id that is empty or too long.
    pub fn image(&self, id: &str) -> Result<Option<SeenImage>, StoreError> {
        if id.is_empty() || id.len() > MAX_KEY_BYTES {
            return Ok(None);
        }
        Ok(self.images.get(id)?.and_then(|bytes| SeenImage::from_bytes(&bytes)))
    }

    /// Notes images; says for each whether its id is new.
    pub fn add_images(&mut self, images: &[(&str, SeenImage)]) -> Result<Vec<bool>, StoreError> {
        let values: Vec<Vec<u8>> = images.iter().map(|(_, image)| image.to_bytes()).collect();
        let batch: Vec<(&str, &[u8])> = images.iter().zip(&values).map(|((id, _), value)| (*id, &value[..])).collect();
        self.images.insert(&batch)
    }

    /// Notes texts with their split; says for each what it is to the rows before it.
    pub fn add_texts(&mut self, texts: &[(&str, Split, &str)]) -> Result<Vec<SeenText>, StoreError> {
        let mark = |split: Split, text: &str| {
            let hash = blake3::hash(text.as_bytes());
            [&[split as u8][..], &hash.as_bytes()[..8]].concat()
        };
        let marks: Vec<Vec<u8>> = texts.iter().map(|(_, split, text)| mark(*split, text)).collect();
        let batch: Vec<(&str, &[u8])> = texts.iter().zip(&marks).map(|((id, ..), mark)| (*id, &mark[..])).collect();
        let new = self.texts.insert(&batch)?;
        batch
            .into_iter()
            .zip(new)
            .map(|((id, mark), new)| match new {
                true => Ok(SeenText::New),
                false if self.texts.get(id)?.as_deref() == Some(mark) => Ok(SeenText::Same),
                false => Ok(SeenText::Different),
            })
            .collect()
    }

    /// The id of the first image of the split with these bytes: `id` itself if there was none before.
    pub fn first_with(&mut self, split: Split, digest: &[u8; 32], id: &str) -> Result<String, StoreError> {
        let key = format!("{split} {}", blake3::Hash::from_bytes(*digest).to_hex());
        if self.digests.insert(&[(&key, id.as_bytes())])? == [true] {
            return Ok(id.to_owned());
        }
        let first = self.digests.get(&key)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&first).into_owned())
    }
}

impl SeenImage {
    fn to_bytes(&self) -> Vec<u8> {
        let (fate, other): (u8, &[u8]) = match &self.fate {
            Fate::Kept => (0, b""),
            Fate::Filtered => (1, b""),
            Fate::MergedInto(other) => (2, other.as_bytes()),
        };
        [&[self.split as u8, fate][..], &self.digest, other].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let split = Split::ALL.into_iter().find(|split| Some(*split as u8) == bytes.first().copied())?;
        let digest = *bytes.get(2..)?.first_chunk()?;
        let fate = match bytes.get(1)? {
            0 => Fate::Kept,
            1 => Fate::Filtered,
            _ => Fate::MergedInto(String::from_utf8(bytes.get(10..)?.to_vec()).ok()?),
        };
        Some(Self { split, fate, digest })
    }
}

/// A file in place of whatever an earlier try left.
fn create_anew(path: &Path) -> Result<LookupFile, StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io(path)(error)),
        _ => LookupFile::create(path),
    }
}
