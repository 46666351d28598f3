//! Files of an index: arrays of numbers, little endian, each on a multiple of 64 bytes, between a header and a table.
//!
//! ```text
//! 0   8  magic `TUWENVEC`       16  8  rows            64     the arrays
//! 8   4  version                24  8  dimension       end    length in bytes of each array, then their number, 8 bytes each
//! 12  4  kind of the file       32 32  BLAKE3 of everything after byte 64
//! ```
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytemuck::Pod;

use crate::index::IndexError;
use crate::store::{Mapping, StoreError};

const MAGIC: &[u8; 8] = b"TUWENVEC";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 64;
const ALIGNMENT: usize = 64;

/// Four letters that say what a file holds.
pub type FileKind = [u8; 4];

/// An open file; its arrays are read where they lie.
#[derive(Debug)]
pub struct FlatFile {
    path: PathBuf,
    bytes: Mapping,
    arrays: Vec<Range<usize>>,
    pub rows: usize,
    pub dimension: usize,
}

/// Writes a file, array by array.
#[derive(Debug)]
pub struct FlatWriter {
    path: PathBuf,
    file: BufWriter<File>,
    digest: blake3::Hasher,
    header: Vec<u8>,
    /// Bytes so far.
    at: usize,
    array_start: usize,
    lengths: Vec<u64>,
}

impl FlatFile {
    /// Opens a file of `kind` with so many arrays; what is cut off or foreign is an error.
    pub fn open(path: &Path, kind: FileKind, arrays: usize) -> Result<Self, IndexError> {
        if cfg!(target_endian = "big") {
            return Err(broken(path, "the processor is not little endian"));
        }
        let bytes = Mapping::open(path)?;
        let word = |at: usize| {
            let bytes = bytes.get(at..at + 8).and_then(|bytes| bytes.first_chunk::<8>());
            bytes.map(|bytes| u64::from_le_bytes(*bytes)).and_then(|word| usize::try_from(word).ok())
        };
        if bytes.get(..8) != Some(MAGIC) {
            return Err(broken(path, "no file of a vector index"));
        }
        if bytes.get(8..12) != Some(&VERSION.to_le_bytes()) || bytes.get(12..16) != Some(&kind) {
            return Err(broken(path, "another version or another kind of index"));
        }
        let end = bytes.len().checked_sub(8 * (arrays + 1)).filter(|end| *end >= HEADER_BYTES);
        let (Some(rows), Some(dimension), Some(end)) = (word(16), word(24), end) else {
            return Err(broken(path, "the file is cut off"));
        };
        let mut found = Vec::with_capacity(arrays);
        let mut at = HEADER_BYTES;
        for array in 0..arrays {
            let length = word(end + 8 * array).filter(|length| *length <= end - at);
            let Some(length) = length else { return Err(broken(path, "the file is cut off")) };
            found.push(at..at + length);
            at = (at + length).next_multiple_of(ALIGNMENT).min(end);
        }
        if at != end || word(bytes.len() - 8) != Some(arrays) {
            return Err(broken(path, "the file is cut off"));
        }
        Ok(Self { path: path.to_owned(), bytes, arrays: found, rows, dimension })
    }

    /// An array of numbers, which must have `length` of them.
    pub fn array<T: Pod>(&self, number: usize, length: usize) -> Result<&[T], IndexError> {
        let range = self.arrays.get(number).cloned().unwrap_or_default();
        let bytes = self.bytes.get(range).unwrap_or_default();
        let values = bytemuck::try_cast_slice(bytes).ok().filter(|values: &&[T]| values.len() == length);
        values.ok_or_else(|| broken(&self.path, "an array has another length than rows and dimension say"))
    }

    /// Compares the content with the digest; reads the whole file.
    pub fn verify(&self) -> Result<(), IndexError> {
        let found = blake3::hash(&self.bytes[HEADER_BYTES..]);
        let written = self.bytes.get(32..HEADER_BYTES);
        if written == Some(found.as_bytes().as_slice()) {
            Ok(())
        } else {
            Err(broken(&self.path, "the content changed"))
        }
    }

