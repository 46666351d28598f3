//! Scaled dot-product attention, one task for each head of each item.
use rayon::prelude::*;

use super::elementwise::softmax;
use super::kernel::{Lane, TILE_COLUMNS, TILE_ROWS, Tile, tile_f32, vectorized};

/// The reference adds this to the scores of padded positions.
const MASKED_SCORE: f32 = -10_000.0;

/// The shape of self-attention over a ragged batch.
#[derive(Debug)]
pub(super) struct SelfAttention<'a> {
    /// Tokens of each item, in order.
    pub lengths: &'a [usize],
    pub heads: usize,
    /// How many tokens of each item ask; all answer. 1 where only the first token's result is used.
    pub queries: usize,
    /// Token ids over all items, where zeros inside an item are to be masked.
    pub tokens: Option<&'a [u32]>,
}

/// One head of one item.
struct Task<'a> {
    /// Query, key and value of the item, `[length, 3 width]`.
    qkv: &'a [f32],
    tokens: Option<&'a [u32]>,
    head: usize,
    /// The head's columns of the item's output rows.
    rows: Vec<&'a mut [f32]>,
}

impl SelfAttention<'_> {
    /// Rows that [`Self::run`] writes.
    pub(super) fn output_rows(&self) -> usize {
        self.lengths.iter().map(|length| self.queries.min(*length)).sum()
    }

    /// `qkv` `[tokens, 3 width]` to `out` `[output rows, width]`.
    pub(super) fn run(&self, qkv: &[f32], width: usize, out: &mut [f32]) {
        let head_width = width / self.heads;
        let mut tasks = Vec::with_capacity(self.lengths.len() * self.heads);
        let (mut start, mut rows) = (0, out.chunks_mut(width));
        for length in self.lengths {
            let item = &qkv[start * 3 * width..][..length * 3 * width];
            let tokens = self.tokens.map(|tokens| &tokens[start..][..*length]);
            let first = tasks.len();
            tasks.extend((0..self.heads).map(|head| Task { qkv: item, tokens, head, rows: Vec::new() }));
            for row in rows.by_ref().take(self.queries.min(*length)) {
                tasks[first..].iter_mut().zip(row.chunks_mut(head_width)).for_each(|(task, part)| task.rows.push(part));
            }
            start += length;
        }
        tasks.into_par_iter().for_each(|task| task.run(width, head_width));
    }
}

impl Task<'_> {
    fn run(mut self, width: usize, head_width: usize) {
        let length = self.qkv.len() / (3 * width);
        let keys = self.key_panels(width, head_width, length);
        let values = self.value_panels(width, head_width, length);
        let padded = length.next_multiple_of(TILE_COLUMNS);
        let scale = (head_width as f32).powf(-0.5);
        let mut scores = vec![0.0; TILE_ROWS * padded];
        let mut tile: Tile = [[0.0; TILE_COLUMNS]; TILE_ROWS];
        for (block, rows) in self.rows.chunks_mut(TILE_ROWS).enumerate() {
            let queries = &self.qkv[block * TILE_ROWS * 3 * width + self.head * head_width..];
            for (panel, keys) in keys.chunks(2 * head_width).enumerate() {
                tile_f32(queries, 3 * width, rows.len(), head_width, keys, &mut tile);
                for (row, sums) in tile.iter().take(rows.len()).enumerate() {
                    scores[row * padded + panel * TILE_COLUMNS..][..TILE_COLUMNS].copy_from_slice(sums);
                }
            }
            for scores in scores.chunks_mut(padded).take(rows.len()) {
                let scores = &mut scores[..length];
                if let Some(tokens) = self.tokens {
                    let masked = scores.iter_mut().zip(tokens).filter(|(_, token)| **token == 0);
                    masked.for_each(|(score, _)| *score += MASKED_SCORE / scale);
                }
                vectorized(|| softmax(scores, scale));
            }
            for (panel, values) in values.chunks(2 * length).enumerate() {
                tile_f32(&scores, padded, rows.len(), length, values, &mut tile);
                for (out, sums) in rows.iter_mut().zip(&tile) {
                    let out = &mut out[panel * TILE_COLUMNS..];
                    let count = out.len().min(TILE_COLUMNS);
                    out[..count].copy_from_slice(&sums[..count]);
                }
            }
        }
    }

    /// Keys transposed: for each 32 tokens `[head width][2]` lanes.
    fn key_panels(&self, width: usize, head_width: usize, length: usize) -> Vec<Lane> {
        let mut panels = vec![Lane([0.0; 16]); length.div_ceil(TILE_COLUMNS) * 2 * head_width];
        for token in 0..length {
            let key = &self.qkv[token * 3 * width + width + self.head * head_width..][..head_width];
            let panel = &mut panels[token / TILE_COLUMNS * 2 * head_width..][..2 * head_width];
            let (half, lane) = (token % TILE_COLUMNS / 16, token % 16);
            panel.iter_mut().skip(half).step_by(2).zip(key).for_each(|(out, x)| out.0[lane] = *x);
        }
        panels
    }

    /// Values: for each 32 columns `[tokens][2]` lanes.
    fn value_panels(&self, width: usize, head_width: usize, length: usize) -> Vec<Lane> {
        let mut panels = vec![Lane([0.0; 16]); head_width.div_ceil(TILE_COLUMNS) * 2 * length];
        for token in 0..length {
            let value = &self.qkv[token * 3 * width + 2 * width + self.head * head_width..][..head_width];
            for (lane, part) in value.chunks(16).enumerate() {
                let at = lane / 2 * 2 * length + 2 * token + lane % 2;
                panels[at].0[..part.len()].copy_from_slice(part);
            }
        }
        panels
    }
}
