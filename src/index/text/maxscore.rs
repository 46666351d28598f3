//! The best documents of a disjunction: max-score (Turtle and Flood, 1995) over windows of documents.
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::cursor::Cursor;

/// Documents whose scores are added up at a time; their sums stay in the first-level cache.
pub const WINDOW: usize = 2_048;

/// Document numbers and scores of the best `k`, best first, equal scores in order of the numbers, which are given by place.
///
/// What a term gives is a 32-bit float and sums are 64-bit, so they are exact and do not depend on the order of the terms.
pub fn best(mut cursors: Vec<Cursor<'_>>, k: usize, numbers: &[u32]) -> Vec<(usize, f32)> {
    cursors.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    let mut bounds = vec![0.0; cursors.len()];
    let mut best = Best::new(k);
    let mut window = Window::new();
    for place in 0..numbers.len().div_ceil(WINDOW) {
        let mut sum = 0.0;
        for (bound, cursor) in bounds.iter_mut().zip(&cursors) {
            sum += cursor.bound_in(place);
            *bound = sum;
        }
        // Documents of the window with none but these terms cannot be among the best any more.
        let optional = bounds.partition_point(|bound| *bound < best.threshold);
        let (lesser, needed) = cursors.split_at_mut(optional);
        window.start = (place * WINDOW) as u32;
        needed.iter_mut().for_each(|cursor| window.add(cursor));
        window.drain(|document, sum| {
            if let Some(sum) = complete(lesser, &bounds, document, sum, best.threshold) {
                best.offer(numbers[document as usize], sum);
            }
        });
    }
    best.into_list()
}

/// Adds what the lesser terms give to a document; none if it stays below the threshold.
fn complete(lesser: &mut [Cursor<'_>], bounds: &[f64], document: u32, mut sum: f64, threshold: f64) -> Option<f64> {
    for (cursor, bound) in lesser.iter_mut().zip(bounds).rev() {
        if sum + bound < threshold {
            return None;
        }
        sum += cursor.score_of(document).map_or(0.0, f64::from);
    }
    Some(sum)
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
        cursor.seek(self.start);
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
    /// On top the worst: of equal scores the one with the greatest number.
    heap: BinaryHeap<Reverse<(u64, Reverse<u32>)>>,
    /// A document with less than this cannot come in.
    threshold: f64,
}

impl Best {
    fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::new(), threshold: 0.0 }
    }

    fn offer(&mut self, number: u32, score: f64) {
        if score <= 0.0 {
            return;
        }
        let entry = Reverse((score.to_bits(), Reverse(number)));
        if self.heap.len() < self.k {
            self.heap.push(entry);
        } else if let Some(mut worst) = self.heap.peek_mut().filter(|worst| entry < **worst) {
            *worst = entry;
        }
        if self.heap.len() == self.k
            && let Some(Reverse((bits, _))) = self.heap.peek()
        {
            self.threshold = f64::from_bits(*bits);
        }
    }

    fn into_list(self) -> Vec<(usize, f32)> {
        let sorted = self.heap.into_sorted_vec();
        let pair = |Reverse((bits, Reverse(number)))| (number as usize, f64::from_bits(bits) as f32);
        sorted.into_iter().map(pair).collect()
    }
}
