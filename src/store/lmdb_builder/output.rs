//! A file that is written from front to back, a group of pages at a time, and hashed on the way.
use std::fs::File;
use std::io::Error;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::FileDigest;
use super::digest::{GROUP_BYTES, GroupDigest};
use super::disk::{DiskWriter, Group};
use super::page::{PAGE_BYTES, Tree, meta_pages, run_header, run_pages};
use crate::store::StoreError;

/// Pages in their order. The first group stays in memory, because it begins with the meta pages: until the end the file
/// begins with a gap, and nobody takes it for an LMDB file.
#[derive(Debug)]
pub(super) struct PageFile {
    path: PathBuf,
    file: File,
    /// The group that is being filled.
    group: Group,
    /// The first group, once it is full.
    first: Option<Group>,
    /// Writes the other ones.
    disk: Option<DiskWriter>,
    /// Bytes of the groups that were full.
    full_bytes: u64,
    digest: GroupDigest,
    /// A write failed: what follows would stand on a gap.
    is_broken: bool,
}

impl PageFile {
    /// Creates the file; one that is there already is an error.
    pub(super) fn create(path: &Path) -> Result<Self, StoreError> {
        let mut group = Group::new();
        group.take(&[0; 2 * PAGE_BYTES]);
        Ok(Self {
            path: path.to_owned(),
            file: File::create_new(path).map_err(StoreError::io(path))?,
            group,
            first: None,
            disk: None,
            full_bytes: 0,
            digest: GroupDigest::default(),
            is_broken: false,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The number that the next page gets.
    pub(super) fn next_page(&self) -> u64 {
        (self.full_bytes + self.group.bytes().len() as u64) / PAGE_BYTES as u64
    }

    /// Takes the bytes that come next.
    pub(super) fn extend(&mut self, mut bytes: &[u8]) -> Result<(), StoreError> {
        if self.is_broken {
            let again = Error::other("an earlier write to this file failed; remove it and begin anew");
            return Err(StoreError::io(&self.path)(again));
        }
        while !bytes.is_empty() {
            bytes = self.group.take(bytes);
            if self.group.is_full() {
                self.end_group()?;
            }
        }
        Ok(())
    }

    /// Writes a value onto pages of its own; returns the number of the first.
    pub(super) fn write_run(&mut self, value: &[u8]) -> Result<u64, StoreError> {
        const ZEROS: [u8; PAGE_BYTES] = [0; PAGE_BYTES];
        let (number, pages) = (self.next_page(), run_pages(value.len()));
        let header = run_header(number, pages);
        self.extend(&header)?;
        self.extend(value)?;
        let padding = pages as usize * PAGE_BYTES - header.len() - value.len();
        self.extend(&ZEROS[..padding])?;
        Ok(number)
    }

    /// Writes the rest and the meta pages; the file is on the disk then.
    pub(super) fn finish(mut self, tree: &Tree) -> Result<FileDigest, StoreError> {
        let pages = self.next_page();
        let bytes = pages * PAGE_BYTES as u64;
        let mut first = match self.first.take() {
            Some(first) => {
                self.write_group()?;
                first
            }
            None => std::mem::replace(&mut self.group, Group::new()),
        };
        self.disk.take().map_or(Ok(()), DiskWriter::finish).map_err(StoreError::io(&self.path))?;
        first.bytes_mut()[..2 * PAGE_BYTES].copy_from_slice(&meta_pages(tree, pages));
        let written = self.file.write_all_at(first.bytes(), 0).and_then(|()| self.file.sync_all());
        written.map_err(StoreError::io(&self.path))?;
        Ok(FileDigest { bytes, digest: self.digest.finish(first.bytes()).to_hex().to_string() })
    }

    fn end_group(&mut self) -> Result<(), StoreError> {
        if self.first.is_none() {
            self.first = Some(std::mem::replace(&mut self.group, Group::new()));
        } else {
            self.write_group()?;
        }
        self.full_bytes += GROUP_BYTES as u64;
        Ok(())
    }

    /// Hashes a group that is not the first and hands it on to be written; it is empty where the file ends with a full one.
    fn write_group(&mut self) -> Result<(), StoreError> {
        let group = std::mem::replace(&mut self.group, Group::empty());
        if group.bytes().is_empty() {
            return Ok(());
        }
        self.digest.push(group.bytes());
        self.is_broken = true;
        let mut disk = match self.disk.take() {
            Some(disk) => disk,
            None => DiskWriter::start(&self.path, &self.file).map_err(StoreError::io(&self.path))?,
        };
        self.group = disk.write(group, self.full_bytes).map_err(StoreError::io(&self.path))?;
        self.disk = Some(disk);
        self.is_broken = false;
        Ok(())
    }
}
