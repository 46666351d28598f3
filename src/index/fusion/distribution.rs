//! Distribution-based score fusion (DBSF; Mazzeschi, 2023): scores count by where they lie between mean - 3σ and mean + 3σ of their list.
use super::{Leg, add_up};

/// Sums of weighted scores; mean - 3σ becomes 0 and mean + 3σ becomes 1, outliers beyond are not cut. σ is that of a sample (n - 1). Best
/// `count` first, equal sums in document order. A document that a leg lacks gets nothing from it. In a list of one, or of equal scores, each counts 0.5.
pub fn distribution_fusion(legs: &[Leg<'_>], count: usize) -> Vec<(usize, f32)> {
    let parts = legs.iter().flat_map(|leg| {
        let rows = leg.hits.len() as f64;
        let mean = leg.hits.iter().map(|(_, score)| f64::from(*score)).sum::<f64>() / rows;
        let squares: f64 = leg.hits.iter().map(|(_, score)| (f64::from(*score) - mean).powi(2)).sum();
        let deviation = (squares / (rows - 1.0).max(1.0)).sqrt();
        leg.hits.iter().map(move |(document, score)| {
            let place = if deviation > 0.0 { (f64::from(*score) - mean) / (6.0 * deviation) } else { 0.0 };
            (*document, leg.weight * (place + 0.5))
        })
    });
    add_up(parts, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_of_a_leg_does_not_matter() {
        let small = [(1, 3.0), (2, 2.0), (3, 1.0)];
        let large = small.map(|(document, score)| (document, score * 64.0 + 128.0));
        let other = [(2, 0.9), (3, 0.1)];
        let fuse = |hits: &[(usize, f32)]| {
            distribution_fusion(&[Leg { hits, weight: 1.0 }, Leg { hits: &other, weight: 1.0 }], 3)
        };
        assert_eq!(fuse(&small), fuse(&large));
        assert_eq!(fuse(&small)[0].0, 2);
    }

    #[test]
    fn equal_scores_count_half_each() {
        let legs = [Leg { hits: &[(4, 7.0), (2, 7.0)], weight: 1.0 }];
        assert_eq!(distribution_fusion(&legs, 9), [(2, 0.5), (4, 0.5)]);
    }
}
