//! Entries sorted by key with bounded memory: runs in a scratch file without a name, merged at the end.
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::page::Value;
use crate::store::StoreError;

/// A record: length of the key, length of the value, first page of its run or 0, key, and the value if there is no run.
const RECORD_HEADER: usize = 2 + 4 + 8;
const WRITE_BUFFER: usize = 1 << 20;
/// For each run.
const READ_BUFFER: usize = 64 << 10;

/// Entries in the order of arrival: less than 4 GiB.
#[derive(Debug, Default)]
pub(super) struct Batch {
    records: Vec<u8>,
    /// Where each begins, after the beginning of its key as a number: most keys differ there.
    starts: Vec<(u64, u32)>,
}

/// Sorted runs, one after another in a file that is gone with its handle.
#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    file: File,
    runs: Vec<Range<u64>>,
}

impl Batch {
    pub(super) fn push(&mut self, key: &[u8], value: Value<'_>) {
        let (header, data) = header(key, value);
        let mut beginning = [0; 8];
        let bytes = key.len().min(beginning.len());
        beginning[..bytes].copy_from_slice(&key[..bytes]);
        self.starts.push((u64::from_be_bytes(beginning), self.records.len() as u32));
        for part in [&header[..], key, data] {
            self.records.extend_from_slice(part);
        }
    }

    /// Memory in use.
    pub(super) fn bytes(&self) -> usize {
        self.records.len() + size_of_val(&self.starts[..])
    }

    /// Gives all entries in the order of their keys and empties the batch.
    pub(super) fn sorted<E>(&mut self, mut each: impl FnMut(&[u8], Value<'_>) -> Result<(), E>) -> Result<(), E> {
        let Self { records, starts } = self;
        let key = |start: u32| parse(&records[start as usize..]).0;
        starts.sort_unstable_by(|one, other| one.0.cmp(&other.0).then_with(|| key(one.1).cmp(key(other.1))));
        for (_, start) in starts.drain(..) {
            let (key, value) = parse(&records[start as usize..]);
            each(key, value)?;
        }
        records.clear();
        Ok(())
    }
}

impl Spool {
    /// Creates the file and takes its name away, so that nothing stays behind when the process ends.
    pub(super) fn create(path: &Path) -> Result<Self, StoreError> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
        let file = file.map_err(StoreError::io(path))?;
        std::fs::remove_file(path).map_err(StoreError::io(path))?;
        Ok(Self { path: path.to_owned(), file, runs: Vec::new() })
    }

    /// Writes the entries of a batch as a run and empties it.
    pub(super) fn write(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        let start = self.runs.last().map_or(0, |run| run.end);
        let mut end = start;
        let mut file = BufWriter::with_capacity(WRITE_BUFFER, &self.file);
        let written = batch.sorted(|key, value| {
            let (header, data) = header(key, value);
            end += (header.len() + key.len() + data.len()) as u64;
            [&header[..], key, data].into_iter().try_for_each(|part| file.write_all(part))
        });
        written.and_then(|()| file.flush()).map_err(StoreError::io(&self.path))?;
        self.runs.push(start..end);
        Ok(())
    }

    /// Gives the entries of all runs in the order of their keys.
    pub(super) fn merged(
        self,
        mut each: impl FnMut(&[u8], Value<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let io = |error| StoreError::io(&self.path)(error);
        let mut runs: Vec<_> = self
            .runs
            .into_iter()
            .map(|range| BufReader::with_capacity(READ_BUFFER, Run { file: &self.file, range }))
            .collect();
        let mut heads = BinaryHeap::with_capacity(runs.len());
        for (index, run) in runs.iter_mut().enumerate() {
            heads.extend(next(run, Vec::new()).map_err(io)?.map(|record| Reverse((Head(record), index))));
        }
        while let Some(Reverse((Head(record), index))) = heads.pop() {
            let (key, value) = parse(&record);
            each(key, value)?;
            let following = next(&mut runs[index], record).map_err(io)?;
            heads.extend(following.map(|record| Reverse((Head(record), index))));
        }
        Ok(())
    }
}

/// A record that compares by its key.
#[derive(Debug)]
struct Head(Vec<u8>);

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        parse(&self.0).0.cmp(parse(&other.0).0)
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

/// What is left of a run.
struct Run<'a> {
    file: &'a File,
    range: Range<u64>,
}

impl Read for Run<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = (self.range.end - self.range.start).min(buffer.len() as u64) as usize;
        let read = self.file.read_at(&mut buffer[..wanted], self.range.start)?;
        if read == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.range.start += read as u64;
        Ok(read)
    }
}

/// The next record of a run, in the memory of an earlier one; `None` at its end.
fn next(run: &mut BufReader<Run<'_>>, mut record: Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    if run.buffer().is_empty() && run.get_ref().range.is_empty() {
        return Ok(None);
    }
    record.resize(RECORD_HEADER, 0);
    run.read_exact(&mut record)?;
    let (key_bytes, value_bytes, first) = lengths(&record);
    record.resize(RECORD_HEADER + key_bytes + if first == 0 { value_bytes as usize } else { 0 }, 0);
    run.read_exact(&mut record[RECORD_HEADER..])?;
    Ok(Some(record))
}

/// The header of a record, and what follows its key. Page 0 is never that of a value.
fn header<'a>(key: &[u8], value: Value<'a>) -> ([u8; RECORD_HEADER], &'a [u8]) {
    let (bytes, first, data) = match value {
        Value::Inline(data) => (data.len() as u32, 0, data),
        Value::Run { first, bytes } => (bytes, first, &[][..]),
    };
    let mut header = [0; RECORD_HEADER];
    header[..2].copy_from_slice(&(key.len() as u16).to_le_bytes());
    header[2..6].copy_from_slice(&bytes.to_le_bytes());
    header[6..].copy_from_slice(&first.to_le_bytes());
    (header, data)
}

/// Length of the key, length of the value, first page.
fn lengths(record: &[u8]) -> (usize, u32, u64) {
    let field = |range: Range<usize>| record[range].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    (field(0..2) as usize, field(2..6) as u32, field(6..RECORD_HEADER))
}

/// Key and value of the record that `bytes` begin with.
fn parse(bytes: &[u8]) -> (&[u8], Value<'_>) {
    let (key_bytes, value_bytes, first) = lengths(bytes);
    let (key, rest) = bytes[RECORD_HEADER..].split_at(key_bytes);
    match first {
        0 => (key, Value::Inline(&rest[..value_bytes as usize])),
        first => (key, Value::Run { first, bytes: value_bytes }),
    }
}
