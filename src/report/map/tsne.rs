//! t-SNE with exact repulsion for at most a few thousand points: the same on any number of threads, without random numbers.
use rayon::prelude::*;

use super::affinity::{Affinities, affinities};

/// Effective number of neighbours, as scikit-learn has it.
pub const PERPLEXITY: f64 = 30.0;
const ITERATIONS: usize = 1000;
/// Iterations with enlarged attraction, and how much it is enlarged.
const EARLY: usize = 250;
const EXAGGERATION: f32 = 12.0;
const LEAST_GAIN: f32 = 0.01;
/// Standard deviation of the first axis at the start.
const START_SPREAD: f32 = 1e-4;
/// Points that are taken together in the inner loop.
const LANES: usize = 8;

/// A layout `[rows][2]` of the rows of `[rows, dimensions]`, beginning from `start` at a small scale. Steps, gains, momentum
/// and learning rate are those of scikit-learn's `TSNE(init="pca", learning_rate="auto")`.
pub fn tsne(values: &[f32], dimensions: usize, start: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let rows = start.len();
    if rows < 5 {
        return start.to_vec();
    }
    let perplexity = PERPLEXITY.min((rows - 1) as f64 / 3.0);
    let attraction = affinities(values, dimensions, perplexity);
    let rate = (rows as f32 / EXAGGERATION / 4.0).max(50.0);
    let mut layout = Layout::small(start);
    let (mut step, mut gain) = (vec![[0f32; 2]; rows], vec![[1f32; 2]; rows]);
    for iteration in 0..ITERATIONS {
        let (momentum, exaggeration) = if iteration < EARLY { (0.5, EXAGGERATION) } else { (0.8, 1.0) };
        let gradient = layout.gradient(&attraction, exaggeration);
        for (row, slope) in gradient.iter().enumerate() {
            for axis in 0..2 {
                let opposed = step[row][axis] * slope[axis] < 0.0;
                let grown = if opposed { gain[row][axis] + 0.2 } else { gain[row][axis] * 0.8 };
                gain[row][axis] = grown.max(LEAST_GAIN);
                step[row][axis] = momentum * step[row][axis] - rate * gain[row][axis] * slope[axis];
            }
            layout.x[row] += step[row][0];
            layout.y[row] += step[row][1];
        }
    }
    layout.points()
}

/// Coordinates by axis, padded with points at infinity to whole blocks: these repel nothing.
struct Layout {
    rows: usize,
    x: Vec<f32>,
    y: Vec<f32>,
}

impl Layout {
    fn small(start: &[[f32; 2]]) -> Self {
        let rows = start.len();
        let mean = |axis: usize| start.iter().map(|point| point[axis]).sum::<f32>() / rows as f32;
        let centre = [mean(0), mean(1)];
        let variance = start.iter().map(|point| (point[0] - centre[0]).powi(2)).sum::<f32>() / rows as f32;
        let scale = START_SPREAD / variance.sqrt().max(1e-12);
        let padded = |axis: usize| {
            let mut values: Vec<f32> = start.iter().map(|point| (point[axis] - centre[axis]) * scale).collect();
            values.resize(rows.next_multiple_of(LANES), 1e15);
            values
        };
        Self { rows, x: padded(0), y: padded(1) }
    }

    fn points(&self) -> Vec<[f32; 2]> {
        self.x.iter().zip(&self.y).take(self.rows).map(|(x, y)| [*x, *y]).collect()
    }

    /// Slope of the Kullback-Leibler divergence at every point.
    fn gradient(&self, attraction: &Affinities, exaggeration: f32) -> Vec<[f32; 2]> {
        let forces: Vec<([f32; 2], f32)> = (0..self.rows).into_par_iter().map(|row| self.repulsion(row)).collect();
        // One sum in the order of the rows: it does not depend on the threads.
        let total: f64 = forces.iter().map(|(_, sum)| f64::from(*sum)).sum();
        let scale = (1.0 / total.max(1e-12)) as f32;
        forces
            .into_par_iter()
            .zip(attraction)
            .enumerate()
            .map(|(row, (([away_x, away_y], _), near))| {
                let (mut pull_x, mut pull_y) = (0.0, 0.0);
                for (other, weight) in near {
                    let (dx, dy) = (self.x[row] - self.x[*other as usize], self.y[row] - self.y[*other as usize]);
                    let pull = weight / (1.0 + dx * dx + dy * dy);
                    pull_x += pull * dx;
                    pull_y += pull * dy;
                }
                [4.0 * (exaggeration * pull_x - scale * away_x), 4.0 * (exaggeration * pull_y - scale * away_y)]
            })
            .collect()
    }

    /// Force of all points on one, before normalisation, and its share of the normaliser.
    fn repulsion(&self, row: usize) -> ([f32; 2], f32) {
        let (own_x, own_y) = (self.x[row], self.y[row]);
        let (mut away_x, mut away_y, mut sum) = ([0f32; LANES], [0f32; LANES], [0f32; LANES]);
        for (xs, ys) in self.x.chunks_exact(LANES).zip(self.y.chunks_exact(LANES)) {
            for lane in 0..LANES {
                let (dx, dy) = (own_x - xs[lane], own_y - ys[lane]);
                let near = 1.0 / (1.0 + dx * dx + dy * dy);
                sum[lane] += near;
                away_x[lane] += near * near * dx;
                away_y[lane] += near * near * dy;
            }
        }
        // The point itself contributed exactly one.
        ([away_x.iter().sum(), away_y.iter().sum()], sum.iter().sum::<f32>() - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::pca::principal_components;
    use super::*;

    /// Three groups of 40 points in five dimensions.
    fn groups() -> Vec<f32> {
        let mut state = 9u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1u32 << 24) as f32 - 0.5
        };
        (0..120usize)
            .flat_map(|row| (0..5).map(|axis| if axis == row / 40 { 4.0 } else { 0.0 } + noise()).collect::<Vec<_>>())
            .collect()
    }

    #[test]
    fn groups_stay_together_and_apart() {
        let values = groups();
        let layout = tsne(&values, 5, &principal_components(&values, 5).points);
        for (row, point) in layout.iter().enumerate() {
            let distance = |other: usize| (point[0] - layout[other][0]).hypot(point[1] - layout[other][1]);
            let nearest = (0..120).filter(|other| *other != row).min_by(|a, b| distance(*a).total_cmp(&distance(*b)));
            assert_eq!(nearest.map(|other| other / 40), Some(row / 40), "point {row}");
        }
    }

    #[test]
    fn one_thread_and_three_draw_the_same_map_to_the_bit() {
        let values = groups();
        let start = principal_components(&values, 5).points;
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| tsne(&values, 5, &start))
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn padding_adds_no_force() {
        let layout = Layout::small(&[[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0]]);
        let ([_, _], sum) = layout.repulsion(0);
        assert!((sum - 2.0).abs() < 1e-5, "{sum}");
    }
}
