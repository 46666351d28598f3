//! Exact lists: integer products decide who may be among the best, 32-bit scores decide who is.
use rayon::prelude::*;

use super::coded::CodedDocuments;
use super::codes::{CodePanels, QueryCodes, check_vectors, norm};
use super::dot::{dot, dot_f64};
use super::ranks::by_f32;
use super::scan::{Bounds, Candidate, Collector, Sweep};
use super::{RowSet, Scored};
use crate::model::ModelError;
use crate::model::cpu::{TILE_COLUMNS, dots_f32, has_fast_i8, quick_dots_f32};

/// Queries that pass over the documents together: their codes fit a second-level cache.
const QUERY_BLOCK: usize = 240;
/// Candidates that are scored at a time.
const AT_A_TIME: usize = 16;
/// Below this fraction of allowed rows each of them is scored.
const FEW: usize = 32;

/// Documents with their codes, ready for exact searches.
#[derive(Debug, Clone, Copy)]
pub struct ExactScan<'a> {
    /// `[rows, dimension]`.
    pub documents: &'a [f32],
    pub dimension: usize,
    pub centre: &'a [f32],
    /// The documents in row order, around the centre.
    pub panels: CodePanels<'a>,
}

/// The `k` best documents of every query, best first: `queries` `[q, dimension]`, `documents` `[rows, dimension]`.
pub fn top_k(
    queries: &[f32],
    documents: &[f32],
    dimension: usize,
    k: usize,
    allowed: Option<&RowSet>,
) -> Result<Vec<Vec<Scored>>, ModelError> {
    check_vectors(queries, dimension)?;
    CodedDocuments::new(documents, dimension)?.scan().search(queries, k, allowed)
}

impl ExactScan<'_> {
    /// The `k` best of the allowed documents of every query, best first.
    pub fn search(&self, queries: &[f32], k: usize, allowed: Option<&RowSet>) -> Result<Vec<Vec<Scored>>, ModelError> {
        check_vectors(queries, self.dimension)?;
        let count = queries.len() / self.dimension;
        let rows = self.documents.len() / self.dimension;
        let k = k.min(allowed.map_or(rows, RowSet::count));
        if k == 0 || count == 0 {
            return Ok(vec![Vec::new(); count]);
        }
        if let Some(set) = allowed.filter(|set| set.count() < rows / FEW) {
            return Ok(top_k_of(queries, self.documents, self.dimension, k, set));
        }
        if !has_fast_i8() {
            return Ok(by_f32(queries, self.documents, self.dimension, k, allowed));
        }
        let codes = QueryCodes::encode(queries, self.dimension);
        let panels = rows.div_ceil(TILE_COLUMNS);
        let blocks = count.div_ceil(QUERY_BLOCK);
        let parts = (2 * rayon::current_num_threads()).div_ceil(blocks).min(panels);
        let parts = if blocks >= 2 * rayon::current_num_threads() { 1 } else { parts };
        let span = panels.div_ceil(parts);
        let tasks: Vec<(usize, usize)> =
            (0..blocks).flat_map(|block| (0..parts).map(move |part| (block, part))).collect();
        let scan = |(block, part): (usize, usize)| {
            let first = block * QUERY_BLOCK;
            let last = (first + QUERY_BLOCK).min(count);
            let range = (part * span).min(panels)..((part + 1) * span).min(panels);
            self.candidates(queries, &codes, first..last, range, k, allowed)
        };
        let found: Vec<Vec<Collector>> = tasks.into_par_iter().map(scan).collect();
        let longest = self.longest();
        let list = |query: usize, collector: Collector| {
            let lengths = longest * f64::from(codes.norm[query]);
            best(self.query(queries, query), self.documents, collector.candidates(), k, lengths)
        };
        let mut found = found.into_iter();
        let mut lists = Vec::with_capacity(count);
        while let Some(mut collectors) = found.next() {
            for part in found.by_ref().take(parts - 1) {
                collectors.iter_mut().zip(part).for_each(|(collector, other)| collector.merge(other));
            }
            let first = lists.len();
            let block: Vec<Vec<Scored>> =
                collectors.into_par_iter().enumerate().map(|(i, collector)| list(first + i, collector)).collect();
            lists.extend(block);
        }
        Ok(lists)
    }

    /// As [`search`](Self::search) in all documents, for few queries and on this thread alone.
    pub fn search_few(&self, queries: &[f32], k: usize) -> Result<Vec<Vec<Scored>>, ModelError> {
        check_vectors(queries, self.dimension)?;
        let (count, rows) = (queries.len() / self.dimension, self.documents.len() / self.dimension);
        let k = k.min(rows);
        if k == 0 {
            return Ok(vec![Vec::new(); count]);
        }
        if !has_fast_i8() {
            return Ok(by_f32(queries, self.documents, self.dimension, k, None));
        }
        let codes = QueryCodes::encode(queries, self.dimension);
        let (mut lists, longest) = (Vec::with_capacity(count), self.longest());
        for first in (0..count).step_by(QUERY_BLOCK) {
            let block = first..(first + QUERY_BLOCK).min(count);
            let collectors = self.candidates(queries, &codes, block, 0..rows.div_ceil(TILE_COLUMNS), k, None);
            lists.extend((first..).zip(collectors).map(|(query, collector)| {
                let lengths = longest * f64::from(codes.norm[query]);
                best(self.query(queries, query), self.documents, collector.candidates(), k, lengths)
            }));
        }
        Ok(lists)
    }

    fn query<'q>(&self, queries: &'q [f32], number: usize) -> &'q [f32] {
        &queries[number * self.dimension..][..self.dimension]
    }

    /// No document is longer.
    fn longest(&self) -> f64 {
        let around = |[length, error]: &[f32; 2]| f64::from(*length) + f64::from(*error);
        norm(self.centre) + self.panels.bounds.iter().map(around).fold(0.0, f64::max)
    }

    fn candidates(
        &self,
        queries: &[f32],
        codes: &QueryCodes,
        block: std::ops::Range<usize>,
        range: std::ops::Range<usize>,
        k: usize,
        allowed: Option<&RowSet>,
    ) -> Vec<Collector> {
        let rows = self.documents.len() / self.dimension;
        let offset = |query: usize| (query, dot_f64(self.query(queries, query), self.centre));
        let mut collectors: Vec<Collector> = block.clone().map(|_| Collector::new(k)).collect();
        let first = block.start;
        let mut sweep = Sweep::new(codes, self.dimension, block.map(offset), first, Bounds::Rigorous);
        let whole = |panel: usize| full_mask(rows, panel);
        match allowed {
            None => sweep.run(self.panels, range, whole, &mut collectors),
            Some(set) => sweep.run(self.panels, range, |panel| set.group(panel) & whole(panel), &mut collectors),
        }
        collectors
    }
}

