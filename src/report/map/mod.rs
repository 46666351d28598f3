//! Maps of embeddings: the same points under every stage, laid out so that stages can be compared.
mod affinity;
mod align;
mod pca;
mod tsne;

use super::facts::{MapFacts, MapPoint, MapStage};

pub use pca::{Projection, principal_components};
pub use tsne::{PERPLEXITY, tsne};

/// Most points of a map; the repulsion is exact, so time grows with the square.
pub const MAP_POINTS: usize = 1500;

/// The vectors of one stage for the points of a map, `[points, dimensions]`.
#[derive(Debug, Clone, Copy)]
pub struct StageVectors<'a> {
    pub model: &'a str,
    pub values: &'a [f32],
    pub dimensions: usize,
}

/// Lays out `points` under every stage, in order. The first t-SNE starts from the principal components, each later one from the
/// map before it, onto which it is then turned; so are the signs of principal components chosen.
pub fn draw_maps(points: Vec<MapPoint>, of: u64, stages: &[StageVectors<'_>]) -> MapFacts {
    let mut drawn: Vec<MapStage> = Vec::new();
    for stage in stages {
        let Projection { points: mut pca, explained } = principal_components(stage.values, stage.dimensions);
        let before = drawn.last();
        if let Some(before) = before {
            pca = align::signed_like(&pca, &before.pca);
        }
        let start = before.map_or(&pca, |before| &before.tsne);
        let layout = tsne(stage.values, stage.dimensions, start);
        let tsne = align::turned_onto(&layout, start);
        drawn.push(MapStage { model: stage.model.to_owned(), pca, tsne, explained });
    }
    MapFacts { points, of, stages: drawn }
}

/// Indices of at most `limit` of `count` items, evenly spread.
pub fn spread(count: usize, limit: usize) -> Vec<usize> {
    let kept = count.min(limit);
    (0..kept).map(|at| at * count / kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_over_all_items_without_repeats() {
        assert_eq!(spread(10, 4), [0, 2, 5, 7]);
        assert_eq!(spread(3, 10), [0, 1, 2]);
        assert!(spread(0, 10).is_empty() && spread(5, 0).is_empty());
    }

    #[test]
    fn the_same_vectors_at_a_second_stage_stay_where_they_were() {
        let values: Vec<f32> =
            (0..60u16).flat_map(|at| [f32::from(at % 7), f32::from(at % 5), f32::from(at / 20) * 9.0]).collect();
        let stage = |model| StageVectors { model, values: &values, dimensions: 3 };
        let map = draw_maps(Vec::new(), 60, &[stage("a"), stage("b")]);
        let size = |points: &[[f32; 2]]| points.iter().map(|p| p[0].hypot(p[1])).sum::<f32>();
        let moved: f32 =
            map.stages[0].tsne.iter().zip(&map.stages[1].tsne).map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1])).sum();
        assert!(moved < 0.5 * size(&map.stages[0].tsne), "moved {moved} of {}", size(&map.stages[0].tsne));
        assert_eq!(map.stages[0].pca, map.stages[1].pca);
    }
}
