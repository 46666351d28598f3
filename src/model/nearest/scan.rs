//! The first pass of a search: integer products of a block of queries with panels of documents, and who may be among the best.
#![expect(clippy::inline_always, reason = "a loop gets the vectors of the function that it is inlined into")]
use super::codes::{CodePanels, QueryCodes};
pub use super::collector::{Candidate, Collector};
use crate::model::cpu::{IntegerTile, QUAD_BYTES, TILE_COLUMNS, TILE_ROWS, tile_i8, vectorized};

/// Panels that give a floor for every query before candidates are taken.
const AHEAD: usize = 32;

/// Whether a score counts as what it is within its error, or as if it had none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bounds {
    /// Whoever may be among the best is kept.
    Rigorous,
    /// The best by the codes alone are kept.
    Ignored,
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
        let ahead = if self.bounds == Bounds::Rigorous { range.len().min(AHEAD) } else { 0 };
        let later = range.start + ahead..range.end;
        if ahead > 0 {
            self.begin(panels, range.start..later.start, &allowed, collectors);
        }
        let mut tile: IntegerTile = [[0; TILE_COLUMNS]; TILE_ROWS];
        for panel in later {
            let mask = allowed(panel);
            if mask == 0 {
                continue;
            }
            let (scale, bounds) = (&panels.scale[panel], self.bounds_of(panels, panel));
            self.cut_for(bounds);
            for first in (0..self.scale.len()).step_by(TILE_ROWS) {
                let rows = self.multiply(panels, panel, first, &mut tile);
                let reached = reached(&tile, scale, &self.panel_cut[first..first + rows]);
                for row in (0..rows).filter(|row| reached >> row & 1 == 1) {
                    self.take(first + row, panel, mask, &tile[row], scale, bounds, collectors);
                }
            }
        }
    }

    /// Compares all queries with the first panels. The best product in each of the 32 places of all these panels is that of
    /// another document: the `k`th best of those 32 is a floor before any candidate is taken, and few have to be.
    fn begin(
        &mut self,
        panels: CodePanels<'_>,
        range: std::ops::Range<usize>,
        allowed: &impl Fn(usize) -> u32,
        collectors: &mut [Collector],
    ) {
        let mut tiles: Vec<IntegerTile> = vec![[[0; TILE_COLUMNS]; TILE_ROWS]; range.len()];
        let whole = |panel: &usize| allowed(*panel) == u32::MAX;
        let all = range.clone().map(|panel| panels.bounds[panel]);
        let most = all.fold([0.0f32; 2], |most, bounds| [most[0].max(bounds[0]), most[1].max(bounds[1])]);
        for first in (0..self.scale.len()).step_by(TILE_ROWS) {
            let mut rows = 0;
            for (tile, panel) in tiles.iter_mut().zip(range.clone()) {
                rows = self.multiply(panels, panel, first, tile);
            }
            for row in 0..rows {
                let query = first + row;
                let mut highest = [f32::NEG_INFINITY; TILE_COLUMNS];
                for (tile, panel) in tiles.iter().zip(range.clone()).filter(|(_, panel)| whole(panel)) {
                    raise_places(&mut highest, &tile[row], &panels.scale[panel]);
                }
                let collector = &mut collectors[self.collectors[query]];
                if let Some(place) = collector.k.checked_sub(1).filter(|place| *place < TILE_COLUMNS) {
                    let product = *highest.select_nth_unstable_by(place, |a, b| b.total_cmp(a)).1;
                    let score = self.offset[query] + f64::from(self.scale[query]) * f64::from(product);
                    collector.raise(((score - self.slack(query, most)) as f32).next_down());
                }
                self.lift(query, collectors);
            }
            for (tile, panel) in tiles.iter().zip(range.clone()) {
                let (mask, scale, bounds) = (allowed(panel), &panels.scale[panel], self.bounds_of(panels, panel));
                self.cut_some(first..first + rows, bounds);
                let reached = reached(tile, scale, &self.panel_cut[first..first + rows]);
                for row in (0..rows).filter(|row| mask != 0 && reached >> row & 1 == 1) {
                    self.take(first + row, panel, mask, &tile[row], scale, bounds, collectors);
                }
            }
        }
    }

    /// Products of the queries from `first` on that fit a tile; their number.
    fn multiply(&self, panels: CodePanels<'_>, panel: usize, first: usize, tile: &mut IntegerTile) -> usize {
        let bytes = self.quads * QUAD_BYTES;
        let codes = &panels.codes[panel * bytes..][..bytes];
        let rows = (self.scale.len() - first).min(TILE_ROWS);
        let queries = &self.codes[first * self.stride..];
        tile_i8(queries, self.stride, rows, self.quads, codes, &panels.start[panel], tile);
        rows
    }

    fn bounds_of(&self, panels: CodePanels<'_>, panel: usize) -> [f32; 2] {
        if self.bounds == Bounds::Rigorous { panels.bounds[panel] } else { [0.0; 2] }
    }

    /// What a product of a query may miss, where documents have these bounds.
    fn slack(&self, query: usize, [length, error]: [f32; 2]) -> f64 {
        let missed = f64::from(error) * f64::from(self.norm[query]) + f64::from(length) * f64::from(self.error[query]);
        f64::from(self.scale[query]) * missed * (1.0 + 1e-6)
    }

    /// Lowers every cut by the error that a product with this panel may have.
    fn cut_for(&mut self, bounds: [f32; 2]) {
        self.cut_some(0..self.scale.len(), bounds);
    }

    fn cut_some(&mut self, some: std::ops::Range<usize>, [length, error]: [f32; 2]) {
        let (norm, missed, cut) = (&self.norm[some.clone()], &self.error[some.clone()], &self.cut[some.clone()]);
        let out = &mut self.panel_cut[some];
        vectorized(|| lower_cuts(cut, norm, missed, length, error, out));
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
        bounds: [f32; 2],
        collectors: &mut [Collector],
    ) {
        let (unit, slack) = (f64::from(self.scale[query]), self.slack(query, bounds));
        let mut rose = false;
        let mut left = mask & lanes_above(sums, scale, self.panel_cut[query]);
        while left != 0 {
            let lane = left.trailing_zeros() as usize;
            left &= left - 1;
            let score = self.offset[query] + unit * f64::from(sums[lane]) * f64::from(scale[lane]);
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

/// A bit for each lane whose product is at least `cut`.
fn lanes_above(sums: &[i32; TILE_COLUMNS], scale: &[f32; TILE_COLUMNS], cut: f32) -> u32 {
    vectorized(|| {
        let mut bits = 0;
        for (lane, (sum, scale)) in sums.iter().zip(scale).enumerate() {
            bits |= u32::from(*sum as f32 * scale >= cut) << lane;
        }
        bits
    })
}

/// Takes the products of a panel into the highest of each place.
fn raise_places(highest: &mut [f32; TILE_COLUMNS], sums: &[i32; TILE_COLUMNS], scale: &[f32; TILE_COLUMNS]) {
    vectorized(|| {
        for ((highest, sum), scale) in highest.iter_mut().zip(sums).zip(scale) {
            let product = *sum as f32 * scale;
            *highest = if product > *highest { product } else { *highest };
        }
    });
}

#[inline(always)]
fn lower_cuts(cut: &[f32], norm: &[f32], missed: &[f32], length: f32, error: f32, out: &mut [f32]) {
    for (((out, cut), norm), missed) in out.iter_mut().zip(cut).zip(norm).zip(missed) {
        let slack = error * norm + length * missed;
        *out = cut - slack - (slack + cut.abs()) * 1e-6;
    }
}
