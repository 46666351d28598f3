//! A file that is written from front to back, many pages at a time, and hashed on the way.
use std::fs::File;
use std::io::Error;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::FileDigest;
use super::digest::{GROUP_BYTES, GroupDigest};
use super::disk::{DiskWriter, Group, Part};
use super::page::{PAGE_BYTES, Tree, meta_pages, run_header, run_pages};
use super::sheet::Sheet;
use crate::store::StoreError;

/// Pages of a sheet that are worth a write of their own.
const MANY_PAGES: usize = 32;

/// Pages in their order. The first group stays in memory, because it begins with the meta pages: until the end the file
/// begins with a gap, and nobody takes it for an LMDB file.
#[derive(Debug)]
pub(super) struct PageFile {
    path: PathBuf,
    file: File,
    /// What comes byte by byte.
    group: Option<Group>,
    /// What comes in whole pages: it follows the group.
    sheet: Option<(Arc<Sheet>, Range<usize>)>,
    /// The first group, once it is full.
    first: Option<Group>,
    /// Writes what follows it.
    disk: Option<DiskWriter>,
    /// Bytes of the first group and of what was handed on to be written.
    handed_on: u64,
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
            group: Some(group),
            sheet: None,
            first: None,
            disk: None,
            handed_on: 0,
            digest: GroupDigest::default(),
            is_broken: false,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The number that the next page gets.
    pub(super) fn next_page(&self) -> u64 {
        let group = self.group.as_ref().map_or(0, |group| group.bytes().len());
        let pages = self.sheet.as_ref().map_or(0, |(_, pages)| pages.len());
        (self.handed_on + group as u64) / PAGE_BYTES as u64 + pages as u64
    }

    /// Takes the bytes that come next.
    pub(super) fn extend(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.check()?;
        self.settle_sheet()?;
        self.fill(bytes)
    }

    fn fill(&mut self, mut bytes: &[u8]) -> Result<(), StoreError> {
        while !bytes.is_empty() {
            let mut group = match self.group.take() {
                Some(group) => group,
                None => self.disk()?.group().map_err(StoreError::io(&self.path))?,
            };
            bytes = group.take(bytes);
            match group.left() {
                0 if self.first.is_none() => {
                    self.first = Some(group);
                    self.handed_on = GROUP_BYTES as u64;
                }
                0 => self.hand_on(Part::Group(group))?,
                _ => self.group = Some(group),
            }
        }
        Ok(())
    }

    /// Takes pages of a sheet, which are written from where they lie.
    pub(super) fn extend_by_pages(&mut self, sheet: &Arc<Sheet>, mut pages: Range<usize>) -> Result<(), StoreError> {
        self.check()?;
        if let (None, Some(group)) = (&self.first, &self.group) {
            let now = pages.start..pages.end.min(pages.start + group.left() / PAGE_BYTES);
            pages.start = now.end;
            self.extend(sheet.bytes(now))?;
        }
        match &mut self.sheet {
            _ if pages.is_empty() => {}
            Some((last, before)) if Arc::ptr_eq(last, sheet) && before.end == pages.start => before.end = pages.end,
            _ => {
                self.settle_sheet()?;
                self.sheet = Some((Arc::clone(sheet), pages));
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
        self.check()?;
        let pages = self.next_page();
        let bytes = pages * PAGE_BYTES as u64;
        self.settle_sheet()?;
        if self.first.is_some() {
            self.hand_on_group()?;
        }
        let first = self.first.take().or(self.group.take());
        let mut first = first.unwrap_or_else(Group::new);
        self.disk.take().map_or(Ok(()), DiskWriter::finish).map_err(StoreError::io(&self.path))?;
        first.bytes_mut()[..2 * PAGE_BYTES].copy_from_slice(&meta_pages(tree, pages));
        let written = self.file.write_all_at(first.bytes(), 0).and_then(|()| self.file.sync_all());
        written.map_err(StoreError::io(&self.path))?;
        Ok(FileDigest { bytes, digest: self.digest.finish(first.bytes()).to_hex().to_string() })
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.is_broken {
            let again = Error::other("an earlier write to this file failed; remove it and begin anew");
            return Err(StoreError::io(&self.path)(again));
        }
        Ok(())
    }

    /// Pages of a sheet are written from where they lie if there are many; a few are copied, so that writes stay large.
    fn settle_sheet(&mut self) -> Result<(), StoreError> {
        let Some((sheet, pages)) = self.sheet.take() else { return Ok(()) };
        if pages.len() < MANY_PAGES {
            return self.fill(sheet.bytes(pages));
        }
        self.hand_on_group()?;
        self.hand_on(Part::Sheet(sheet, pages))
    }

    fn hand_on_group(&mut self) -> Result<(), StoreError> {
        self.group.take().map_or(Ok(()), |group| self.hand_on(Part::Group(group)))
    }

    /// Hashes a part that follows the first group and hands it on to be written.
    fn hand_on(&mut self, part: Part) -> Result<(), StoreError> {
        let (at, bytes) = (self.handed_on, part.bytes().len() as u64);
        self.digest.push(part.bytes());
        self.is_broken = true;
        let written = self.disk()?.write(part, at);
        written.map_err(StoreError::io(&self.path))?;
        self.handed_on += bytes;
        self.is_broken = false;
        Ok(())
    }

    fn disk(&mut self) -> Result<&mut DiskWriter, StoreError> {
        match &mut self.disk {
            Some(disk) => Ok(disk),
            none => {
                let started = DiskWriter::start(&self.path, &self.file).map_err(StoreError::io(&self.path))?;
                Ok(none.insert(started))
            }
        }
    }
}
