//! BLAKE3 of a file whose beginning is known last.
//!
//! BLAKE3 is a binary tree over chunks of 1024 bytes. A group of a power of two of chunks is a subtree of its own, so
//! all groups but the first are hashed as they come, and the first takes its place in the tree at the end.
use blake3::hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use blake3::{Hash, Hasher};

/// Bytes of a group: every one but the last is full.
pub(super) const GROUP_BYTES: usize = 1 << 20;

/// The tree without its first group. It never holds more than 64 values.
#[derive(Debug)]
pub(super) struct GroupDigest {
    /// Whole groups so far, the first included.
    groups: u64,
    /// The group that is not whole yet, and its bytes so far.
    open: Hasher,
    open_bytes: usize,
    /// What stands beside the subtree that the first group begins, from the bottom up.
    beside_first: Vec<ChainingValue>,
    /// The whole subtrees that follow that one, each smaller than the one before.
    rest: Vec<ChainingValue>,
}

impl Default for GroupDigest {
    fn default() -> Self {
        Self { groups: 1, open: at_group(1), open_bytes: 0, beside_first: Vec::new(), rest: Vec::new() }
    }
}

impl GroupDigest {
    /// Takes the bytes that follow: those behind the first group to begin with.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(GROUP_BYTES - self.open_bytes));
            self.open.update(now);
            self.open_bytes += now.len();
            if self.open_bytes == GROUP_BYTES {
                self.close_group();
            }
            bytes = later;
        }
    }

    fn close_group(&mut self) {
        self.close_subtrees();
        self.rest.push(self.open.finalize_non_root());
        self.groups += 1;
        (self.open, self.open_bytes) = (at_group(self.groups), 0);
    }

    /// The digest of the file that begins with `first`: a full group, unless it is alone.
    pub(super) fn finish(mut self, first: &[u8]) -> Hash {
        if self.open_bytes > 0 {
            self.close_group();
        }
        let Some(mut right) = self.rest.pop() else {
            return blake3::hash(first);
        };
        while let Some(left) = self.rest.pop() {
            right = merge_subtrees_non_root(&left, &right, Mode::Hash);
        }
        let first = Hasher::new().update(first).finalize_non_root();
        let merge = |left, right: &ChainingValue| merge_subtrees_non_root(&left, right, Mode::Hash);
        let left = self.beside_first.iter().fold(first, merge);
        merge_subtrees_root(&left, &right, Mode::Hash)
    }

    /// Joins equal neighbours: one subtree remains for every bit of the number of groups. What ends the file is not
    /// joined before more follows, for the last join of all is another one (that of the root).
    fn close_subtrees(&mut self) {
        while self.rest.len() + 1 > self.groups.count_ones() as usize {
            let Some(right) = self.rest.pop() else { return };
            match self.rest.pop() {
                Some(left) => self.rest.push(merge_subtrees_non_root(&left, &right, Mode::Hash)),
                None => self.beside_first.push(right),
            }
        }
    }
}

fn at_group(number: u64) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.set_input_offset(number * GROUP_BYTES as u64);
    hasher
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_whose_first_group_comes_last_is_that_of_the_file() {
        let bytes: Vec<u8> = (0..20 * GROUP_BYTES as u64 / 8).flat_map(|word| (word * word).to_le_bytes()).collect();
        for groups in 0..20 {
            for tail in [1, 1024, 8192, GROUP_BYTES / 2 + 5, GROUP_BYTES] {
                let file = &bytes[..groups * GROUP_BYTES + tail];
                let mut chunks = file.chunks(GROUP_BYTES);
                let first = chunks.next().unwrap();
                let expected = blake3::hash(file);
                let mut digest = GroupDigest::default();
                chunks.for_each(|group| digest.push(group));
                assert_eq!(digest.finish(first), expected, "{groups} groups and {tail} bytes");
                // In parts that begin and end anywhere.
                for part in [4096, 5 * 4096, 300_000, 3 * GROUP_BYTES + 77] {
                    let mut digest = GroupDigest::default();
                    file[first.len()..].chunks(part).for_each(|part| digest.push(part));
                    assert_eq!(digest.finish(first), expected, "{groups} groups and {tail} bytes by {part}");
                }
            }
        }
    }
}
