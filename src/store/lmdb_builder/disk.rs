//! Parts of a file on their way to the disk: a thread of their own writes them, past the page cache where the file system
//! allows it, so that writing costs next to no processor time and nothing waits to be synced.
use std::fs::File;
use std::io::{self, Error, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::aligned::AlignedBytes;
use super::digest::GROUP_BYTES;
use super::sheet::Sheet;

/// What opens a file past the page cache.
#[cfg(target_os = "linux")]
const DIRECT: i32 = libc::O_DIRECT;
#[cfg(not(target_os = "linux"))]
const DIRECT: i32 = 0;
/// Parts that wait to be written.
const PARTS_AHEAD: usize = 3;

/// Room for some pages that come byte by byte.
#[derive(Debug)]
pub(super) struct Group {
    memory: AlignedBytes,
    filled: usize,
}

/// Whole pages that follow each other in the file.
#[derive(Debug)]
pub(super) enum Part {
    Group(Group),
    Sheet(Arc<Sheet>, Range<usize>),
}

/// Writes parts in the order in which they come.
#[derive(Debug)]
pub(super) struct DiskWriter {
    parts: Option<SyncSender<(Part, u64)>>,
    empty: Receiver<Group>,
    /// Groups that were made.
    made: usize,
    writer: Option<JoinHandle<io::Result<()>>>,
}

impl Group {
    pub(super) fn new() -> Self {
        Self { memory: AlignedBytes::new(GROUP_BYTES), filled: 0 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[..self.filled]
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[..self.filled]
    }

    /// Bytes that are not filled yet.
    pub(super) fn left(&self) -> usize {
        GROUP_BYTES - self.filled
    }

    /// Takes as much of the beginning of `bytes` as there is room for; returns the rest.
    pub(super) fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (now, later) = bytes.split_at(bytes.len().min(self.left()));
        self.memory[self.filled..][..now.len()].copy_from_slice(now);
        self.filled += now.len();
        later
    }
}

impl Part {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Group(group) => group.bytes(),
            Self::Sheet(sheet, pages) => sheet.bytes(pages.clone()),
        }
    }
}

impl DiskWriter {
    /// Starts the thread; `file` is open at `path` for writing.
    pub(super) fn start(path: &Path, file: &File) -> io::Result<Self> {
        let direct = File::options().write(true).custom_flags(DIRECT).open(path).ok();
        let cached = file.try_clone()?;
        let (parts, received) = sync_channel(PARTS_AHEAD);
        let (done, empty) = channel();
        let writer = std::thread::spawn(move || write_all(direct, &cached, &received, &done));
        Ok(Self { parts: Some(parts), empty, made: 0, writer: Some(writer) })
    }

    /// Hands over a part that belongs at byte `at`. What went wrong with an earlier one is an error now.
    pub(super) fn write(&mut self, part: Part, at: u64) -> io::Result<()> {
        let sent = self.parts.as_ref().is_some_and(|parts| parts.send((part, at)).is_ok());
        if sent { Ok(()) } else { self.join().and(Err(ended())) }
    }

    /// An empty group.
    pub(super) fn group(&mut self) -> io::Result<Group> {
        match self.empty.try_recv() {
            Ok(group) => Ok(group),
            Err(_) if self.made <= PARTS_AHEAD => {
                self.made += 1;
                Ok(Group::new())
            }
            Err(_) => match self.empty.recv() {
                Ok(group) => Ok(group),
                Err(_) => self.join().and(Err(ended())),
            },
        }
    }

    /// Waits until all parts are written. They are not synced.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.join()
    }

    fn join(&mut self) -> io::Result<()> {
        self.parts = None;
        self.writer.take().map_or_else(|| Err(ended()), |writer| writer.join().map_err(|_| ended())?)
    }
}

/// Nothing is written any more once its writer is gone.
impl Drop for DiskWriter {
    fn drop(&mut self) {
        if self.writer.is_some() {
            // Nobody wants the file, so nobody wants to know what is wrong with it.
            let _ = self.join();
        }
    }
}

fn write_all(
    mut direct: Option<File>,
    cached: &File,
    parts: &Receiver<(Part, u64)>,
    done: &Sender<Group>,
) -> io::Result<()> {
    for (part, at) in parts {
        let written = match &direct {
            Some(file) => file.write_all_at(part.bytes(), at),
            None => cached.write_all_at(part.bytes(), at),
        };
        match written {
            // Some file systems and disks take no direct writes, or other sizes.
            Err(error) if error.kind() == ErrorKind::InvalidInput && direct.take().is_some() => {
                cached.write_all_at(part.bytes(), at)?;
            }
            written => written?,
        }
        if let Part::Group(mut group) = part {
            group.filled = 0;
            // Once the file is done nobody takes it.
            let _ = done.send(group);
        }
    }
    Ok(())
}

fn ended() -> Error {
    Error::other("an earlier write to this file failed; remove it and begin anew")
}
