//! The best documents of a disjunction: max-score (Turtle and Flood, 1995) over windows of documents.
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tantivy::TERMINATED;

use super::cursor::Cursor;

/// Documents whose scores are added up at a time; their sums stay in the first-level cache.
const WINDOW: usize = 2_048;

/// Document numbers and scores of the best `k`, best first, equal scores in document order.
///
/// What a term gives is a 32-bit float and sums are 64-bit, so they are exact and do not depend on the order of the terms.
pub fn best(mut cursors: Vec<Cursor<'_>>, k: usize) -> Vec<(usize, f32)> {
    cursors.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    let bounds: Vec<f64> = cursors
        .iter()
        .scan(0.0, |sum, cursor| {
            *sum += cursor.bound;
            Some(*sum)
        })
        .collect();
    let mut best = Best::new(k);
    let mut window = Window::new();
    loop {
        // Documents with none but these terms cannot be among the best any more.
        let optional = bounds.partition_point(|bound| *bound <= best.threshold);
        let (lesser, needed) = cursors.split_at_mut(optional);
        let Some(start) = needed.iter().map(Cursor::document).min().filter(|start| *start != TERMINATED) else {
            return best.into_list();
        };
        window.start = start;
        for cursor in needed {
            window.add(cursor);
        }
        window.drain(|document, sum| complete(lesser, &bounds, document, sum, &mut best));
    }
}

/// Adds what the lesser terms give to a document while it can still be among the best.
fn complete(lesser: &mut [Cursor<'_>], bounds: &[f64], document: u32, mut sum: f64, best: &mut Best) {
    for (cursor, bound) in lesser.iter_mut().zip(bounds).rev() {
        if sum + bound <= best.threshold {
            return;
        }
        sum += cursor.score_of(document).map_or(0.0, f64::from);
    }
    best.offer(document, sum);
}

/// Sums of the documents from `start` on.
struct Window {
    start: u32,
    sums: Vec<f64>,
    /// One bit for each document that has a sum.
    touched: [u64; WINDOW / 64],
}

impl Window {
    fn new() -> Self {
        Self { start: 0, sums: vec![0.0; WINDOW], touched: [0; WINDOW / 64] }
    }

    fn add(&mut self, cursor: &mut Cursor<'_>) {
        cursor.take_before(self.start.saturating_add(WINDOW as u32), |document, score| {
            let place = (document - self.start) as usize;
            self.sums[place] += f64::from(score);
            self.touched[place / 64] |= 1 << (place % 64);
        });
    }

    /// Hands out the sums in document order and begins anew.
    fn drain(&mut self, mut take: impl FnMut(u32, f64)) {
        for (word, bits) in self.touched.iter_mut().enumerate() {
            while *bits != 0 {
                let place = word * 64 + bits.trailing_zeros() as usize;
                *bits &= *bits - 1;
                take(self.start + place as u32, std::mem::take(&mut self.sums[place]));
            }
        }
    }
}

/// The best documents so far. Scores are positive, so their bits sort as they do.
struct Best {
    k: usize,
    heap: BinaryHeap<Reverse<(u64, Reverse<u32>)>>,
    /// A document must have more than this to come in; documents arrive in order, so an equal one is too late.
    threshold: f64,
}

impl Best {
    fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::new(), threshold: 0.0 }
    }

    fn offer(&mut self, document: u32, score: f64) {
        if score <= self.threshold {
            return;
        }
        if self.heap.len() == self.k {
            self.heap.pop();
        }
        self.heap.push(Reverse((score.to_bits(), Reverse(document))));
        if self.heap.len() == self.k
            && let Some(Reverse((bits, _))) = self.heap.peek()
        {
            self.threshold = f64::from_bits(*bits);
        }
    }

    fn into_list(self) -> Vec<(usize, f32)> {
        let sorted = self.heap.into_sorted_vec();
        let pair = |Reverse((bits, Reverse(document)))| (document as usize, f64::from_bits(bits) as f32);
        sorted.into_iter().map(pair).collect()
    }
}