/// The `k` best of a few rows for every query, each of them scored.
pub fn top_k_of(queries: &[f32], documents: &[f32], dimension: usize, k: usize, rows: &RowSet) -> Vec<Vec<Scored>> {
    let rows: Vec<u32> = rows.iter().map(|row| row as u32).collect();
    let list = |query: &[f32]| {
        let mut best = Vec::with_capacity(rows.len());
        keep_best(query, documents, &rows, k, &mut best);
        best.into_iter().map(|(_, scored)| scored).collect()
    };
    queries.par_chunks_exact(dimension).map(list).collect()
}

/// The `k` best of candidates in any order: the most promising are scored, then whoever can still reach the worst of those.
/// No product of the lengths of the query and of a document is above `lengths`.
fn best(query: &[f32], documents: &[f32], mut candidates: Vec<Candidate>, k: usize, lengths: f64) -> Vec<Scored> {
    let first = (k + 1).next_multiple_of(AT_A_TIME).min(candidates.len());
    if first < candidates.len() {
        candidates.select_nth_unstable_by(first, |a, b| b.upper.total_cmp(&a.upper));
    }
    let (first, rest) = candidates.split_at(first);
    let mut rows: Vec<u32> = first.iter().map(|candidate| candidate.position).collect();
    let mut best = Vec::with_capacity(first.len() + AT_A_TIME);
    keep_best(query, documents, &rows, k, &mut best);
    let worst = best.get(k - 1).map_or(f32::NEG_INFINITY, |(_, worst)| worst.score);
    rows.clear();
    rows.extend(rest.iter().filter(|candidate| candidate.upper >= worst).map(|candidate| candidate.position));
    // A sum in another order is quicker. It and a score each miss the exact product by at most `2 (d + 2) 2^-24 |x| |q|`.
    let mut sums = Vec::with_capacity(rows.len() + AT_A_TIME);
    quick_dots_f32(query, documents, &rows, &mut sums);
    let slack = 4.0 * (query.len() + 2) as f64 * 2f64.powi(-24) * lengths;
    let mut sums = sums.into_iter();
    rows.retain(|_| sums.next().is_none_or(|sum| f64::from(sum) + slack >= f64::from(worst)));
    keep_best(query, documents, &rows, k, &mut best);
    best.into_iter().map(|(_, scored)| scored).collect()
}

