//! Sets that grow together.

/// Disjoint sets of positions; the least position of a set stands for it.
#[derive(Debug, Default)]
pub struct UnionFind {
    parents: Vec<usize>,
}

impl UnionFind {
    /// As many sets of one.
    pub fn of(count: usize) -> Self {
        Self { parents: (0..count).collect() }
    }

    /// Adds a set of one and returns its position.
    pub fn add(&mut self) -> usize {
        self.parents.push(self.parents.len());
        self.parents.len() - 1
    }

    /// What stands for the set of a position.
    pub fn root(&mut self, mut position: usize) -> usize {
        while let Some(parent) = self.parents.get(position).copied().filter(|parent| *parent != position) {
            // Path halving keeps the ways short.
            let above = self.parents.get(parent).copied().unwrap_or(parent);
            if let Some(slot) = self.parents.get_mut(position) {
                *slot = above;
            }
            position = above;
        }
        position
    }

    /// Makes the sets of two positions one.
    pub fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if let Some(parent) = self.parents.get_mut(a.max(b)) {
            *parent = a.min(b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_sets_have_one_root_and_others_do_not() {
        let mut sets = UnionFind::default();
        assert_eq!((0..6).map(|_| sets.add()).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        sets.join(0, 3);
        sets.join(4, 3);
        sets.join(1, 2);
        let roots: Vec<usize> = (0..6).map(|position| sets.root(position)).collect();
        assert_eq!(roots, [0, 1, 1, 0, 0, 5]);
    }

    #[test]
    fn a_long_chain_is_one_set() {
        let mut sets = UnionFind::of(200_000);
        (1..200_000).rev().for_each(|position| sets.join(position, position - 1));
        assert!((0..200_000).all(|position| sets.root(position) == 0));
    }
}
