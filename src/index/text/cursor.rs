//! A walk along the postings of one term in order of documents.
use std::sync::Arc;

use tantivy::TERMINATED;
use tantivy::postings::BlockSegmentPostings;

use super::field::Saturation;
use super::frequent::FrequentTerm;

/// The postings of a term from the current document on.
pub struct Cursor<'a> {
    postings: BlockSegmentPostings,
    /// Place in the current block.
    place: usize,
    lengths: &'a [u8],
    saturation: &'a Saturation,
    weight: f32,
    frequent: Option<Arc<FrequentTerm>>,
    /// No document gets more from this term.
    pub bound: f64,
}

impl<'a> Cursor<'a> {
    /// `postings` stand at their first block.
    pub fn new(
        postings: BlockSegmentPostings,
        lengths: &'a [u8],
        saturation: &'a Saturation,
        weight: f32,
        bound: f32,
        frequent: Option<Arc<FrequentTerm>>,
    ) -> Self {
        Self { postings, place: 0, lengths, saturation, weight, frequent, bound: f64::from(bound) }
    }

    /// The current document, [`TERMINATED`] behind the last one.
    pub fn document(&self) -> u32 {
        self.postings.docs().get(self.place).copied().unwrap_or(TERMINATED)
    }

    /// No document of a window gets more.
    pub fn bound_in(&self, window: usize) -> f64 {
        self.frequent.as_ref().map_or(self.bound, |frequent| f64::from(self.weight * frequent.most[window]))
    }

    /// Goes on to the first document that is not before `document`.
    pub fn seek(&mut self, document: u32) {
        if self.document() < document {
            let documents = self.postings.docs();
            if documents.last().is_some_and(|last| *last >= document) {
                self.place = first_from(documents, self.place, document);
            } else {
                self.place = self.postings.seek(document);
            }
        }
    }

    /// Calls `take` with every document before `end` and what it gets, and stops at the first that is not.
    pub fn take_before(&mut self, end: u32, mut take: impl FnMut(u32, f32)) {
        loop {
            let documents = &self.postings.docs()[self.place..];
            let whole = documents.last().is_some_and(|last| *last < end);
            let count = if whole { documents.len() } else { documents.partition_point(|document| *document < end) };
            let frequencies = &self.postings.freqs()[self.place..];
            for (document, frequency) in documents[..count].iter().zip(frequencies) {
                let length = self.lengths[*document as usize];
                take(*document, self.weight * self.saturation.of(length, *frequency));
            }
            self.place += count;
            if !whole {
                return;
            }
            self.postings.advance();
            self.place = 0;
        }
    }

    /// What `document` gets, if it has the term. Documents are asked for in order.
    #[inline]
    pub fn score_of(&mut self, document: u32) -> Option<f32> {
        let length = self.lengths[document as usize];
        if let Some(frequent) = &self.frequent {
            let frequency = frequent.frequency(document);
            return (frequency > 0).then(|| self.weight * self.saturation.of(length, frequency));
        }
        self.seek(document);
        if self.document() != document {
            return None;
        }
        Some(self.weight * self.saturation.of(length, self.postings.freq(self.place)))
    }
}

/// Place of the first document that is not before `document`, from `place` on; there is one. It is mostly near, and counting a few at a time
/// takes no branch that could be predicted wrongly.
fn first_from(documents: &[u32], mut place: usize, document: u32) -> usize {
    while let Some(near) = documents[place..].first_chunk::<16>() {
        let before = near.iter().map(|found| u32::from(*found < document)).sum::<u32>();
        place += before as usize;
        if before < 16 {
            return place;
        }
    }
    place + documents[place..].iter().take_while(|found| **found < document).count()
}