/// Scores rows and keeps the best `k` of all so far, with the keys of their order: whole numbers sort without a branch.
fn keep_best(query: &[f32], documents: &[f32], rows: &[u32], k: usize, best: &mut Vec<(u64, Scored)>) {
    if !rows.is_empty() {
        best.extend(score_rows(query, documents, rows).into_iter().map(|scored| (scored.key(), scored)));
        best.sort_unstable_by_key(|(key, _)| *key);
        best.truncate(k);
    }
}

/// The `k` documents of every query that are best by their codes alone, around `centre`; positions with their scores.
pub fn best_by_codes(
    queries: &[f32],
    codes: &QueryCodes,
    panels: CodePanels<'_>,
    rows: usize,
    centre: &[f32],
    k: usize,
) -> Vec<Vec<Candidate>> {
    let (dimension, count) = (centre.len(), codes.scale.len());
    let blocks: Vec<usize> = (0..count).step_by(QUERY_BLOCK).collect();
    let best = blocks.into_par_iter().flat_map_iter(|first| {
        let block = first..(first + QUERY_BLOCK).min(count);
        let mut collectors: Vec<Collector> = block.clone().map(|_| Collector::new(k)).collect();
        let offset = |query: usize| (query, f64::from(dot(&queries[query * dimension..][..dimension], centre)));
        let mut sweep = Sweep::new(codes, dimension, block.map(offset), first, Bounds::Ignored);
        sweep.run(panels, 0..rows.div_ceil(TILE_COLUMNS), |panel| full_mask(rows, panel), &mut collectors);
        collectors.into_iter().map(|collector| {
            let mut found = collector.finish();
            found.truncate(k);
            found
        })
    });
    best.collect()
}

/// Scores of a query and some rows of `documents`.
pub fn score_rows(query: &[f32], documents: &[f32], rows: &[u32]) -> Vec<Scored> {
    let mut scores = [0.0; AT_A_TIME];
    let mut scored = Vec::with_capacity(rows.len());
    for part in rows.chunks(AT_A_TIME) {
        dots_f32(query, documents, part, &mut scores);
        scored.extend(part.iter().zip(scores).map(|(row, score)| Scored { row: *row, score }));
    }
    scored
}

