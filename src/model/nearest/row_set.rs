//! A set of rows as a bitmap: what a search may find, or what was deleted.

/// Rows of a table of known length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSet {
    words: Vec<u64>,
    rows: usize,
}

impl RowSet {
    /// No row of `rows`.
    pub fn none(rows: usize) -> Self {
        Self { words: vec![0; rows.div_ceil(64)], rows }
    }

    /// Every row of `rows`.
    pub fn all(rows: usize) -> Self {
        let mut set = Self { words: vec![u64::MAX; rows.div_ceil(64)], rows };
        set.clear_rest();
        set
    }

    /// The rows for which `choose` holds.
    pub fn of(rows: usize, choose: impl Fn(usize) -> bool) -> Self {
        let mut set = Self::none(rows);
        (0..rows).filter(|row| choose(*row)).for_each(|row| set.insert(row));
        set
    }

    /// From the words of a bitmap, lowest bit first; bits past the last row are ignored.
    pub fn from_words(mut words: Vec<u64>, rows: usize) -> Self {
        words.resize(rows.div_ceil(64), 0);
        let mut set = Self { words, rows };
        set.clear_rest();
        set
    }

    /// Bits, lowest first.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Length of the table.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of rows in the set.
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Adds a row; one past the table is ignored.
    pub fn insert(&mut self, row: usize) {
        if row < self.rows {
            self.words[row / 64] |= 1 << (row % 64);
        }
    }

    pub fn contains(&self, row: usize) -> bool {
        self.words.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Takes the rows of `other` out.
    pub fn remove_all(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
    }

    /// Takes out the rows that are not in `other`.
    pub fn keep_only(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
    }

    /// The rows, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            std::iter::successors(Some(*word).filter(|word| *word != 0), |word| {
                Some(word & (word - 1)).filter(|w| *w != 0)
            })
            .map(move |word| 64 * at + word.trailing_zeros() as usize)
        })
    }

    /// Rows 32 `group` to 32 `group` + 31 as bits.
    pub fn group(&self, group: usize) -> u32 {
        self.words.get(group / 2).map_or(0, |word| (word >> (32 * (group % 2))) as u32)
    }

    fn clear_rest(&mut self) {
        if let Some(last) = self.words.last_mut()
            && !self.rows.is_multiple_of(64)
        {
            *last &= (1 << (self.rows % 64)) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_past_its_end() {
        let mut set = RowSet::of(70, |row| row % 7 == 0);
        set.insert(69);
        set.insert(70);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 7, 14, 21, 28, 35, 42, 49, 56, 63, 69]);
        assert_eq!(set.count(), 11);
        assert!(set.contains(63) && !set.contains(64) && !set.contains(700));
        let mut all = RowSet::all(70);
        all.remove_all(&set);
        assert_eq!(all.count(), 59);
        assert_eq!(RowSet::from_words(vec![u64::MAX; 2], 70), RowSet::all(70));
        assert_eq!(RowSet::all(70).group(2), 0b11_1111);
    }
}
