//! Building: which kind and why, the files, and the effort that reaches the wanted recall.
use std::path::Path;

use super::about::{AboutVectors, Effort, Recall, RecallSource};
use super::exact::Codes;
use super::flat::{FileKind, FlatWriter};
use super::graph::Graph;
use super::partitioned::{Lists, Probing, list_count};
use crate::index::{IndexError, VectorIndexKind};
use crate::model::nearest::codes::check_vectors;
use crate::model::nearest::{Scored, top_k};
use crate::store::StoreError;

pub(super) const VECTORS_FILE: &str = "vectors.bin";
pub(super) const VECTORS_KIND: FileKind = *b"vecs";
/// Up to this many rows comparing all of them takes less than a millisecond of a batch's time per query.
const EXACT_ROWS: usize = 100_000;
/// Candidates that a walk keeps at most.
const MOST_EF: usize = 4_096;
/// Queries that recall is measured with.
const RECALL_QUERIES: usize = 1_000;
/// Lists of results that recall is about.
const RECALL_AT: usize = 10;

/// Arguments of a build.
#[derive(Debug, Clone)]
pub struct VectorIndexOptions<'a> {
    pub dimension: usize,
    pub kind: VectorIndexKind,
    /// Memory that searches may keep busy, in bytes; `None` for as much as it takes.
    pub memory_bytes: Option<u64>,
    /// Recall@10 that an approximate index is set to, a fraction in 0..=1.
    pub recall: f64,
    /// Vectors like those of real queries, `[q, dimension]`; rows of the index stand in for them where there are none.
    pub queries: &'a [f32],
}

/// Builds an index of `[rows, dimension]` vectors into `folder`; the same input gives the same bytes, whatever the number
/// of threads.
pub fn build_vectors(
    folder: &Path,
    vectors: &[f32],
    options: &VectorIndexOptions<'_>,
) -> Result<AboutVectors, IndexError> {
    let dimension = options.dimension;
    check_vectors(vectors, dimension)?;
    check_vectors(options.queries, dimension)?;
    let rows = vectors.len() / dimension;
    std::fs::create_dir_all(folder).map_err(StoreError::io(folder))?;
    if rows == 0 {
        return Err(IndexError::Empty);
    }
    if rows > u32::MAX as usize / 2 {
        return Err(IndexError::TooMany { rows });
    }
    let (kind, reason) = choose(options.kind, rows, dimension, options.memory_bytes);
    let mut about = AboutVectors::new(kind, reason, rows, dimension);
    write_vectors(folder, vectors, dimension)?;
    match kind {
        VectorIndexKind::Exact | VectorIndexKind::Auto => Codes::build(folder, vectors, dimension)?,
        VectorIndexKind::Graph => {
            Graph::build(folder, vectors, dimension)?;
            let graph = Graph::open(folder)?;
            let search = |queries: &[f32], ef: usize| graph.search(queries, vectors, RECALL_AT, ef, None);
            let (ef, recall) = tune(vectors, options, 16, MOST_EF.min(rows.max(16)), search)?;
            about.effort = Some(Effort::EfSearch(ef));
            about.recall = Some(recall);
        }
        VectorIndexKind::Partitioned => {
            Lists::build(folder, vectors, dimension, list_count(rows))?;
            let lists = Lists::open(folder)?;
            let search = |queries: &[f32], nprobe: usize| {
                lists.search(queries, vectors, RECALL_AT, Probing { nprobe, ..Probing::default() }, None)
            };
            let (nprobe, recall) = tune(vectors, options, 1, lists.lists(), search)?;
            about.effort = Some(Effort::Nprobe(nprobe));
            about.recall = Some(recall);
        }
    }
    about.save(folder)?;
    Ok(about)
}

/// The kind that is built, and why.
fn choose(kind: VectorIndexKind, rows: usize, dimension: usize, memory: Option<u64>) -> (VectorIndexKind, String) {
    if kind != VectorIndexKind::Auto {
        return (kind, "asked for".to_owned());
    }
    let bytes = (rows * (dimension + 12)) as u64;
    let fits = memory.is_none_or(|memory| bytes <= memory);
    match (rows <= EXACT_ROWS, fits) {
        (true, true) => {
            let reason = format!("{rows} rows, at most {EXACT_ROWS}: comparing all of them is fast enough and exact");
            (VectorIndexKind::Exact, reason)
        }
        (true, false) => {
            let reason = format!("an exact search reads {bytes} bytes, more than the memory allowed");
            (VectorIndexKind::Partitioned, reason)
        }
        (false, _) => {
            let reason = format!("{rows} rows, more than {EXACT_ROWS}: a search reads only the nearest lists");
            (VectorIndexKind::Partitioned, reason)
        }
    }
}

fn write_vectors(folder: &Path, vectors: &[f32], dimension: usize) -> Result<(), IndexError> {
    let path = folder.join(VECTORS_FILE);
    let mut writer = FlatWriter::create(&path, VECTORS_KIND, vectors.len() / dimension, dimension)?;
    writer.array(vectors)?;
    Ok(writer.finish()?)
}

/// The smallest effort in `least..=most`, to an eighth, that reaches the wanted recall with 99 % confidence, and the recall there.
fn tune(
    vectors: &[f32],
    options: &VectorIndexOptions<'_>,
    least: usize,
    most: usize,
    search: impl Fn(&[f32], usize) -> Result<Vec<Vec<Scored>>, IndexError>,
) -> Result<(usize, Recall), IndexError> {
    let dimension = options.dimension;
    let (pool, source) = match options.queries {
        [] => (vectors, RecallSource::Rows),
        queries => (queries, RecallSource::Queries),
    };
    let count = (pool.len() / dimension).min(RECALL_QUERIES);
    let row = |i: usize| &pool[i * (pool.len() / dimension) / count * dimension..][..dimension];
    let sample: Vec<f32> = (0..count).flat_map(|i| row(i).iter().copied()).collect();
    let truth = top_k(&sample, vectors, dimension, RECALL_AT, None)?;
    let measure = |effort: usize| Ok::<_, IndexError>(recall(&search(&sample, effort)?, &truth));
    let (mut low, mut high) = (0, least);
    let (mut at_10, mut surely) = measure(high)?;
    while surely < options.recall && high < most {
        low = high;
        high = (2 * high).min(most);
        (at_10, surely) = measure(high)?;
    }
    while high - low > (high / 8).max(1) && low > 0 {
        let middle = low.midpoint(high);
        let (found, surely) = measure(middle)?;
        if surely < options.recall {
            low = middle;
        } else {
            (high, at_10) = (middle, found);
        }
    }
    Ok((high, Recall { at_10, queries: count, source }))
}

/// The part of the true lists that was found: its mean over the queries, and what it is not below with 99 % confidence.
fn recall(found: &[Vec<Scored>], truth: &[Vec<Scored>]) -> (f64, f64) {
    let part = |(found, truth): (&Vec<Scored>, &Vec<Scored>)| {
        let hits = truth.iter().filter(|wanted| found.iter().any(|scored| scored.row == wanted.row)).count();
        hits as f64 / truth.len().max(1) as f64
    };
    let parts: Vec<f64> = found.iter().zip(truth).map(part).collect();
    let count = parts.len().max(1) as f64;
    let mean = parts.iter().sum::<f64>() / count;
    let variance = parts.iter().map(|part| (part - mean).powi(2)).sum::<f64>() / count;
    (mean, mean - 2.326 * (variance / count).sqrt())
}