/// Bits of the documents that a panel holds.
pub fn full_mask(rows: usize, panel: usize) -> u32 {
    let left = rows.saturating_sub(panel * TILE_COLUMNS);
    if left >= TILE_COLUMNS { u32::MAX } else { (1 << left) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::nearest::codes::{CodeBuffer, mean};

    /// Numbers in -1..1 that look random.
    pub fn noise(count: usize, seed: u64) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// The definition: every score in the order of the dimensions, sorted.
    fn naive(queries: &[f32], documents: &[f32], d: usize, k: usize, allowed: Option<&RowSet>) -> Vec<Vec<Scored>> {
        let score = |query: &[f32], row: &[f32]| query.iter().zip(row).fold(0.0f32, |sum, (q, x)| q.mul_add(*x, sum));
        let list = |query: &[f32]| {
            let rows = (0u32..)
                .zip(documents.chunks(d))
                .filter(|(row, _)| allowed.is_none_or(|set| set.contains(*row as usize)));
            let mut list: Vec<Scored> = rows.map(|(row, values)| Scored { row, score: score(query, values) }).collect();
            list.sort_by(Scored::order);
            list.truncate(k);
            list
        };
        queries.chunks(d).map(list).collect()
    }

    /// Documents that make codes fail: copies, neighbours one rounding apart, zeros, lengths far apart, single large values.
    fn hard(d: usize, rows: usize) -> Vec<f32> {
        let mut documents = noise(rows * d, 5);
        for row in 0..rows {
            let (before, rest) = documents.split_at_mut(row * d);
            let own = &mut rest[..d];
            let earlier = before.chunks(d).nth(row / 2);
            match (row % 8, earlier) {
                (1, Some(earlier)) => own.copy_from_slice(earlier),
                (2, Some(earlier)) => own.iter_mut().zip(earlier).for_each(|(own, x)| *own = x.next_up()),
                (3, _) => own.fill(0.0),
                (4, _) => own.iter_mut().for_each(|x| *x *= 10f32.powi((row % 17) as i32 - 8)),
                (5, _) => own[row % d] = 1e4,
                (6, Some(earlier)) => own.iter_mut().zip(earlier).for_each(|(own, x)| *own = x + 1e-4 * *own),
                _ => {}
            }
        }
        documents
    }

    #[test]
    fn lists_equal_the_definition_on_data_that_codes_cannot_tell_apart() {
        for (d, rows, count) in [(1, 50, 3), (7, 200, 5), (33, 333, 13), (130, 1_000, 9), (512, 700, 30)] {
            let documents = hard(d, rows);
            let mut queries = hard(d, count);
            queries.extend_from_slice(&documents[..2 * d]);
            for k in [1, 10, 64, rows + 3] {
                let expected = naive(&queries, &documents, d, k, None);
                assert_eq!(top_k(&queries, &documents, d, k, None).unwrap(), expected, "{d} x {rows}, k = {k}");
                assert_eq!(by_f32(&queries, &documents, d, k, None), expected, "32 bits, {d} x {rows}, k = {k}");
                let coded = CodedDocuments::new(&documents, d).unwrap();
                assert_eq!(coded.scan().search_few(&queries, k).unwrap(), expected, "few, {d} x {rows}, k = {k}");
            }
            for every in [2, 100] {
                let set = RowSet::of(rows, |row| row % every == 1);
                let expected = naive(&queries, &documents, d, 10, Some(&set));
                assert_eq!(
                    top_k(&queries, &documents, d, 10, Some(&set)).unwrap(),
                    expected,
                    "every {every}th of {rows}"
                );
            }
        }
    }

    #[test]
    fn the_error_of_every_product_stays_within_its_bound() {
        let (d, rows, count) = (130, 320, 24);
        let (documents, queries) = (hard(d, rows), hard(d, count));
        let centre = mean(&documents, d);
        let (coded, codes) = (CodeBuffer::encode(&documents, &centre), QueryCodes::encode(&queries, d));
        let mut collectors: Vec<Collector> = (0..count).map(|_| Collector::new(rows)).collect();
        let offset = |query: usize| (query, dot_f64(&queries[query * d..][..d], &centre));
        let mut sweep = Sweep::new(&codes, d, (0..count).map(offset), 0, Bounds::Rigorous);
        sweep.run(coded.view(), 0..rows / 32, |_| u32::MAX, &mut collectors);
        let exact = naive(&queries, &documents, d, rows, None);
        for (collector, exact) in collectors.into_iter().zip(exact) {
            let found = collector.finish();
            assert_eq!(found.len(), rows);
            for scored in exact {
                let upper = found.iter().find(|candidate| candidate.position == scored.row).unwrap().upper;
                assert!(upper >= scored.score, "row {}: {} is above {upper}", scored.row, scored.score);
            }
        }
    }

    #[test]
    fn threads_do_not_change_a_list() {
        let (documents, queries) = (hard(64, 3_000), noise(64 * 700, 9));
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| top_k(&queries, &documents, 64, 10, None).unwrap())
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(5));
    }

    #[test]
    fn what_codes_cannot_bound_is_an_error() {
        let documents = noise(8, 1);
        let bad = |value: f32| top_k(&documents, &[&documents[..5], &[value; 3]].concat(), 4, 1, None);
        assert!(matches!(bad(f32::NAN), Err(ModelError::VectorRange { row: 1 })));
        assert!(matches!(bad(f32::INFINITY), Err(ModelError::VectorRange { row: 1 })));
        assert!(matches!(bad(1e20), Err(ModelError::VectorRange { row: 1 })));
        assert!(matches!(top_k(&documents, &documents, 3, 1, None), Err(ModelError::VectorLength { .. })));
        assert!(matches!(top_k(&documents, &documents, 0, 1, None), Err(ModelError::VectorLength { .. })));
        assert_eq!(top_k(&[], &documents, 4, 3, None).unwrap(), Vec::<Vec<Scored>>::new());
        assert_eq!(top_k(&documents, &[], 4, 3, None).unwrap(), vec![Vec::new(), Vec::new()]);
        assert_eq!(top_k(&documents, &documents, 4, 0, None).unwrap(), vec![Vec::new(), Vec::new()]);
    }
}
