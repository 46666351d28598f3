//! The branch pages above the leaves, level by level. Two pages of each level are in memory, no more.
use super::output::PageFile;
use super::page::{PAGE_BYTES, PAGE_HEADER, Page};
use crate::store::StoreError;

/// A page and the least key below it.
#[derive(Debug)]
pub(super) struct Child {
    pub key: Vec<u8>,
    pub page: u64,
}

/// Levels of branch pages, the one above the leaves first.
#[derive(Debug, Default)]
pub(super) struct Branches {
    levels: Vec<Level>,
    /// Branch pages written so far.
    pages: u64,
}

#[derive(Debug, Default)]
struct Level {
    /// A full page waits for the next to have two children: LMDB takes a branch page with one for damage.
    full: Vec<Child>,
    open: Vec<Child>,
    /// What `open` takes of its page.
    open_bytes: usize,
}

/// What stands at the top.
#[derive(Debug)]
pub(super) struct Top {
    pub root: u64,
    /// Levels of the whole tree, leaves included.
    pub depth: u16,
    pub branch_pages: u64,
}

impl Branches {
    /// Takes the next page of the level below `level`.
    pub(super) fn add(&mut self, mut level: usize, mut child: Child, file: &mut PageFile) -> Result<(), StoreError> {
        loop {
            if level == self.levels.len() {
                self.levels.push(Level::default());
            }
            let full = self.levels[level].add(child);
            if full.is_empty() {
                return Ok(());
            }
            child = self.write(full, file)?;
            level += 1;
        }
    }

    /// Writes what is left; `None` if there never was a page.
    pub(super) fn finish(mut self, file: &mut PageFile) -> Result<Option<Top>, StoreError> {
        let mut index = 0;
        while let Some(level) = self.levels.get_mut(index) {
            let Level { mut full, mut open, .. } = std::mem::take(level);
            if let ([child], []) = (&open[..], &full[..]) {
                // One page alone on its level is the root.
                return Ok(Some(Top { root: child.page, depth: index as u16 + 1, branch_pages: self.pages }));
            }
            if open.len() == 1 {
                open.splice(..0, full.pop());
            }
            for children in [full, open] {
                if !children.is_empty() {
                    let page = self.write(children, file)?;
                    self.add(index + 1, page, file)?;
                }
            }
            index += 1;
        }
        Ok(None)
    }

    /// Writes one page; returns it as a child.
    fn write(&mut self, children: Vec<Child>, file: &mut PageFile) -> Result<Child, StoreError> {
        let mut page = Page::branch();
        let mut least = Vec::new();
        for (index, child) in children.into_iter().enumerate() {
            // The first child takes whatever is less than the second: its key is not written.
            let fits = page.push_child(if index == 0 { &[] } else { &child.key }, child.page);
            debug_assert!(fits, "a level counts the bytes of its open page");
            if index == 0 {
                least = child.key;
            }
        }
        self.pages += 1;
        let number = file.next_page();
        file.extend(page.seal(number))?;
        Ok(Child { key: least, page: number })
    }
}

impl Level {
    /// Takes a child; returns the children of a page that can be written now, or none.
    fn add(&mut self, child: Child) -> Vec<Child> {
        let key: &[u8] = if self.open.is_empty() { &[] } else { &child.key };
        let bytes = Page::branch_node_bytes(key);
        let mut done = Vec::new();
        if self.open_bytes + bytes <= PAGE_BYTES - PAGE_HEADER {
            self.open_bytes += bytes;
        } else {
            done = std::mem::replace(&mut self.full, std::mem::take(&mut self.open));
            self.open_bytes = Page::branch_node_bytes(&[]);
        }
        self.open.push(child);
        done
    }
}
