//! An LMDB file that somebody else wrote, read page by page. LMDB itself trusts its files and crashes on damaged ones; here
//! every page number, offset and length is checked.
//!
//! Source of the layout: `mdb.c` of LMDB 0.9 (`MDB_meta`, `MDB_page`, `MDB_node`), 64-bit, little-endian.
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{IngestError, MAX_IMAGE_BYTES};

const MAGIC: u32 = 0xbeef_c0de;
const PAGE_HEADER: usize = 16;
const NODE_HEADER: usize = 8;
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const OVERFLOW: u16 = 0x04;
const BIG_DATA: u16 = 0x01;
/// Deeper trees are circles.
const MAX_DEPTH: usize = 64;
const NO_PAGE: u64 = u64::MAX;

/// One named-less database of an LMDB file.
#[derive(Debug)]
pub struct LmdbFile {
    path: PathBuf,
    file: File,
    page_size: usize,
    pages: u64,
    root: u64,
    entries: u64,
}

/// A value, or where its pages lie.
#[derive(Debug)]
enum Value {
    Here(Vec<u8>),
    Pages { first: u64, bytes: usize },
}

impl LmdbFile {
    /// Opens `data.mdb` and takes the newer of its two meta pages.
    pub fn open(path: &Path) -> Result<Self, IngestError> {
        let file = File::open(path).map_err(IngestError::io(path))?;
        let bytes = file.metadata().map_err(IngestError::io(path))?.len();
        let mut opened =
            Self { path: path.to_owned(), file, page_size: 4096, pages: bytes / 4096, root: NO_PAGE, entries: 0 };
        let first = opened.page_bytes(0, 4096)?;
        opened.page_size = u32_at(&first, 40).unwrap_or(0) as usize;
        if u32_at(&first, 16) != Some(MAGIC)
            || !opened.page_size.is_power_of_two()
            || !(512..=65_536).contains(&opened.page_size)
        {
            return Err(opened.damaged("not an LMDB file"));
        }
        opened.pages = bytes / opened.page_size as u64;
        let mut newest = None;
        for number in 0..2 {
            let meta = opened.page(number)?;
            // Two databases of 48 bytes each follow magic, version, address and map size: the free list and the main one.
            let main = PAGE_HEADER + 24 + 48;
            if let (Some(MAGIC), Some(entries), Some(root), Some(transaction)) = (
                u32_at(&meta, PAGE_HEADER),
                u64_at(&meta, main + 32),
                u64_at(&meta, main + 40),
                u64_at(&meta, main + 48 + 8),
            ) && newest.is_none_or(|(known, _, _)| transaction > known)
            {
                newest = Some((transaction, root, entries));
            }
        }
        let (_, root, entries) = newest.ok_or_else(|| opened.damaged("no valid meta page"))?;
        (opened.root, opened.entries) = (root, entries);
        Ok(opened)
    }

    /// Keys and values in the order of the keys.
    pub fn entries(self) -> Entries {
        Entries { path: vec![(self.root, 0)], left: self.entries, file: self, done: false }
    }

