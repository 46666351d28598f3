//! The first pass of a search: integer products of a block of queries with panels of documents, and who may be among the best.
#![expect(clippy::inline_always, reason = "a loop gets the vectors of the function that it is inlined into")]
use super::codes::{CodePanels, QueryCodes};
pub use super::collector::{Candidate, Collector};
use crate::model::cpu::{
    InLanes, IntegerTile, QUAD_BYTES, Reached, TILE_COLUMNS, TILE_ROWS, kth_of_columns, tile_i8, vectorized,
};

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
            let more = range.end < panels.scale.len() || !later.is_empty();
            self.begin(panels, range.start..later.start, &allowed, more, collectors);
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
        more: bool,
        collectors: &mut [Collector],
    ) {
        let mut tiles: Vec<IntegerTile> = vec![[[0; TILE_COLUMNS]; TILE_ROWS]; range.len()];
        let masks: Vec<u32> = range.clone().map(allowed).collect();
        let (scale, bounds) = (&panels.scale[range.clone()], &panels.bounds[range.clone()]);
        let most = bounds.iter().fold([0.0f32; 2], |most, own| [most[0].max(own[0]), most[1].max(own[1])]);
        let mut reached = Reached::default();
        for first in (0..self.scale.len()).step_by(TILE_ROWS) {
            let mut rows = 0;
            for (tile, panel) in tiles.iter_mut().zip(range.clone()) {
                rows = self.multiply(panels, panel, first, tile);
            }
            for row in 0..rows {
                let (query, unit) = (first + row, f64::from(self.scale[first + row]));
                let (offset, width) = (self.offset[query], self.slack(query, most));
                let collector = &mut collectors[self.collectors[query]];
                if (1..=TILE_COLUMNS).contains(&collector.k) {
                    let product = f64::from(kth_of_columns(&tiles, row, scale, &masks, collector.k));
                    collector.raise(((offset + unit * product - width) as f32).next_down());
                }
                self.lift(query, collectors);
                self.cut_some(query..query + 1, most);
                reached.take(&tiles, row, scale, &masks, self.panel_cut[query]);
                let slack: [f64; AHEAD] =
                    std::array::from_fn(|number| bounds.get(number).map_or(0.0, |own| self.slack(query, *own)));
                let collector = &mut collectors[self.collectors[query]];
                let had = collector.len();
                for (product, place) in reached.products.iter().zip(&reached.places) {
                    let upper = offset + unit * f64::from(*product) + slack[*place as usize / TILE_COLUMNS % AHEAD];
                    let position = (range.start * TILE_COLUMNS) as u32 + place;
                    collector.add(Candidate { upper: up(upper), position });
                }
                if more || collector.k > TILE_COLUMNS {
                    collector.settle(had, 2.0 * width);
                    self.lift(query, collectors);
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
    TileReached(tile, scale, cuts).run()
}

/// A tile, the scales of its columns and the cuts of its rows.
struct TileReached<'a>(&'a IntegerTile, &'a [f32; TILE_COLUMNS], &'a [f32]);

impl InLanes for TileReached<'_> {
    type Out = u32;

    #[inline(always)]
    fn body(self) -> u32 {
        let Self(tile, scale, cuts) = self;
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

/// In 32 bits, no lower.
fn up(value: f64) -> f32 {
    (value + value.abs() * 2f64.powi(-22) + 1e-44) as f32
}

/// Of one row of tiles that have all their documents, the highest product of each place; the `k`th of those.
#[inline(always)]
fn lower_cuts(cut: &[f32], norm: &[f32], missed: &[f32], length: f32, error: f32, out: &mut [f32]) {
    for (((out, cut), norm), missed) in out.iter_mut().zip(cut).zip(norm).zip(missed) {
        let slack = error * norm + length * missed;
        *out = cut - slack - (slack + cut.abs()) * 1e-6;
    }
}
