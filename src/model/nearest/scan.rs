//! The first pass of a search: integer products of a block of queries with panels of documents, and who may be among the best.
#![expect(clippy::inline_always, reason = "a loop gets the vectors of the function that it is inlined into")]
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::codes::{CodePanels, QueryCodes};
use crate::model::cpu::{IntegerTile, QUAD_BYTES, TILE_COLUMNS, TILE_ROWS, tile_i8, vectorized};

/// Whether a score counts as what it is within its error, or as if it had none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bounds {
    /// Whoever may be among the best is kept.
    Rigorous,
    /// The best by the codes alone are kept.
    Ignored,
}

/// A document that may be among the best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Its score is not higher.
    pub upper: f32,
    /// Its place in the panels.
    pub position: u32,
}

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
    k: usize,
    /// The `k` best lower bounds.
    lower: BinaryHeap<Reverse<Ordered>>,
    found: Vec<Candidate>,
    /// Number of candidates at which those that fell behind are dropped.
    limit: usize,
}

impl Collector {
    pub fn new(k: usize) -> Self {
        Self { k, lower: BinaryHeap::new(), found: Vec::new(), limit: 16 * k + 256 }
    }

    /// What a score must reach to be among the best `k`.
    pub fn threshold(&self) -> f32 {
        match self.lower.peek() {
            Some(Reverse(worst)) if self.lower.len() >= self.k => worst.0,
            _ => f32::NEG_INFINITY,
        }
    }

    /// Takes a candidate; says whether the threshold rose.
    fn push(&mut self, candidate: Candidate, lower: f32) -> bool {
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
        if self.found.len() > self.limit {
            self.drop_behind();
            self.limit = self.limit.max(2 * self.found.len());
        }
        true
    }

    /// Takes the candidates of another part of the documents.
    pub fn merge(&mut self, other: Self) {
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

    /// All candidates, the most promising first.
    pub fn finish(mut self) -> Vec<Candidate> {
        self.drop_behind();
        self.found.sort_unstable_by(|a, b| b.upper.total_cmp(&a.upper).then(a.position.cmp(&b.position)));
        self.found
    }
}

/// Some queries on their way through panels that share a centre.
#[derive(Debug)]
pub struct Sweep {
    stride: usize,
    quads: usize,
    codes: Vec<u8>,
    bounds: Bounds,
    /// For each query: where its collector stands.
    collectors: Vec<usize>,
    scale: Vec<f32>,
    /// `<centre, q>`.
    offset: Vec<f64>,
    /// `|q|` and `|e_q|`, divided by the scale.
    norm: Vec<f32>,
    error: Vec<f32>,
    /// What a product of codes must reach, were it exact.
    cut: Vec<f32>,
    /// The same for the panel at hand, less its error.
    panel_cut: Vec<f32>,
}

impl Sweep {
    /// Takes the queries `chosen`, whose products with the centre are `offset`; collectors stand in `collectors`.
    pub fn new(
        queries: &QueryCodes,
        dimension: usize,
        chosen: impl Iterator<Item = (usize, f64)>,
        first_query: usize,
        bounds: Bounds,
    ) -> Self {
        let mut sweep = Self {
            stride: queries.stride,
            quads: dimension.div_ceil(4),
            codes: Vec::new(),
            bounds,
            collectors: Vec::new(),
            scale: Vec::new(),
            offset: Vec::new(),
            norm: Vec::new(),
            error: Vec::new(),
            cut: Vec::new(),
            panel_cut: Vec::new(),
        };
        for (query, offset) in chosen {
            let scale = queries.scale[query];
            let over = |value: f32| (value / scale).next_up();
            sweep.codes.extend_from_slice(queries.row(query));
            sweep.collectors.push(query - first_query);
            sweep.scale.push(scale);
            sweep.offset.push(offset);
            sweep.norm.push(over(queries.norm[query]));
            sweep.error.push(over(queries.error[query]));
        }
        sweep.cut.resize(sweep.scale.len(), f32::NEG_INFINITY);
        sweep.panel_cut.resize(sweep.scale.len(), f32::NEG_INFINITY);
        sweep
    }

