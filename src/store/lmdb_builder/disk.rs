//! Groups of a file on their way to the disk: a thread of their own writes them, past the page cache where the file system
//! allows it, so that writing costs next to no processor time and nothing waits to be synced.
use std::fs::File;
use std::io::{self, Error, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::digest::GROUP_BYTES;
use super::page::PAGE_BYTES;

/// What opens a file past the page cache.
#[cfg(target_os = "linux")]
const DIRECT: i32 = libc::O_DIRECT;
#[cfg(not(target_os = "linux"))]
const DIRECT: i32 = 0;
/// Full groups that wait to be written.
const GROUPS_AHEAD: usize = 3;

/// The bytes of one group, in memory that a disk can read by itself: at a multiple of the page size.
#[derive(Debug)]
pub(super) struct Group {
    memory: Vec<u8>,
    start: usize,
    filled: usize,
}

/// Writes groups in the order in which they come.
#[derive(Debug)]
pub(super) struct DiskWriter {
    full: Option<SyncSender<(Group, u64)>>,
    empty: Receiver<Group>,
    /// Groups that were made.
    made: usize,
    writer: Option<JoinHandle<io::Result<()>>>,
}

impl Group {
    pub(super) fn new() -> Self {
        let memory = vec![0; GROUP_BYTES + PAGE_BYTES];
        let start = memory.as_ptr().align_offset(PAGE_BYTES).min(PAGE_BYTES);
        Self { memory, start, filled: 0 }
    }

    /// Without room for anything.
    pub(super) fn empty() -> Self {
        Self { memory: Vec::new(), start: 0, filled: 0 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.filled]
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.filled]
    }

    pub(super) fn is_full(&self) -> bool {
        self.filled == GROUP_BYTES
    }

    /// Takes as much of the beginning of `bytes` as there is room for; returns the rest.
    pub(super) fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (now, later) = bytes.split_at(bytes.len().min(GROUP_BYTES - self.filled));
        let at = self.start + self.filled;
        self.memory[at..at + now.len()].copy_from_slice(now);
        self.filled += now.len();
        later
    }

    pub(super) fn clear(&mut self) {
        self.filled = 0;
    }
}

impl DiskWriter {
    /// Starts the thread; `file` is open at `path` for writing.
    pub(super) fn start(path: &Path, file: &File) -> io::Result<Self> {
        let direct = File::options().write(true).custom_flags(DIRECT).open(path).ok();
        let cached = file.try_clone()?;
        let (full, groups) = sync_channel(GROUPS_AHEAD);
        let (done, empty) = channel();
        let writer = std::thread::spawn(move || write_all(direct, &cached, &groups, &done));
        Ok(Self { full: Some(full), empty, made: 0, writer: Some(writer) })
    }

    /// Hands over a group that belongs at byte `at`; returns an empty one. What went wrong with an earlier one is an error now.
    pub(super) fn write(&mut self, group: Group, at: u64) -> io::Result<Group> {
        let sent = self.full.as_ref().is_some_and(|full| full.send((group, at)).is_ok());
        if !sent {
            return self.join().and(Err(ended()));
        }
        match self.empty.try_recv() {
            Ok(group) => Ok(group),
            Err(_) if self.made <= GROUPS_AHEAD => {
                self.made += 1;
                Ok(Group::new())
            }
            Err(_) => match self.empty.recv() {
                Ok(group) => Ok(group),
                Err(_) => self.join().and(Err(ended())),
            },
        }
    }

    /// Waits until all groups are written. They are not synced.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.join()
    }

    fn join(&mut self) -> io::Result<()> {
        self.full = None;
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
    groups: &Receiver<(Group, u64)>,
    done: &Sender<Group>,
) -> io::Result<()> {
    for (mut group, at) in groups {
        let written = match &direct {
            Some(file) => file.write_all_at(group.bytes(), at),
            None => cached.write_all_at(group.bytes(), at),
        };
        match written {
            // Some file systems and disks take no direct writes, or other sizes.
            Err(error) if error.kind() == ErrorKind::InvalidInput && direct.take().is_some() => {
                cached.write_all_at(group.bytes(), at)?;
            }
            written => written?,
        }
        group.clear();
        // Once the file is done nobody takes it.
        let _ = done.send(group);
    }
    Ok(())
}

fn ended() -> Error {
    Error::other("an earlier write to this file failed; remove it and begin anew")
}
