//! Spherical k-means (Dhillon and Modha, 2001): centres on the sphere, every vector to the centre of the largest inner product.
use rayon::prelude::*;

use crate::model::nearest::best_by_codes;
use crate::model::nearest::codes::{CodeBuffer, QueryCodes, mean};

/// Vectors that train one centre.
const SAMPLE_PER_CENTRE: usize = 32;
const ROUNDS: usize = 6;
/// Vectors that are assigned at a time.
const BLOCK_ROWS: usize = 1 << 16;

/// `count` centres `[count, dimension]` of unit length from an even sample of `[rows, dimension]` vectors.
pub fn centres(vectors: &[f32], dimension: usize, count: usize) -> Vec<f32> {
    let rows = vectors.len() / dimension;
    let size = (count * SAMPLE_PER_CENTRE).min(rows);
    let row = |number: usize| &vectors[number * dimension..][..dimension];
    let sample: Vec<f32> = (0..size).flat_map(|i| row(i * rows / size).iter().copied()).collect();
    let mut centres: Vec<f32> = (0..count).flat_map(|i| row(spread(i, count, rows)).iter().copied()).collect();
    normalize(&mut centres, dimension);
    for _ in 0..ROUNDS {
        let assigned = assign(&sample, &centres, dimension);
        let members = members(&assigned, count);
        let update = |(centre, members): (&mut [f32], &Vec<u32>)| {
            let mut sum = vec![0.0f64; dimension];
            for member in members {
                let values = &sample[*member as usize * dimension..][..dimension];
                sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(*value));
            }
            if !members.is_empty() {
                centre.iter_mut().zip(sum).for_each(|(out, sum)| *out = (sum / members.len() as f64) as f32);
            }
        };
        centres.par_chunks_mut(dimension).zip(&members).for_each(update);
        reseed(&mut centres, &members, &sample, dimension);
        normalize(&mut centres, dimension);
    }
    centres
}

/// For each vector the number of its centre.
pub fn assign(vectors: &[f32], centres: &[f32], dimension: usize) -> Vec<u32> {
    let middle = mean(centres, dimension);
    let coded = CodeBuffer::encode(centres, &middle);
    let count = centres.len() / dimension;
    let blocks = vectors.chunks(BLOCK_ROWS * dimension);
    let nearest = blocks.flat_map(|block| {
        let queries = QueryCodes::encode(block, dimension);
        let best = best_by_codes(block, &queries, coded.view(), count, &middle, 1);
        best.into_iter().map(|best| best.first().map_or(0, |candidate| candidate.position))
    });
    nearest.collect()
}

/// Numbers of the vectors of each centre, ascending.
pub fn members(assigned: &[u32], count: usize) -> Vec<Vec<u32>> {
    let mut members = vec![Vec::new(); count];
    for (number, centre) in (0u32..).zip(assigned) {
        if let Some(list) = members.get_mut(*centre as usize) {
            list.push(number);
        }
    }
    members
}

/// A centre without vectors moves to a member of one of the largest.
fn reseed(centres: &mut [f32], members: &[Vec<u32>], sample: &[f32], dimension: usize) {
    let mut largest: Vec<usize> = (0..members.len()).collect();
    largest.sort_by_key(|centre| std::cmp::Reverse(members[*centre].len()));
    let empty = (0..members.len()).filter(|centre| members[*centre].is_empty());
    for (centre, donor) in empty.zip(largest) {
        if let Some(member) = members[donor].last() {
            let row = &sample[*member as usize * dimension..][..dimension];
            centres[centre * dimension..][..dimension].copy_from_slice(row);
        }
    }
}

fn normalize(vectors: &mut [f32], dimension: usize) {
    vectors.par_chunks_mut(dimension).for_each(|row| {
        let length = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
        if length > 0.0 {
            row.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
        }
    });
}

/// The `i`-th of `count` different numbers below `rows`, evenly spread but off the sample's grid.
fn spread(i: usize, count: usize, rows: usize) -> usize {
    (i * rows / count + rows / (2 * count)).min(rows - 1)
}