    /// Compares all queries with the panels `range`; `allowed` gives a bit for each document of a panel.
    pub fn run(
        &mut self,
        panels: CodePanels<'_>,
        range: std::ops::Range<usize>,
        allowed: impl Fn(usize) -> u32,
        collectors: &mut [Collector],
    ) {
        for query in 0..self.scale.len() {
            self.lift(query, collectors);
        }
        let bytes = self.quads * QUAD_BYTES;
        let mut tile: IntegerTile = [[0; TILE_COLUMNS]; TILE_ROWS];
        for panel in range {
            let mask = allowed(panel);
            if mask == 0 {
                continue;
            }
            let codes = &panels.codes[panel * bytes..][..bytes];
            let (start, scale, bounds) = (&panels.start[panel], &panels.scale[panel], panels.bounds[panel]);
            let bounds = if self.bounds == Bounds::Rigorous { bounds } else { [0.0; 2] };
            self.cut_for(bounds);
            for first in (0..self.scale.len()).step_by(TILE_ROWS) {
                let rows = (self.scale.len() - first).min(TILE_ROWS);
                tile_i8(&self.codes[first * self.stride..], self.stride, rows, self.quads, codes, start, &mut tile);
                let reached = reached(&tile, scale, &self.panel_cut[first..first + rows]);
                for row in (0..rows).filter(|row| reached >> row & 1 == 1) {
                    self.take(first + row, panel, mask, &tile[row], scale, bounds, collectors);
                }
            }
        }
    }

    /// Lowers every cut by the error that a product with this panel may have.
    fn cut_for(&mut self, [length, error]: [f32; 2]) {
        let Self { norm, error: missed, cut, panel_cut, .. } = self;
        vectorized(|| lower_cuts(cut, norm, missed, length, error, panel_cut));
    }

    /// Puts the threshold of a query's collector into its cut.
    fn lift(&mut self, query: usize, collectors: &[Collector]) {
        let threshold = f64::from(collectors[self.collectors[query]].threshold());
        self.cut[query] = ((threshold - self.offset[query]) / f64::from(self.scale[query])) as f32;
    }

    #[expect(clippy::too_many_arguments, reason = "what is known of one row of a tile")]
    #[cold]
    fn take(
        &mut self,
        query: usize,
        panel: usize,
        mask: u32,
        sums: &[i32; TILE_COLUMNS],
        scale: &[f32; TILE_COLUMNS],
        [length, error]: [f32; 2],
        collectors: &mut [Collector],
    ) {
        let unit = f64::from(self.scale[query]);
        let slack =
            unit * (f64::from(error) * f64::from(self.norm[query]) + f64::from(length) * f64::from(self.error[query]));
        let slack = slack * (1.0 + 1e-6);
        let mut rose = false;
        for (lane, (sum, scale)) in sums.iter().zip(scale).enumerate() {
            if mask >> lane & 1 == 0 || (*sum as f32 * scale) < self.panel_cut[query] {
                continue;
            }
            let score = self.offset[query] + unit * f64::from(*sum) * f64::from(*scale);
            let position = (panel * TILE_COLUMNS + lane) as u32;
            let (upper, lower) = match self.bounds {
                Bounds::Rigorous => (((score + slack) as f32).next_up(), ((score - slack) as f32).next_down()),
                Bounds::Ignored => (score as f32, score as f32),
            };
            rose |= collectors[self.collectors[query]].push(Candidate { upper, position }, lower);
        }
        if rose {
            self.lift(query, collectors);
        }
    }
}

/// A bit for each row of a tile that has a product of at least its cut.
fn reached(tile: &IntegerTile, scale: &[f32; TILE_COLUMNS], cuts: &[f32]) -> u32 {
    vectorized(|| reached_in_lanes(tile, scale, cuts))
}

#[inline(always)]
fn reached_in_lanes(tile: &IntegerTile, scale: &[f32; TILE_COLUMNS], cuts: &[f32]) -> u32 {
    let mut bits = 0;
    for (row, (sums, cut)) in tile.iter().zip(cuts).enumerate() {
        let mut most = [f32::NEG_INFINITY; 16];
        for (half, scale) in sums.as_chunks::<16>().0.iter().zip(scale.as_chunks::<16>().0) {
            for ((most, sum), scale) in most.iter_mut().zip(half).zip(scale) {
                let product = *sum as f32 * scale;
                *most = if product > *most { product } else { *most };
            }
        }
        let any = most.iter().fold(0, |any, most| any | u32::from(*most >= *cut));
        bits |= any << row;
    }
    bits
}

#[inline(always)]
fn lower_cuts(cut: &[f32], norm: &[f32], missed: &[f32], length: f32, error: f32, out: &mut [f32]) {
    for (((out, cut), norm), missed) in out.iter_mut().zip(cut).zip(norm).zip(missed) {
        let slack = error * norm + length * missed;
        *out = cut - slack - (slack + cut.abs()) * 1e-6;
    }
}
