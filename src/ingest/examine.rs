//! What an image is: decoded, measured and hashed, or known from an earlier version of the data set.
use rayon::prelude::*;

use super::decode::{decode, inspect};
use super::known::{Facts, KnownImages};
use super::perceptual_hash::perceptual_hash;
use super::source::{ImageContent, ImageRow};
use super::spec::DecodeCheck;
use super::{IngestError, MAX_IMAGE_BYTES};
use crate::store::{DigestCache, SourceFolder};

/// How images are looked at.
pub struct Examiner<'a> {
    pub source: &'a SourceFolder,
    pub digests: &'a DigestCache,
    pub decode: DecodeCheck,
    pub known: &'a KnownImages,
}

/// What is known of an image after it was looked at.
#[derive(Debug, Clone)]
pub struct Examined {
    pub facts: Facts,
    /// BLAKE3 of the bytes.
    pub digest: [u8; 32],
    /// The encoded bytes; `None` if an earlier version of the data set holds them under this id.
    pub bytes: Option<Vec<u8>>,
}

impl Examiner<'_> {
    /// Looks at a batch of images, in parallel; an error that is the fault of one image is that image's alone.
    pub fn examine(&self, rows: &mut [ImageRow]) -> Vec<Result<Examined, IngestError>> {
        let unread: Vec<bool> = rows.iter().map(|row| self.known_file(row).is_none()).collect();
        let wanted: Vec<usize> =
            (0..rows.len()).filter(|at| unread[*at] && matches!(rows[*at].content, ImageContent::File(_))).collect();
        let names: Vec<&str> = wanted
            .iter()
            .filter_map(|at| match &rows[*at].content {
                ImageContent::File(name) => Some(name.as_str()),
                _ => None,
            })
            .collect();
        let read = self.source.read_many(&names, MAX_IMAGE_BYTES as u64);
        let mut failed: Vec<Option<IngestError>> = rows.iter().map(|_| None).collect();
        for (at, bytes) in wanted.into_iter().zip(read) {
            match bytes {
                Ok(bytes) => rows[at].content = ImageContent::Bytes(bytes),
                Err(error) => failed[at] = Some(error.into()),
            }
        }
        rows.par_iter_mut()
            .zip(failed)
            .map(|(row, failed)| match failed {
                Some(error) => Err(error),
                None => self.examine_one(row),
            })
            .collect()
    }

    fn examine_one(&self, row: &mut ImageRow) -> Result<Examined, IngestError> {
        if let Some((digest, facts)) = self.known_file(row) {
            return Ok(Examined { facts, digest, bytes: None });
        }
        let content = std::mem::replace(&mut row.content, ImageContent::Bytes(Vec::new()));
        let bytes = content.into_bytes(self.source)?;
        let digest = *blake3::hash(&bytes).as_bytes();
        if let Some(facts) = self.known.get(&row.id, &digest) {
            return Ok(Examined { facts, digest, bytes: None });
        }
        let facts = self.look_at(&bytes)?;
        Ok(Examined { facts, digest, bytes: Some(bytes) })
    }

    /// A file that did not change since an earlier version of the data set need not even be read.
    fn known_file(&self, row: &ImageRow) -> Option<([u8; 32], Facts)> {
        let ImageContent::File(name) = &row.content else { return None };
        if self.known.is_empty() {
            return None;
        }
        let digest = *blake3::Hash::from_hex(self.source.known_digest(name, self.digests)?).ok()?.as_bytes();
        Some((digest, self.known.get(&row.id, &digest)?))
    }

    fn look_at(&self, bytes: &[u8]) -> Result<Facts, IngestError> {
        let length = bytes.len() as u64;
        if self.decode == DecodeCheck::Header {
            let (width, height, format) = inspect(bytes)?;
            return Ok(Facts { width, height, format, bytes: length, perceptual_hash: None });
        }
        let (picture, format) = decode(bytes)?;
        Ok(Facts {
            width: picture.width,
            height: picture.height,
            format,
            bytes: length,
            perceptual_hash: Some(perceptual_hash(&picture)),
        })
    }
}