    /// An error about this file.
    pub fn broken(&self, reason: &str) -> IndexError {
        broken(&self.path, reason)
    }
}

impl FlatWriter {
    pub fn create(path: &Path, kind: FileKind, rows: usize, dimension: usize) -> Result<Self, StoreError> {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&kind);
        header.extend_from_slice(&(rows as u64).to_le_bytes());
        header.extend_from_slice(&(dimension as u64).to_le_bytes());
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path).map_err(StoreError::io(path))?);
        file.write_all(&[0; HEADER_BYTES]).map_err(StoreError::io(path))?;
        let path = path.to_owned();
        let digest = blake3::Hasher::new();
        Ok(Self { path, file, digest, header, at: HEADER_BYTES, array_start: HEADER_BYTES, lengths: Vec::new() })
    }

    /// Appends to the array at hand.
    pub fn append<T: Pod>(&mut self, values: &[T]) -> Result<(), StoreError> {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        self.digest.update(bytes);
        self.at += bytes.len();
        self.file.write_all(bytes).map_err(StoreError::io(&self.path))
    }

    /// Ends the array at hand.
    pub fn end_array(&mut self) -> Result<(), StoreError> {
        self.lengths.push((self.at - self.array_start) as u64);
        let zeros = [0u8; ALIGNMENT];
        self.append(&zeros[..self.at.next_multiple_of(ALIGNMENT) - self.at])?;
        self.array_start = self.at;
        Ok(())
    }

    /// Writes one whole array.
    pub fn array<T: Pod>(&mut self, values: &[T]) -> Result<(), StoreError> {
        self.append(values)?;
        self.end_array()
    }

    /// Writes table and header; before that the file is not valid.
    pub fn finish(mut self) -> Result<(), StoreError> {
        let table: Vec<u64> = self.lengths.iter().copied().chain([self.lengths.len() as u64]).collect();
        self.append(&table)?;
        let Self { path, mut file, mut header, digest, .. } = self;
        header.extend_from_slice(digest.finalize().as_bytes());
        let written = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&header)).and_then(|()| file.flush());
        written.and_then(|()| file.get_ref().sync_all()).map_err(StoreError::io(&path))
    }
}

fn broken(path: &Path, reason: &str) -> IndexError {
    IndexError::Broken { path: path.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: FileKind = *b"test";

    fn write(path: &Path) {
        let mut writer = FlatWriter::create(path, KIND, 3, 2).unwrap();
        writer.append(&[1.0f32, 2.0]).unwrap();
        writer.append(&[3.0f32]).unwrap();
        writer.end_array().unwrap();
        writer.array::<u32>(&[]).unwrap();
        writer.array(&[7u32; 40]).unwrap();
        writer.finish().unwrap();
    }

    #[test]
    fn arrays_come_back_and_their_content_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path);
        let file = FlatFile::open(&path, KIND, 3).unwrap();
        assert_eq!(file.array::<f32>(0, 3).unwrap(), [1.0, 2.0, 3.0]);
        assert_eq!(file.array::<u32>(1, 0).unwrap(), [0; 0]);
        assert_eq!(file.array::<u32>(2, 40).unwrap(), [7; 40]);
        assert!(file.array::<u32>(2, 39).is_err());
        file.verify().unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[65] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(FlatFile::open(&path, KIND, 3).unwrap().verify().is_err());
    }

    #[test]
    fn a_file_cut_off_anywhere_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path);
        let bytes = std::fs::read(&path).unwrap();
        for length in 1..bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(FlatFile::open(&path, KIND, 3).is_err(), "{length} bytes of {}", bytes.len());
        }
        std::fs::write(&path, [&bytes[..], &[0]].concat()).unwrap();
        assert!(FlatFile::open(&path, KIND, 3).is_err());
        std::fs::write(&path, bytes).unwrap();
        assert!(FlatFile::open(&path, *b"else", 3).is_err());
        assert!(FlatFile::open(&path, KIND, 2).is_err());
    }
}
