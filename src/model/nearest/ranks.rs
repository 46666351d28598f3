//! Scores of every query and document in 32 bits, block by block: ranks, and lists where codes are no faster.
use rayon::prelude::*;

use super::codes::check_vectors;
use super::exact::full_mask;
use super::{RowSet, Scored, score_rows};
use crate::model::ModelError;
use crate::model::cpu::{Lane, TILE_COLUMNS, TILE_ROWS, Tile, tile_f32, vectorized};

/// Queries that pass over the documents together.
const QUERY_BLOCK: usize = 240;

/// Rank (from 1) of the best of the `relevant` documents of every query, `None` without one: 1 + the number of documents
/// that score higher, or as high and stand before it. Rows that do not exist are ignored.
pub fn rank_of(
    queries: &[f32],
    documents: &[f32],
    dimension: usize,
    relevant: &[Vec<usize>],
) -> Result<Vec<Option<usize>>, ModelError> {
    check_vectors(queries, dimension)?;
    check_vectors(documents, dimension)?;
    let rows = documents.len() / dimension;
    let blocks = queries.par_chunks(QUERY_BLOCK * dimension).zip(relevant.par_chunks(QUERY_BLOCK));
    let ranks = blocks.flat_map_iter(|(queries, relevant)| {
        let own = |(query, relevant): (&[f32], &Vec<usize>)| {
            let known: Vec<u32> = relevant.iter().filter(|row| **row < rows).map(|row| *row as u32).collect();
            score_rows(query, documents, &known).into_iter().min_by(Scored::order)
        };
        let own: Vec<Option<Scored>> = queries.chunks_exact(dimension).zip(relevant).map(own).collect();
        let mut above = vec![0usize; own.len()];
        sweep(queries, documents, dimension, |query, panel, scores| {
            if let Some(own) = own[query] {
                above[query] += count_above(own, panel * TILE_COLUMNS, rows, scores);
            }
        });
        own.into_iter().zip(above).map(|(own, above)| own.map(|_| above + 1)).collect::<Vec<_>>()
    });
    Ok(ranks.collect())
}

/// Documents of a panel that stand before `own`.
fn count_above(own: Scored, first: usize, rows: usize, scores: &[f32; TILE_COLUMNS]) -> usize {
    vectorized(|| {
        let held = (rows - first).min(TILE_COLUMNS);
        let earlier = (own.row as usize).saturating_sub(first).min(held);
        let before = scores[..earlier].iter().filter(|score| **score >= own.score).count();
        before + scores[earlier..held].iter().filter(|score| **score > own.score).count()
    })
}

/// The `k` best of every query, best first, from 32-bit scores alone.
pub(super) fn by_f32(
    queries: &[f32],
    documents: &[f32],
    dimension: usize,
    k: usize,
    allowed: Option<&RowSet>,
) -> Vec<Vec<Scored>> {
    let rows = documents.len() / dimension;
    let k = k.min(rows);
    let blocks = queries.par_chunks(QUERY_BLOCK * dimension);
    let lists = blocks.flat_map_iter(|queries| {
        let mut lists: Vec<Vec<Scored>> = vec![Vec::new(); queries.len() / dimension];
        let mut worst = vec![f32::NEG_INFINITY; lists.len()];
        sweep(queries, documents, dimension, |query, panel, scores| {
            if !vectorized(|| scores.iter().filter(|score| **score >= worst[query]).count() > 0) {
                return;
            }
            let mask = full_mask(rows, panel) & allowed.map_or(u32::MAX, |set| set.group(panel));
            let list = &mut lists[query];
            for (lane, score) in scores.iter().enumerate() {
                if mask >> lane & 1 == 1 && *score >= worst[query] {
                    list.push(Scored { row: (panel * TILE_COLUMNS + lane) as u32, score: *score });
                }
            }
            if list.len() > 2 * k + 64 {
                worst[query] = shorten(list, k);
            }
        });
        lists.iter_mut().for_each(|list| _ = shorten(list, k));
        lists
    });
    lists.collect()
}

/// Keeps the best `k`; the score of the last of them.
fn shorten(list: &mut Vec<Scored>, k: usize) -> f32 {
    list.sort_unstable_by(Scored::order);
    list.truncate(k);
    list.last().filter(|_| list.len() == k).map_or(f32::NEG_INFINITY, |worst| worst.score)
}

/// Gives `take` the scores of every query with every panel of 32 documents.
fn sweep(
    queries: &[f32],
    documents: &[f32],
    dimension: usize,
    mut take: impl FnMut(usize, usize, &[f32; TILE_COLUMNS]),
) {
    let mut packed = vec![Lane([0.0; 16]); 2 * dimension];
    let mut tile: Tile = [[0.0; TILE_COLUMNS]; TILE_ROWS];
    for (panel, members) in documents.chunks(TILE_COLUMNS * dimension).enumerate() {
        pack(members, dimension, &mut packed);
        for (tile_number, rows) in queries.chunks(TILE_ROWS * dimension).enumerate() {
            let count = rows.len() / dimension;
            tile_f32(rows, dimension, count, dimension, &packed, &mut tile);
            for (row, scores) in tile.iter().take(count).enumerate() {
                take(tile_number * TILE_ROWS + row, panel, scores);
            }
        }
    }
}

/// Up to 32 documents as a panel `[dimension][2]` of lanes.
fn pack(members: &[f32], dimension: usize, packed: &mut [Lane]) {
    for (column, row) in members.chunks_exact(dimension).enumerate() {
        let (half, lane) = (column / 16, column % 16);
        packed.as_chunks_mut::<2>().0.iter_mut().zip(row).for_each(|(lanes, x)| lanes[half].0[lane] = *x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::best_rank;
    use crate::model::nearest::top_k;

    #[test]
    fn ranks_equal_those_of_whole_rows_of_scores() {
        let (d, rows) = (12, 500);
        // Few different values, so that many scores are equal.
        let documents: Vec<f32> = (0..rows * d).map(|i| ((i * 7919) % 5) as f32 - 2.0).collect();
        let queries: Vec<f32> = (0..250 * d).map(|i| ((i * 31) % 3) as f32 - 1.0).collect();
        let relevant: Vec<Vec<usize>> =
            (0..250).map(|query| (0..query % 4).map(|i| (query * 17 + i * 99) % rows).collect()).collect();
        let found = rank_of(&queries, &documents, d, &relevant).unwrap();
        for ((query, relevant), found) in queries.chunks(d).zip(&relevant).zip(&found) {
            let scores: Vec<f32> = documents
                .chunks(d)
                .map(|row| query.iter().zip(row).fold(0.0f32, |sum, (q, x)| q.mul_add(*x, sum)))
                .collect();
            assert_eq!(*found, best_rank(&scores, relevant));
        }
    }

    #[test]
    fn ranks_and_lists_agree() {
        let (d, rows) = (16, 300);
        let documents: Vec<f32> = (0..rows * d).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect();
        let lists = top_k(&documents[..40 * d], &documents, d, 25, None).unwrap();
        for place in [0, 7, 24] {
            let relevant: Vec<Vec<usize>> = lists.iter().map(|list| vec![list[place].row as usize, rows + 5]).collect();
            let ranks = rank_of(&documents[..40 * d], &documents, d, &relevant).unwrap();
            assert!(ranks.iter().all(|rank| *rank == Some(place + 1)));
        }
    }
}
