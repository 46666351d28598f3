//! The bytes of one LMDB page: header, slots that grow upward, nodes that grow downward.
//!
//! Source of the layout: `mdb.c` of LMDB 0.9 (`MDB_page`, `MDB_node`, `MDB_meta`), 64-bit, little-endian.

pub(super) const PAGE_BYTES: usize = 4096;
pub(super) const PAGE_HEADER: usize = 16;
const NODE_HEADER: usize = 8;
/// The offset of a node, in its page's list.
const SLOT: usize = 2;
/// Header, key and value of a larger node do not stay in the leaf: two must fit a page (`me_nodemax`).
const NODE_MAX: usize = (((PAGE_BYTES - PAGE_HEADER) / 2) & !1) - SLOT;

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const OVERFLOW: u16 = 0x04;
const META: u16 = 0x08;
/// Flag of a node: its value lies on overflow pages.
const BIG_DATA: u16 = 0x01;

const MAGIC: u32 = 0xbeef_c0de;
const DATA_VERSION: u32 = 1;
/// Keys of the free list are integers (`MDB_INTEGERKEY`).
const FREE_LIST_FLAGS: u16 = 0x08;
/// LMDB's own least map.
const LEAST_MAP_BYTES: u64 = 1 << 20;
/// Root of a tree without entries.
pub(super) const NO_PAGE: u64 = u64::MAX;

/// Whether a value stays in the leaf beside its key.
pub(super) fn is_inline(key_bytes: usize, value_bytes: usize) -> bool {
    NODE_HEADER + key_bytes + value_bytes <= NODE_MAX
}

/// Pages of the run that holds a value.
pub(super) fn run_pages(value_bytes: usize) -> u32 {
    (PAGE_HEADER + value_bytes).div_ceil(PAGE_BYTES) as u32
}

/// Where the value of a leaf's node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Inline(&'a [u8]),
    /// The first page of its run, and its length.
    Run {
        first: u64,
        bytes: u32,
    },
}

/// A leaf or branch page that is being filled.
#[derive(Debug)]
pub(super) struct Page {
    bytes: Box<[u8; PAGE_BYTES]>,
    lower: usize,
    upper: usize,
    kind: u16,
}

impl Page {
    pub(super) fn leaf() -> Self {
        Self::of_kind(LEAF)
    }

    pub(super) fn branch() -> Self {
        Self::of_kind(BRANCH)
    }

    fn of_kind(kind: u16) -> Self {
        Self { bytes: Box::new([0; PAGE_BYTES]), lower: PAGE_HEADER, upper: PAGE_BYTES, kind }
    }

    /// Bytes that branch nodes take of a page beside its header, slot included.
    pub(super) fn branch_node_bytes(key: &[u8]) -> usize {
        SLOT + (NODE_HEADER + key.len()).next_multiple_of(2)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lower == PAGE_HEADER
    }

    /// Adds an entry at the end; `false` if the page is full.
    pub(super) fn push_entry(&mut self, key: &[u8], value: Value<'_>) -> bool {
        match value {
            Value::Inline(data) => self.push(data.len() as u32, 0, key, data),
            Value::Run { first, bytes } => self.push(bytes, BIG_DATA, key, &first.to_le_bytes()),
        }
    }

    /// Adds a child at the end; `false` if the page is full. The number takes the place of length and flags.
    pub(super) fn push_child(&mut self, key: &[u8], page: u64) -> bool {
        self.push(page as u32, (page >> 32) as u16, key, &[])
    }

    fn push(&mut self, low: u32, high: u16, key: &[u8], data: &[u8]) -> bool {
        let node_bytes = (NODE_HEADER + key.len() + data.len()).next_multiple_of(2);
        if SLOT + node_bytes > self.upper - self.lower {
            return false;
        }
        self.upper -= node_bytes;
        put(&mut self.bytes[..], self.lower, &(self.upper as u16).to_le_bytes());
        self.lower += SLOT;
        let node = &mut self.bytes[self.upper..];
        put(node, 0, &low.to_le_bytes());
        put(node, 4, &high.to_le_bytes());
        put(node, 6, &(key.len() as u16).to_le_bytes());
        put(node, NODE_HEADER, key);
        put(node, NODE_HEADER + key.len(), data);
        true
    }

    /// The page under its number.
    pub(super) fn seal(&mut self, number: u64) -> &[u8] {
        let header = header(number, self.kind, self.lower as u32 | (self.upper as u32) << 16);
        put(&mut self.bytes[..], 0, &header);
        &self.bytes[..]
    }

    /// Empties the page.
    pub(super) fn clear(&mut self) {
        self.bytes.fill(0);
        (self.lower, self.upper) = (PAGE_HEADER, PAGE_BYTES);
    }
}

/// What begins a run of overflow pages; the value follows at once.
pub(super) fn run_header(number: u64, pages: u32) -> [u8; PAGE_HEADER] {
    header(number, OVERFLOW, pages)
}

fn header(number: u64, kind: u16, last: u32) -> [u8; PAGE_HEADER] {
    let mut header = [0; PAGE_HEADER];
    put(&mut header, 0, &number.to_le_bytes());
    put(&mut header, 10, &kind.to_le_bytes());
    put(&mut header, 12, &last.to_le_bytes());
    header
}

/// Shape of the tree (`MDB_db`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tree {
    pub depth: u16,
    pub branch_pages: u64,
    pub leaf_pages: u64,
    pub overflow_pages: u64,
    pub entries: u64,
    pub root: u64,
}

impl Tree {
    pub(super) const EMPTY: Self =
        Self { depth: 0, branch_pages: 0, leaf_pages: 0, overflow_pages: 0, entries: 0, root: NO_PAGE };

    fn bytes(&self, pad: u32, flags: u16) -> [u8; 48] {
        let mut bytes = [0; 48];
        put(&mut bytes, 0, &pad.to_le_bytes());
        put(&mut bytes, 4, &flags.to_le_bytes());
        put(&mut bytes, 6, &self.depth.to_le_bytes());
        let counts = [self.branch_pages, self.leaf_pages, self.overflow_pages, self.entries, self.root];
        for (index, count) in counts.into_iter().enumerate() {
            put(&mut bytes, 8 + 8 * index, &count.to_le_bytes());
        }
        bytes
    }
}

/// Both meta pages of a file of `pages` pages, as after LMDB's first transaction: the first is of an empty file
/// (transaction 0), the second of the whole one (transaction 1). The free list is empty.
pub(super) fn meta_pages(tree: &Tree, pages: u64) -> [u8; 2 * PAGE_BYTES] {
    let map_bytes = (pages * PAGE_BYTES as u64).max(LEAST_MAP_BYTES);
    let mut bytes = [0; 2 * PAGE_BYTES];
    for (number, (tree, last_page)) in [(&Tree::EMPTY, 1), (tree, pages - 1)].into_iter().enumerate() {
        let page = &mut bytes[number * PAGE_BYTES..];
        put(page, 0, &header(number as u64, META, 0));
        let meta = &mut page[PAGE_HEADER..];
        put(meta, 0, &MAGIC.to_le_bytes());
        put(meta, 4, &DATA_VERSION.to_le_bytes());
        // Eight bytes of a fixed address stay 0.
        put(meta, 16, &map_bytes.to_le_bytes());
        put(meta, 24, &Tree::EMPTY.bytes(PAGE_BYTES as u32, FREE_LIST_FLAGS));
        put(meta, 72, &tree.bytes(0, 0));
        put(meta, 120, &u64::to_le_bytes(last_page));
        put(meta, 128, &(number as u64).to_le_bytes());
    }
    bytes
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}
