//! A navigable small-world graph over 8-bit codes, in a file that is mapped; the best by codes are scored exactly.
//!
//! The lowest layer is that of HNSW (Malkov and Yashunin, 2018). In place of its upper layers stand the centres of lists: a walk
//! begins in every list near the query at once, because the neighbours of a text among images lie in several places, and a
//! walk that begins in one of them does not find the others.
use std::path::Path;

use rayon::prelude::*;

use super::flat::{FileKind, FlatFile, FlatWriter};
use super::graph_build::EdgeBuilder;
use super::partitioned::{Coarse, ListBuffer, list_count};
use super::walk::{Edges, NOBODY, Walk};
use crate::index::IndexError;
use crate::model::nearest::codes::{QueryCodes, check_vectors};
use crate::model::nearest::scan::Candidate;
use crate::model::nearest::{
    CodedQuery, RowCodeBuffer, RowCodes, RowSet, Scored, dot, row_bytes, score_rows, top_k_of,
};

const FILE: &str = "graph.bin";
const KIND: FileKind = *b"hnsw";
const ARRAYS: usize = 7;
/// Edges that a node chooses; it has at most twice as many.
const M: usize = 16;
/// Lists in which a walk begins.
const ENTRIES: usize = 32;
/// Candidates by codes that are scored exactly, for each result.
const RESCORED: usize = 2;
/// Queries that share what a walk keeps in mind.
const QUERY_BLOCK: usize = 64;

/// A graph in a file.
#[derive(Debug)]
pub struct Graph {
    file: FlatFile,
    lists: usize,
    coarse: Coarse,
}

#[derive(Clone, Copy)]
struct Parts<'a> {
    /// Row of each node.
    rows: &'a [u32],
    codes: RowCodes<'a>,
    edges: Edges<'a>,
    /// `[lists, dimension]`.
    centres: &'a [f32],
    /// The node nearest to each centre.
    entries: &'a [u32],
}

impl Graph {
    /// Builds the graph of `[rows, dimension]` vectors into `folder`.
    pub fn build(folder: &Path, vectors: &[f32], dimension: usize) -> Result<(), IndexError> {
        let count = vectors.len() / dimension;
        let lists = ListBuffer::new(vectors, dimension, list_count(count));
        let parts = lists.parts();
        // Nodes are numbered list by list, so that neighbours lie near each other.
        let rows: Vec<u32> = parts.rows.iter().copied().filter(|row| *row != NOBODY).collect();
        let mut nodes = vec![0u32; count];
        (0u32..).zip(&rows).for_each(|(node, row)| nodes[*row as usize] = node);
        let vector = |row: u32| &vectors[row as usize * dimension..][..dimension];
        let coded = RowCodeBuffer::encode(count, dimension, |node| vector(rows[node]));
        let builder =
            EdgeBuilder { vectors, lists: parts, codes: coded.view(), nodes: &nodes, chosen: M, degree: 2 * M };
        let by_row = builder.edges();
        let nearest = |(centre, members): (&[f32], &[u32])| {
            let members = members.iter().filter(|row| **row != NOBODY);
            let scored = members.map(|row| Scored { row: nodes[*row as usize], score: dot(vector(*row), centre) });
            scored.min_by(Scored::order).map_or(0, |best| best.row)
        };
        let entries: Vec<u32> = parts.centres.chunks(dimension).zip(parts.members()).map(nearest).collect();
        let mut writer = FlatWriter::create(&folder.join(FILE), KIND, count, dimension)?;
        writer.array(&[entries.len() as u64])?;
        writer.array(&rows)?;
        writer.array(&coded.codes)?;
        writer.array(&coded.scale)?;
        for row in &rows {
            writer.append(&by_row[*row as usize * 2 * M..][..2 * M])?;
        }
        writer.end_array()?;
        writer.array(parts.centres)?;
        writer.array(&entries)?;
        Ok(writer.finish()?)
    }

    /// Opens the graph of a folder.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        let file = FlatFile::open(&folder.join(FILE), KIND, ARRAYS)?;
        let lists = file.array::<u64>(0, 1)?[0] as usize;
        if file.dimension == 0 || lists == 0 || lists > file.rows {
            return Err(file.broken("an impossible number of lists"));
        }
        let mut graph = Self { file, lists, coarse: Coarse::default() };
        let parts = graph.parts()?;
        let rows = graph.file.rows;
        let exist = |nodes: &[u32]| nodes.par_iter().all(|node| (*node as usize) < rows);
        let reachable = parts.edges.neighbours.par_iter().all(|node| *node == NOBODY || (*node as usize) < rows);
        if !exist(parts.rows) || !exist(parts.entries) || !reachable {
            return Err(graph.file.broken("nodes that do not exist"));
        }
        graph.coarse = Coarse::new(parts.centres, graph.file.dimension);
        Ok(graph)
    }

    pub fn rows(&self) -> usize {
        self.file.rows
    }

    pub fn dimension(&self) -> usize {
        self.file.dimension
    }

    /// Compares the content with its digest.
    pub fn verify(&self) -> Result<(), IndexError> {
        self.file.verify()
    }

    fn parts(&self) -> Result<Parts<'_>, IndexError> {
        let (file, count) = (&self.file, self.file.rows);
        let stride = row_bytes(file.dimension);
        Ok(Parts {
            rows: file.array(1, count)?,
            codes: RowCodes { codes: file.array(2, count * stride)?, scale: file.array(3, count)?, stride },
            edges: Edges { degree: 2 * M, neighbours: file.array(4, count * 2 * M)? },
            centres: file.array(5, self.lists * file.dimension)?,
            entries: file.array(6, self.lists)?,
        })
    }

    /// The `k` best of the allowed rows that a walk of `ef` meets; `vectors` `[rows, dimension]` give the scores.
    pub fn search(
        &self,
        queries: &[f32],
        vectors: &[f32],
        k: usize,
        ef: usize,
        allowed: Option<&RowSet>,
    ) -> Result<Vec<Vec<Scored>>, IndexError> {
        let dimension = self.dimension();
        check_vectors(queries, dimension)?;
        let parts = self.parts()?;
        let ef = ef.max(k);
        // Below this number it is cheaper to score every allowed row than to walk past the others.
        if let Some(set) = allowed.filter(|set| set.count() <= (2 * M * ef).min(self.rows() / 20)) {
            return Ok(top_k_of(queries, vectors, dimension, k, set));
        }
        let codes = QueryCodes::encode(queries, dimension);
        let probes = self.coarse.probes(queries, &codes, ENTRIES);
        let blocks = queries.par_chunks(QUERY_BLOCK * dimension).zip(probes.par_chunks(QUERY_BLOCK));
        let lists = blocks.flat_map_iter(|(queries, probes)| {
            let mut walk = Walk::new(self.rows());
            let list = |(query, probes): (&[f32], &Vec<Candidate>)| {
                let entries = probes.iter().map(|list| parts.entries[list.position as usize]);
                let may = |node: u32| allowed.is_none_or(|set| set.contains(parts.rows[node as usize] as usize));
                let found = walk.run(parts.codes, &mut CodedQuery::new(query), parts.edges, entries, ef, may);
                let best = found.into_iter().take(RESCORED * k);
                let rows: Vec<u32> = best.map(|step| parts.rows[step.node as usize]).collect();
                let mut scored = score_rows(query, vectors, &rows);
                scored.sort_unstable_by(Scored::order);
                scored.truncate(k);
                scored
            };
            queries.chunks_exact(dimension).zip(probes).map(list).collect::<Vec<_>>()
        });
        Ok(lists.collect())
    }
}
