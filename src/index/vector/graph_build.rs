//! The edges of a graph: candidates from the nearest lists, thinned to different directions, then made mutual.
//!
//! Malkov and Yashunin (HNSW, 2018) find the candidates of a node by walking through the graph so far. Here a whole list of
//! nodes meets the lists around it as one integer matrix product, which costs a tenth and does not depend on an order; the
//! choice among the candidates is their heuristic (algorithm 4).
use rayon::prelude::*;

use super::partitioned::{Coarse, ListParts};
use super::walk::{NOBODY, Step};
use crate::model::nearest::codes::QueryCodes;
use crate::model::nearest::scan::Candidate;
use crate::model::nearest::{CodedQuery, RowCodes};

/// Candidates of a node.
const CANDIDATES: usize = 64;
/// Lists that a node's candidates come from.
const NEAR_LISTS: usize = 16;
/// Nodes that are in work at a time.
const BLOCK_NODES: usize = 8_192;
/// Candidates, own and mutual, among which a node's edges are chosen in the end.
const MOST_CANDIDATES: usize = 128;

/// Makes the edges of a graph.
#[derive(Debug, Clone, Copy)]
pub struct EdgeBuilder<'a> {
    pub vectors: &'a [f32],
    pub lists: ListParts<'a>,
    pub codes: RowCodes<'a>,
    /// For each vector its node, the number of its codes.
    pub nodes: &'a [u32],
    /// Edges that a node chooses.
    pub chosen: usize,
    /// Edges that it has in the end, at most.
    pub degree: usize,
}

impl EdgeBuilder<'_> {
    /// `[vectors][degree]` nodes, `NOBODY` after the last; in the order of the vectors.
    pub fn edges(&self) -> Vec<u32> {
        let count = self.nodes.len();
        let mut own: Vec<Vec<Step>> = vec![Vec::new(); count];
        let coarse = Coarse::new(self.lists.centres, self.lists.dimension);
        let centres = QueryCodes::encode(self.lists.centres, self.lists.dimension);
        let near = coarse.probes(self.lists.centres, &centres, NEAR_LISTS);
        let members: Vec<&[u32]> = self.lists.members().collect();
        let mut list = 0;
        while list < members.len() {
            let mut block = Vec::new();
            while list < members.len() && (block.is_empty() || block.len() + members[list].len() <= BLOCK_NODES) {
                block.extend(members[list].iter().filter(|row| **row != NOBODY).map(|row| (*row, list)));
                list += 1;
            }
            for (row, edges) in self.choose_block(&block, &near) {
                own[row as usize] = edges;
            }
        }
        self.make_mutual(&own)
    }

    /// Rows of a block with their edges; scores, best first, in numbers of rows.
    fn choose_block(&self, block: &[(u32, usize)], near: &[Vec<Candidate>]) -> Vec<(u32, Vec<Step>)> {
        let dimension = self.lists.dimension;
        let vector = |row: u32| &self.vectors[row as usize * dimension..][..dimension];
        let queries: Vec<f32> = block.iter().flat_map(|(row, _)| vector(*row).iter().copied()).collect();
        let codes = QueryCodes::encode(&queries, dimension);
        let found = self.lists.candidates(&queries, &codes, CANDIDATES + 1, |query| &near[block[query].1], None);
        let chosen = block.par_iter().zip(found).map(|((row, _), candidates)| {
            let others = candidates.into_iter().filter(|candidate| candidate.position != *row).take(CANDIDATES);
            let steps = others.map(|candidate| Step { score: candidate.upper, node: candidate.position });
            (*row, self.choose(&steps.collect::<Vec<_>>(), self.chosen))
        });
        chosen.collect()
    }

    /// Of candidates, best first, those that are nearer to the node than to any chosen before.
    fn choose(&self, candidates: &[Step], most: usize) -> Vec<Step> {
        let mut chosen: Vec<Step> = Vec::with_capacity(most);
        let (mut nodes, mut scores, mut query) = (Vec::with_capacity(most), Vec::new(), CodedQuery::default());
        for candidate in candidates {
            if chosen.len() >= most {
                break;
            }
            let node = self.nodes[candidate.node as usize];
            query.take(self.codes, node);
            self.codes.scores(&mut query, &nodes, &mut scores);
            if scores.iter().all(|score| *score < candidate.score) {
                chosen.push(*candidate);
                nodes.push(node);
            }
        }
        chosen
    }

    /// Adds to every edge the one that leads back, and thins what has become too many.
    fn make_mutual(&self, own: &[Vec<Step>]) -> Vec<u32> {
        let mut back: Vec<Vec<Step>> = vec![Vec::new(); own.len()];
        for (row, edges) in (0u32..).zip(own) {
            for edge in edges {
                if let Some(list) = back.get_mut(edge.node as usize) {
                    list.push(Step { score: edge.score, node: row });
                }
            }
        }
        let mut edges = vec![NOBODY; own.len() * self.degree];
        edges.par_chunks_mut(self.degree).zip(own.par_iter().zip(back)).for_each(|(out, (own, mut all))| {
            all.extend_from_slice(own);
            all.sort_unstable_by(|a, b| b.node.cmp(&a.node).then(b.cmp(a)));
            all.dedup_by_key(|step| step.node);
            all.sort_unstable_by(|a, b| b.cmp(a));
            all.truncate(MOST_CANDIDATES);
            let kept = if all.len() > self.degree { self.choose(&all, self.degree) } else { all };
            out.iter_mut().zip(kept).for_each(|(out, step)| *out = self.nodes[step.node as usize]);
        });
        edges
    }
}
