//! Who may be among the best of one query, and what a score must reach.
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A document that may be among the best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Its score is not higher.
    pub upper: f32,
    /// Its place in the panels.
    pub position: u32,
}

/// Candidates that there is room for at first.
const FEW: usize = 64;

/// A finite score that can be ordered.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ordered(f32);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Candidates of one query.
#[derive(Debug)]
pub struct Collector {
    pub(super) k: usize,
    /// That many documents are known to score no lower.
    floor: f32,
    /// The `k` best lower bounds above it.
    lower: BinaryHeap<Reverse<Ordered>>,
    found: Vec<Candidate>,
    /// Number of candidates at which those that fell behind are dropped.
    limit: usize,
}

impl Collector {
    pub fn new(k: usize) -> Self {
        let found = Vec::with_capacity((4 * k).min(FEW));
        Self { k, floor: f32::NEG_INFINITY, lower: BinaryHeap::new(), found, limit: 16 * k + 256 }
    }

    /// What a score must reach to be among the best `k`.
    pub fn threshold(&self) -> f32 {
        match self.lower.peek() {
            Some(Reverse(worst)) if self.lower.len() >= self.k => worst.0.max(self.floor),
            _ => self.floor,
        }
    }

    /// Takes notice that `k` documents score at least `floor`.
    pub(super) fn raise(&mut self, floor: f32) {
        self.floor = self.floor.max(floor);
    }

    /// Takes a candidate that [`settle`](Self::settle) may raise the threshold by.
    #[inline]
    pub(super) fn add(&mut self, candidate: Candidate) {
        self.found.push(candidate);
    }

    /// Number of candidates.
    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    /// Raises the threshold by the candidates from number `first` on, whose scores are less than `width` below `upper`.
    pub(super) fn settle(&mut self, first: usize, width: f64) {
        let added = self.found.get_mut(first..).unwrap_or_default();
        if self.k < added.len() && self.k > 0 {
            added.select_nth_unstable_by(self.k - 1, |a, b| b.upper.total_cmp(&a.upper));
        }
        for candidate in added.iter().take(self.k) {
            // `upper` was rounded up to 32 bits.
            let upper = f64::from(candidate.upper);
            let lower = ((upper - width - upper.abs() * 2f64.powi(-20)) as f32).next_down();
            self.lower.push(Reverse(Ordered(lower)));
            if self.lower.len() > self.k {
                self.lower.pop();
            }
        }
        self.drop_if_many();
    }

    fn drop_if_many(&mut self) {
        if self.found.len() > self.limit {
            self.drop_behind();
            self.limit = self.limit.max(2 * self.found.len());
        }
    }

    /// Takes a candidate; says whether the threshold rose.
    pub(super) fn push(&mut self, candidate: Candidate, lower: f32) -> bool {
        let threshold = self.threshold();
        if candidate.upper < threshold {
            return false;
        }
        self.found.push(candidate);
        if lower <= threshold {
            return false;
        }
        if self.lower.len() >= self.k {
            self.lower.pop();
        }
        self.lower.push(Reverse(Ordered(lower)));
        self.drop_if_many();
        true
    }

    /// Takes the candidates of another part of the documents.
    pub fn merge(&mut self, other: Self) {
        self.raise(other.floor);
        for lower in other.lower {
            self.lower.push(lower);
            if self.lower.len() > self.k {
                self.lower.pop();
            }
        }
        self.found.extend(other.found);
    }

    fn drop_behind(&mut self) {
        let threshold = self.threshold();
        self.found.retain(|candidate| candidate.upper >= threshold);
    }

    /// All candidates, in any order.
    pub fn candidates(mut self) -> Vec<Candidate> {
        self.drop_behind();
        self.found
    }

    /// All candidates, the most promising first.
    pub fn finish(mut self) -> Vec<Candidate> {
        self.drop_behind();
        self.found.sort_unstable_by(|a, b| b.upper.total_cmp(&a.upper).then(a.position.cmp(&b.position)));
        self.found
    }
}
