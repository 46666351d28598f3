//! What an image is: decoded, measured and hashed, or known from an earlier version of the data set.
use rayon::prelude::*;

use super::base64::{decode_base64_into, decoded_bytes};
use super::decode::{decode, inspect};
use super::known::{Facts, KnownImages};
use super::perceptual_hash::perceptual_hash;
use super::source::{ImageContent, ImageRow, not_base64};
use super::spec::DecodeCheck;
use super::{IngestError, MAX_IMAGE_BYTES};
use crate::data::many_digests;
use crate::store::{DigestCache, Sheet, SheetPlace, SourceFolder};

/// Images that are hashed together.
const ROWS_TOGETHER: usize = 16;

/// How images are looked at.
#[derive(Clone, Copy)]
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
    pub bytes: Option<ImageBytes>,
}

/// The bytes of an encoded image.
#[derive(Debug, Clone)]
pub enum ImageBytes {
    Loose(Vec<u8>),
    /// On the sheet of its batch, where they will be written from.
    Laid(SheetPlace),
}

impl ImageBytes {
    fn get<'a>(&'a self, sheet: Option<&'a Sheet>) -> &'a [u8] {
        match (self, sheet) {
            (Self::Loose(bytes), _) => bytes,
            (Self::Laid(place), Some(sheet)) => sheet.value(*place),
            (Self::Laid(_), None) => &[],
        }
    }
}

/// The error of a row that has no result, which no row should meet.
pub fn not_looked_at() -> IngestError {
    IngestError::Decode { reason: "was not looked at".to_owned() }
}

impl Examiner<'_> {
    /// Looks at a batch of images, in parallel; an error that is the fault of one image is that image's alone.
    pub fn examine(&self, rows: &mut [&mut ImageRow]) -> Vec<Result<Examined, IngestError>> {
        let known: Vec<Option<Examined>> = rows.iter().map(|row| self.known_file(row)).collect();
        let mut unread: Vec<&mut ImageRow> =
            rows.iter_mut().zip(&known).filter(|(_, known)| known.is_none()).map(|(row, _)| &mut **row).collect();
        let failed = self.read_files(&mut unread);
        // Every core has some.
        let together = unread.len().div_ceil(4 * rayon::current_num_threads()).clamp(1, ROWS_TOGETHER);
        let mut examined = unread
            .par_chunks_mut(together)
            .flat_map_iter(|rows| self.examine_together(rows, None))
            .collect::<Vec<_>>()
            .into_iter()
            .zip(failed)
            .map(|(examined, failed)| failed.map_or(examined, Err));
        let mut next = || examined.next().unwrap_or_else(|| Err(not_looked_at()));
        known.into_iter().map(|known| known.map_or_else(&mut next, Ok)).collect()
    }

    /// Puts the bytes of files into their rows; says for each row what went wrong with it.
    fn read_files(&self, rows: &mut [&mut ImageRow]) -> Vec<Option<IngestError>> {
        let named = |row: &&mut ImageRow| match &row.content {
            ImageContent::File(name) => Some(name.clone()),
            _ => None,
        };
        let names: Vec<Option<String>> = rows.iter().map(named).collect();
        let names_only: Vec<&str> = names.iter().flatten().map(String::as_str).collect();
        let mut read = self.source.read_many(&names_only, MAX_IMAGE_BYTES as u64).into_iter();
        let mut fill = |(row, name): (&mut ImageRow, &Option<String>)| {
            let bytes = if name.is_some() { read.next() } else { None };
            match bytes? {
                Ok(bytes) => row.content = ImageContent::Bytes(bytes),
                Err(error) => {
                    row.content = ImageContent::Bytes(Vec::new());
                    return Some(error.into());
                }
            }
            None
        };
        rows.iter_mut().map(|row| &mut **row).zip(&names).map(&mut fill).collect()
    }

    /// Looks at images on this thread; what was base64 and is not small is decoded onto the sheet, which has room for it.
    pub fn examine_here(
        &self,
        rows: &mut [&mut ImageRow],
        mut sheet: Option<&mut Sheet>,
    ) -> Vec<Result<Examined, IngestError>> {
        rows.chunks_mut(ROWS_TOGETHER).flat_map(|rows| self.examine_together(rows, sheet.as_deref_mut())).collect()
    }

    /// Bytes that an image takes of a sheet.
    pub fn room(row: &ImageRow) -> usize {
        match &row.content {
            ImageContent::Base64(encoded) => Sheet::room(row.id.len(), decoded_bytes(encoded)),
            _ => 0,
        }
    }

    /// Looks at a few images; they are hashed together, which takes less time than one by one.
    fn examine_together(
        &self,
        rows: &mut [&mut ImageRow],
        mut sheet: Option<&mut Sheet>,
    ) -> Vec<Result<Examined, IngestError>> {
        let read: Vec<Result<ImageBytes, IngestError>> =
            rows.iter_mut().map(|row| self.read(row, sheet.as_deref_mut())).collect();
        let buffers: Vec<&[u8]> = read.iter().flatten().map(|bytes| bytes.get(sheet.as_deref())).collect();
        let mut digests = many_digests(&buffers).into_iter();
        let examine = |(row, bytes): (&&mut ImageRow, Result<ImageBytes, IngestError>)| {
            let (bytes, digest) = (bytes?, digests.next().unwrap_or_default());
            if let Some(facts) = self.known.get(&row.id, &digest) {
                return Ok(Examined { facts, digest, bytes: None });
            }
            let facts = self.look_at(bytes.get(sheet.as_deref()))?;
            Ok(Examined { facts, digest, bytes: Some(bytes) })
        };
        rows.iter().zip(read).map(examine).collect()
    }

    /// Takes the content out of a row.
    fn read(&self, row: &mut ImageRow, sheet: Option<&mut Sheet>) -> Result<ImageBytes, IngestError> {
        let room = Self::room(row);
        match (std::mem::replace(&mut row.content, ImageContent::Bytes(Vec::new())), sheet) {
            (ImageContent::Base64(encoded), Some(sheet)) if room > 0 => {
                let decode = |decoded: &mut [u8]| decode_base64_into(&encoded, decoded).ok_or_else(not_base64);
                sheet.lay(decoded_bytes(&encoded), decode).map(ImageBytes::Laid)
            }
            (content, _) => content.into_bytes(self.source).map(ImageBytes::Loose),
        }
    }

    /// A file that did not change since an earlier version of the data set need not even be read.
    fn known_file(&self, row: &ImageRow) -> Option<Examined> {
        let ImageContent::File(name) = &row.content else { return None };
        if self.known.is_empty() {
            return None;
        }
        let digest = *blake3::Hash::from_hex(self.source.known_digest(name, self.digests)?).ok()?.as_bytes();
        Some(Examined { facts: self.known.get(&row.id, &digest)?, digest, bytes: None })
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
