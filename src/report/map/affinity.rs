//! Symmetric affinities of t-SNE over the nearest neighbours, as van der Maaten 2014 gives them.
use rayon::prelude::*;

/// Steps of the bisection for a bandwidth.
const BISECTIONS: usize = 60;

/// Of every point its neighbours by index with the joint probability; all of them sum to one.
pub(super) type Affinities = Vec<Vec<(u32, f32)>>;

/// Affinities of the rows of `[rows, dimensions]`, from squared Euclidean distances.
pub(super) fn affinities(values: &[f32], dimensions: usize, perplexity: f64) -> Affinities {
    let rows = values.len() / dimensions.max(1);
    let neighbours = ((3.0 * perplexity + 1.0) as usize).min(rows.saturating_sub(1));
    let conditional: Vec<Vec<(u32, f64)>> = (0..rows)
        .into_par_iter()
        .map(|row| {
            let near = nearest(values, dimensions, row, neighbours);
            let weights = bandwidth(&near, perplexity);
            near.iter().map(|(other, _)| *other).zip(weights).collect()
        })
        .collect();
    symmetric(&conditional)
}

fn nearest(values: &[f32], dimensions: usize, row: usize, count: usize) -> Vec<(u32, f64)> {
    let Some(own) = values.chunks_exact(dimensions).nth(row) else { return Vec::new() };
    let mut all: Vec<(u32, f64)> = values
        .chunks_exact(dimensions)
        .zip(0u32..)
        .filter(|(_, other)| *other as usize != row)
        .map(|(vector, other)| (other, squared_distance(own, vector)))
        .collect();
    let order = |a: &(u32, f64), b: &(u32, f64)| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0));
    if count < all.len() {
        all.select_nth_unstable_by(count, order);
        all.truncate(count);
    }
    all.sort_unstable_by(order);
    all
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    let (mut lanes, whole) = ([0f32; 8], a.len() / 8 * 8);
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for lane in 0..8 {
            lanes[lane] += (a[lane] - b[lane]).powi(2);
        }
    }
    let rest: f32 = a[whole..].iter().zip(&b[whole..]).map(|(a, b)| (a - b).powi(2)).sum();
    f64::from(lanes.iter().sum::<f32>() + rest)
}

/// Probabilities of a Gaussian whose perplexity is the wanted one.
fn bandwidth(near: &[(u32, f64)], perplexity: f64) -> Vec<f64> {
    let Some(least) = near.first().map(|(_, distance)| *distance) else { return Vec::new() };
    let (mut low, mut high, mut precision) = (0.0, f64::INFINITY, 1.0);
    let mut weights = Vec::new();
    for _ in 0..BISECTIONS {
        // Distances from the nearest: the largest weight is one, so nothing underflows.
        weights = near.iter().map(|(_, distance)| (-precision * (distance - least)).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let mean: f64 = near.iter().zip(&weights).map(|((_, distance), weight)| (distance - least) * weight).sum();
        let entropy = sum.ln() + precision * mean / sum;
        weights.iter_mut().for_each(|weight| *weight /= sum);
        if (entropy - perplexity.ln()).abs() < 1e-6 {
            break;
        }
        if entropy > perplexity.ln() {
            low = precision;
            precision = if high.is_finite() { f64::midpoint(low, high) } else { precision * 2.0 };
        } else {
            high = precision;
            precision = f64::midpoint(low, high);
        }
    }
    weights
}

fn symmetric(conditional: &[Vec<(u32, f64)>]) -> Affinities {
    let mut both: Vec<Vec<(u32, f64)>> = conditional.to_vec();
    for (row, near) in (0u32..).zip(conditional) {
        for (other, weight) in near {
            both[*other as usize].push((row, *weight));
        }
    }
    let total = 2.0 * conditional.len().max(1) as f64;
    both.into_iter()
        .map(|mut near| {
            near.sort_by_key(|(other, _)| *other);
            let mut merged: Vec<(u32, f64)> = Vec::with_capacity(near.len());
            for (other, weight) in near {
                match merged.last_mut() {
                    Some(last) if last.0 == other => last.1 += weight,
                    _ => merged.push((other, weight)),
                }
            }
            merged.into_iter().map(|(other, weight)| (other, (weight / total) as f32)).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points() -> Vec<f32> {
        (0..60u16).flat_map(|at| [f32::from(at % 8), f32::from(at / 8), f32::from(at % 3) * 0.3]).collect()
    }

    #[test]
    fn affinities_sum_to_one_and_are_symmetric() {
        let all = affinities(&points(), 3, 10.0);
        let total: f32 = all.iter().flatten().map(|(_, weight)| weight).sum();
        assert!((total - 1.0).abs() < 1e-5, "{total}");
        for (row, near) in (0u32..).zip(&all) {
            for (other, weight) in near {
                let back = all[*other as usize].iter().find(|(found, _)| *found == row).unwrap().1;
                assert!((back - weight).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn the_bandwidth_gives_the_perplexity() {
        let near: Vec<(u32, f64)> = (1..40u32).map(|at| (at, f64::from(at) * 0.37)).collect();
        let entropy: f64 = bandwidth(&near, 12.0).iter().map(|p| -p * p.max(1e-300).ln()).sum();
        assert!((entropy.exp() - 12.0).abs() < 1e-3, "{}", entropy.exp());
    }

    #[test]
    fn points_that_coincide_share_their_weight() {
        let weights = bandwidth(&[(1, 0.0), (2, 0.0), (3, 0.0)], 2.0);
        assert!(weights.iter().all(|weight| (weight - 1.0 / 3.0).abs() < 1e-9));
    }
}