    /// The value of a key, or `None`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IngestError> {
        let mut number = self.root;
        if number == NO_PAGE {
            return Ok(None);
        }
        for _ in 0..MAX_DEPTH {
            let page = self.page(number)?;
            let nodes = self.node_count(&page)?;
            if flags(&page) & LEAF != 0 {
                let found = self.search(&page, 0, nodes, key)?;
                return match found {
                    Ok(node) => self.leaf(&page, node).and_then(|(_, value)| self.resolve(value)).map(Some),
                    Err(_) => Ok(None),
                };
            }
            // The first key of a branch page stands for everything before the second.
            let child = match self.search(&page, 1, nodes, key)? {
                Ok(node) => node,
                Err(after) => after - 1,
            };
            number = self.child(&page, child)?;
        }
        Err(self.damaged("its tree is too deep"))
    }

    /// Binary search in `first..nodes`: the node with the key, or the one that would come after it.
    fn search(&self, page: &[u8], first: usize, nodes: usize, key: &[u8]) -> Result<Result<usize, usize>, IngestError> {
        let (mut low, mut high) = (first, nodes);
        while low < high {
            let middle = low.midpoint(high);
            match self.key(page, middle)?.cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(Ok(middle)),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(Err(low.max(1)))
    }

    fn page(&self, number: u64) -> Result<Vec<u8>, IngestError> {
        let page = self.page_bytes(number, self.page_size)?;
        if number > 1 && flags(&page) & (BRANCH | LEAF) == 0 {
            return Err(self.damaged("a page of the tree is of another kind"));
        }
        Ok(page)
    }

    fn page_bytes(&self, number: u64, bytes: usize) -> Result<Vec<u8>, IngestError> {
        let end = number.checked_add(bytes.div_ceil(self.page_size) as u64);
        if end.is_none_or(|end| end > self.pages) {
            return Err(self.damaged("it ends before a page that it names"));
        }
        let mut page = vec![0; bytes];
        self.file.read_exact_at(&mut page, number * self.page_size as u64).map_err(IngestError::io(&self.path))?;
        Ok(page)
    }

    fn node_count(&self, page: &[u8]) -> Result<usize, IngestError> {
        let lower = usize::from(u16_at(page, 12).unwrap_or(0));
        let count = lower.checked_sub(PAGE_HEADER).map(|bytes| bytes / 2).filter(|_| lower <= self.page_size);
        count.filter(|count| *count > 0).ok_or_else(|| self.damaged("a page has no valid list of entries"))
    }

    /// The bytes of a node from its header on.
    fn node<'a>(&self, page: &'a [u8], index: usize) -> Result<&'a [u8], IngestError> {
        let at = u16_at(page, PAGE_HEADER + 2 * index).map(usize::from);
        let node = at.filter(|at| *at >= PAGE_HEADER).and_then(|at| page.get(at..));
        node.filter(|node| node.len() >= NODE_HEADER).ok_or_else(|| self.damaged("an entry lies outside its page"))
    }

    fn key<'a>(&self, page: &'a [u8], index: usize) -> Result<&'a [u8], IngestError> {
        let node = self.node(page, index)?;
        let length = usize::from(u16_at(node, 6).unwrap_or(0));
        node.get(NODE_HEADER..NODE_HEADER + length).ok_or_else(|| self.damaged("a key lies outside its page"))
    }

    fn child(&self, page: &[u8], index: usize) -> Result<u64, IngestError> {
        let node = self.node(page, index)?;
        let [low, high, top] = [0, 2, 4].map(|at| u64::from(u16_at(node, at).unwrap_or(0)));
        Ok(low | high << 16 | top << 32)
    }

    fn leaf(&self, page: &[u8], index: usize) -> Result<(Vec<u8>, Value), IngestError> {
        let key = self.key(page, index)?;
        let node = self.node(page, index)?;
        let [low, high] = [0, 2].map(|at| usize::from(u16_at(node, at).unwrap_or(0)));
        let bytes = low | high << 16;
        let data = node.get(NODE_HEADER + key.len()..).unwrap_or_default();
        let value = match u16_at(node, 4).unwrap_or(0) {
            0 => data.get(..bytes).map(|data| Value::Here(data.to_vec())),
            BIG_DATA => u64_at(data, 0).map(|first| Value::Pages { first, bytes }),
            _ => return Err(self.damaged("it holds databases inside a database, which the reference never writes")),
        };
        Ok((key.to_vec(), value.ok_or_else(|| self.damaged("a value lies outside its page"))?))
    }

    fn resolve(&self, value: Value) -> Result<Vec<u8>, IngestError> {
        match value {
            Value::Here(bytes) => Ok(bytes),
            Value::Pages { bytes, .. } if bytes > 2 * MAX_IMAGE_BYTES => {
                Err(self.damaged("a value is larger than any image that is accepted"))
            }
            Value::Pages { first, bytes } => {
                let mut run = self.page_bytes(first, PAGE_HEADER + bytes)?;
                if flags(&run) & OVERFLOW == 0 {
                    return Err(self.damaged("a large value leads to a page of another kind"));
                }
                run.drain(..PAGE_HEADER);
                Ok(run)
            }
        }
    }

    fn damaged(&self, reason: &str) -> IngestError {
        IngestError::Lmdb { path: self.path.clone(), reason: reason.to_owned() }
    }
}

/// A key and its value.
type Entry = (Vec<u8>, Vec<u8>);

/// Walks the tree of a file from left to right.
#[derive(Debug)]
pub struct Entries {
    file: LmdbFile,
    /// Pages from the root down, each with the entry that comes next.
    path: Vec<(u64, usize)>,
    /// Entries that the meta page promises; a tree that has more goes round in a circle.
    left: u64,
    done: bool,
}

impl Entries {
    fn step(&mut self) -> Result<Option<Entry>, IngestError> {
        while let Some((number, index)) = self.path.pop() {
            if number == NO_PAGE {
                break;
            }
            let page = self.file.page(number)?;
            if index >= self.file.node_count(&page)? {
                continue;
            }
            self.path.push((number, index + 1));
            if flags(&page) & LEAF != 0 {
                self.left = self.left.checked_sub(1).ok_or_else(|| self.file.damaged("its tree has a circle"))?;
                let (key, value) = self.file.leaf(&page, index)?;
                return Ok(Some((key, self.file.resolve(value)?)));
            }
            if self.path.len() >= MAX_DEPTH {
                return Err(self.file.damaged("its tree is too deep"));
            }
            self.path.push((self.file.child(&page, index)?, 0));
        }
        match self.left {
            0 => Ok(None),
            missing => Err(self.file.damaged(&format!("{missing} entries are missing"))),
        }
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.step();
        self.done = !matches!(step, Ok(Some(_)));
        step.transpose()
    }
}

fn flags(page: &[u8]) -> u16 {
    u16_at(page, 10).unwrap_or(0)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
