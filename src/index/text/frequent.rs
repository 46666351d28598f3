//! Where a frequent term occurs, as one bit per document: looking a document up costs less than walking the postings to it.
use tantivy::postings::BlockSegmentPostings;

use super::field::Saturation;
use super::maxscore::WINDOW;

/// A term is frequent if at least one document in so many has it; its bits then take no more than 16 bytes a posting.
pub const FREQUENT_ONE_IN: usize = 64;

/// The documents of a term.
pub struct FrequentTerm {
    /// One bit for each document that has the term.
    present: Vec<u64>,
    /// One bit for each document that has it more than once.
    repeated: Vec<u64>,
    /// Those documents and how often they have it, in order.
    frequencies: Vec<(u32, u32)>,
    /// By window, the largest saturation.
    pub most: Vec<f32>,
}

impl FrequentTerm {
    /// Reads all postings of a term.
    pub fn read(mut postings: BlockSegmentPostings, lengths: &[u8], saturation: &Saturation) -> Self {
        let documents = lengths.len();
        let empty = vec![0; documents.div_ceil(64)];
        let mut term = Self {
            present: empty.clone(),
            repeated: empty,
            frequencies: Vec::new(),
            most: vec![0.0; documents.div_ceil(WINDOW)],
        };
        while postings.block_len() > 0 {
            for (document, frequency) in postings.docs().iter().zip(postings.freqs()) {
                let (word, bit) = place(*document);
                term.present[word] |= bit;
                let most = &mut term.most[*document as usize / WINDOW];
                *most = most.max(saturation.of(lengths[*document as usize], *frequency));
                if *frequency > 1 {
                    term.repeated[word] |= bit;
                    term.frequencies.push((*document, *frequency));
                }
            }
            postings.advance();
        }
        term
    }

    /// How often a document has the term, 0 if it has not.
    pub fn frequency(&self, document: u32) -> u32 {
        let (word, bit) = place(document);
        if self.present[word] & bit == 0 {
            return 0;
        }
        if self.repeated[word] & bit == 0 {
            return 1;
        }
        let found = self.frequencies.binary_search_by_key(&document, |(other, _)| *other);
        found.map_or(1, |place| self.frequencies[place].1)
    }
}

fn place(document: u32) -> (usize, u64) {
    (document as usize / 64, 1 << (document % 64))
}
