//! A walk through a graph: from entries to ever better neighbours, with `ef` of them kept in mind.
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::model::nearest::{CodedQuery, RowCodes};

/// No neighbour.
pub const NOBODY: u32 = u32::MAX;

/// The edges of a graph.
#[derive(Debug, Clone, Copy)]
pub struct Edges<'a> {
    pub degree: usize,
    /// `[nodes][degree]`, `NOBODY` after the last.
    pub neighbours: &'a [u32],
}

/// A node with its score; the greater is the better, of equal scores the first node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    pub score: f32,
    pub node: u32,
}

/// What a walk keeps in mind; reused from query to query.
#[derive(Debug)]
pub struct Walk {
    seen: Vec<u64>,
    frontier: BinaryHeap<Step>,
    found: BinaryHeap<Reverse<Step>>,
    touched: Vec<u32>,
    fresh: Vec<u32>,
    scores: Vec<f32>,
}

impl Eq for Step {}

impl PartialOrd for Step {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Step {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.node.cmp(&self.node))
    }
}

impl<'a> Edges<'a> {
    fn of(&self, node: u32) -> &'a [u32] {
        let all = self.neighbours.get(node as usize * self.degree..(node as usize + 1) * self.degree);
        let all = all.unwrap_or_default();
        &all[..all.iter().position(|node| *node == NOBODY).unwrap_or(all.len())]
    }
}

impl Walk {
    /// For a graph of so many nodes.
    pub fn new(nodes: usize) -> Self {
        Self {
            seen: vec![0; nodes.div_ceil(64)],
            frontier: BinaryHeap::new(),
            found: BinaryHeap::new(),
            touched: Vec::new(),
            fresh: Vec::new(),
            scores: Vec::new(),
        }
    }

    /// The best `ef` allowed nodes that were met, best first.
    pub fn run(
        &mut self,
        codes: RowCodes<'_>,
        query: &mut CodedQuery,
        edges: Edges<'_>,
        entries: impl Iterator<Item = u32>,
        ef: usize,
        allowed: impl Fn(u32) -> bool,
    ) -> Vec<Step> {
        self.forget();
        self.fresh.clear();
        for node in entries {
            self.meet(node);
        }
        self.score(codes, query, ef, &allowed);
        while let Some(step) = self.frontier.pop() {
            if self.found.len() >= ef && self.found.peek().is_some_and(|worst| step < worst.0) {
                break;
            }
            self.fresh.clear();
            for node in edges.of(step.node) {
                self.meet(*node);
            }
            self.score(codes, query, ef, &allowed);
        }
        let mut found: Vec<Step> = self.found.drain().map(|step| step.0).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found
    }

    fn meet(&mut self, node: u32) {
        let Some(word) = self.seen.get_mut(node as usize / 64) else { return };
        if *word >> (node % 64) & 1 == 0 {
            *word |= 1 << (node % 64);
            self.touched.push(node);
            self.fresh.push(node);
        }
    }

    fn score(&mut self, codes: RowCodes<'_>, query: &mut CodedQuery, ef: usize, allowed: impl Fn(u32) -> bool) {
        codes.scores(query, &self.fresh, &mut self.scores);
        for (node, score) in self.fresh.iter().zip(&self.scores) {
            let step = Step { score: *score, node: *node };
            let full = self.found.len() >= ef;
            if full && self.found.peek().is_some_and(|worst| step < worst.0) {
                continue;
            }
            self.frontier.push(step);
            if allowed(*node) {
                self.found.push(Reverse(step));
                if full {
                    self.found.pop();
                }
            }
        }
    }

    fn forget(&mut self) {
        self.touched.iter().for_each(|node| self.seen[*node as usize / 64] = 0);
        self.touched.clear();
        self.frontier.clear();
        self.found.clear();
    }
}
