//! The vector side: one trait, exact and approximate answers, all from files that are mapped into memory.
//!
//! A folder holds `vectors.json` (what it is), `vectors.bin` (rows of 32-bit floats), the file of its kind and, once rows were
//! deleted, `deleted.bin`. An index is built whole: measured, a build is cheap enough to be repeated when rows are added
//! (benches/README.md); deleting needs none.

mod about;
mod build;
mod exact;
mod flat;
mod graph;
mod graph_build;
mod kmeans;
mod partitioned;
mod walk;

use std::fmt::Debug;
use std::path::Path;

use super::{IndexError, VectorIndexKind};
use crate::model::nearest::{RowSet, Scored};

pub use about::{AboutVectors, Effort, Recall, RecallSource};
pub use build::{VectorIndexOptions, build_vectors};

use build::{VECTORS_FILE, VECTORS_KIND};
use exact::Codes;
use flat::{FileKind, FlatFile, FlatWriter};
use graph::Graph;
use partitioned::Lists;

const DELETED_FILE: &str = "deleted.bin";
const DELETED_KIND: FileKind = *b"dele";

/// Finds the rows of the largest inner products.
pub trait VectorIndex: Debug + Send + Sync {
    /// What it is and how well it finds.
    fn about(&self) -> &AboutVectors;

    /// The `k` best rows of every query, best first, equal scores in row order: `queries` `[q, dimension]`. With a set, only
    /// rows of the set.
    fn search(&self, queries: &[f32], k: usize, allowed: Option<&RowSet>) -> Result<Vec<Vec<Scored>>, IndexError>;

    /// Compares every file with the digest in its header; reads all of them.
    fn verify(&self) -> Result<(), IndexError>;
}

/// A folder with an index.
#[derive(Debug)]
struct Opened {
    about: AboutVectors,
    vectors: FlatFile,
    /// Rows that were not deleted, if some were.
    alive: Option<RowSet>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Exact(Codes),
    Graph(Graph),
    Partitioned(Lists),
}

/// Opens the index of a folder; files that are cut off, foreign or do not fit each other are errors.
pub fn open_vectors(folder: &Path) -> Result<Box<dyn VectorIndex>, IndexError> {
    let about = AboutVectors::open(folder)?;
    let vectors = FlatFile::open(&folder.join(VECTORS_FILE), VECTORS_KIND, 1)?;
    let (kind, rows, dimension) = match about.kind {
        VectorIndexKind::Exact | VectorIndexKind::Auto => {
            let codes = Codes::open(folder)?;
            let (rows, dimension) = (codes.rows(), codes.dimension());
            (Kind::Exact(codes), rows, dimension)
        }
        VectorIndexKind::Graph => {
            let graph = Graph::open(folder)?;
            let (rows, dimension) = (graph.rows(), graph.dimension());
            (Kind::Graph(graph), rows, dimension)
        }
        VectorIndexKind::Partitioned => {
            let lists = Lists::open(folder)?;
            let (rows, dimension) = (lists.rows(), lists.dimension());
            (Kind::Partitioned(lists), rows, dimension)
        }
    };
    let expected = (about.rows, about.dimension);
    if expected != (rows, dimension) || expected != (vectors.rows, vectors.dimension) || rows == 0 || dimension == 0 {
        return Err(vectors.broken("its files have different numbers of rows or dimensions"));
    }
    vectors.array::<f32>(0, rows * dimension)?;
    let alive = deleted(folder, rows)?.map(|deleted| {
        let mut alive = RowSet::all(rows);
        alive.remove_all(&deleted);
        alive
    });
    Ok(Box::new(Opened { about, vectors, alive, kind }))
}

/// Deletes rows from the index of a folder, for those who open it from now on. Nothing is built.
pub fn delete_vectors(folder: &Path, rows: &RowSet) -> Result<(), IndexError> {
    let about = AboutVectors::open(folder)?;
    let mut all = deleted(folder, about.rows)?.unwrap_or_else(|| RowSet::none(about.rows));
    rows.iter().for_each(|row| all.insert(row));
    let (path, new) = (folder.join(DELETED_FILE), folder.join(".deleted.new"));
    let mut writer = FlatWriter::create(&new, DELETED_KIND, about.rows, about.dimension)?;
    writer.array(all.words())?;
    writer.finish()?;
    std::fs::rename(&new, &path).map_err(|source| crate::store::StoreError::Io { path, source }.into())
}

fn deleted(folder: &Path, rows: usize) -> Result<Option<RowSet>, IndexError> {
    let path = folder.join(DELETED_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let file = FlatFile::open(&path, DELETED_KIND, 1)?;
    if file.rows != rows {
        return Err(file.broken("it is about another number of rows"));
    }
    Ok(Some(RowSet::from_words(file.array::<u64>(0, rows.div_ceil(64))?.to_vec(), rows)))
}

impl VectorIndex for Opened {
    fn about(&self) -> &AboutVectors {
        &self.about
    }

    fn verify(&self) -> Result<(), IndexError> {
        self.vectors.verify()?;
        match &self.kind {
            Kind::Exact(codes) => codes.verify(),
            Kind::Graph(graph) => graph.verify(),
            Kind::Partitioned(lists) => lists.verify(),
        }
    }

    fn search(&self, queries: &[f32], k: usize, allowed: Option<&RowSet>) -> Result<Vec<Vec<Scored>>, IndexError> {
        let (rows, dimension) = (self.about.rows, self.about.dimension);
        if !queries.len().is_multiple_of(dimension) {
            return Err(IndexError::Dimension { expected: dimension, found: queries.len() });
        }
        if let Some(set) = allowed.filter(|set| set.rows() != rows) {
            return Err(IndexError::OtherRows { expected: rows, found: set.rows() });
        }
        let both = allowed.zip(self.alive.as_ref()).map(|(allowed, alive)| {
            let mut both = allowed.clone();
            both.keep_only(alive);
            both
        });
        let allowed = both.as_ref().or(allowed).or(self.alive.as_ref());
        let vectors: &[f32] = self.vectors.array(0, rows * dimension)?;
        match &self.kind {
            Kind::Exact(codes) => codes.search(queries, vectors, k, allowed),
            Kind::Graph(graph) => graph.search(queries, vectors, k, self.about.ef_search(), allowed),
            Kind::Partitioned(lists) => lists.search(queries, vectors, k, self.about.probing(), allowed),
        }
    }
}

#[cfg(test)]
mod tests;
