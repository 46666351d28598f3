//! An inverted file: vectors in lists around centres, 8-bit codes in the lists, the best by codes scored exactly.
//!
//! Jégou, Douze and Schmid, Product Quantization for Nearest Neighbor Search (2011) has the lists; the codes are plain 8-bit
//! numbers of the difference from the list's centre, so that a batch of queries meets a list as one integer matrix product.
use std::path::Path;

use rayon::prelude::*;

use super::flat::{FileKind, FlatFile, FlatWriter};
use super::kmeans;
use crate::index::IndexError;
use crate::model::nearest::codes::{CodeBuffer, CodePanels, QueryCodes, check_vectors, mean, panel_bytes};
use crate::model::nearest::scan::{Bounds, Candidate, Collector, Sweep};
use crate::model::nearest::{RowSet, Scored, best_by_codes, dot, score_rows, top_k_of};

const FILE: &str = "lists.bin";
const KIND: FileKind = *b"list";
const ARRAYS: usize = 8;
const LANES: usize = 32;
/// Queries that go through the lists together.
const QUERY_BLOCK: usize = 4_096;
/// Rows whose codes are compared in the time in which one row is scored.
const SCORED_COST: usize = 8;
/// No document stands here.
const NOBODY: u32 = u32::MAX;

/// Lists in a file, vectors beside them.
#[derive(Debug)]
pub struct Lists {
    file: FlatFile,
    lists: usize,
    panels: usize,
    coarse: Coarse,
}

/// Lists in memory.
#[derive(Debug)]
pub struct ListBuffer {
    dimension: usize,
    centres: Vec<f32>,
    first: Vec<u32>,
    rows: Vec<u32>,
    codes: CodeBuffer,
}

/// What lists are made of.
#[derive(Debug, Clone, Copy)]
pub struct ListParts<'a> {
    pub dimension: usize,
    /// `[lists, dimension]`.
    pub centres: &'a [f32],
    /// First panel of every list, and the end of the last: `[lists + 1]`.
    pub first: &'a [u32],
    /// Row of each place in the panels, `NOBODY` where there is none.
    pub rows: &'a [u32],
    codes: CodePanels<'a>,
}

/// The centres of lists as codes.
#[derive(Debug, Default)]
pub struct Coarse {
    codes: CodeBuffer,
    middle: Vec<f32>,
    lists: usize,
}

/// How far a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probing {
    /// Lists that are searched.
    pub nprobe: usize,
    /// Candidates by codes that are scored exactly, for each result.
    pub rescored: usize,
}

impl Default for Probing {
    fn default() -> Self {
        Self { nprobe: 1, rescored: 2 }
    }
}

/// Number of lists for so many rows.
pub fn list_count(rows: usize) -> usize {
    let wanted = 4 * (rows as f64).sqrt() as usize;
    wanted.next_multiple_of(LANES).min(rows.div_ceil(LANES)).max(1)
}

impl ListBuffer {
    /// Puts `[rows, dimension]` vectors into lists.
    pub fn new(vectors: &[f32], dimension: usize, lists: usize) -> Self {
        let centres = kmeans::centres(vectors, dimension, lists);
        let members = kmeans::members(&kmeans::assign(vectors, &centres, dimension), lists);
        let mut first = vec![0u32];
        let mut rows = Vec::new();
        let mut groups = Vec::new();
        for (list, members) in members.iter().enumerate() {
            for group in members.chunks(LANES) {
                rows.extend((0..LANES).map(|lane| group.get(lane).copied().unwrap_or(NOBODY)));
                groups.push((list, group));
            }
            first.push(groups.len() as u32);
        }
        let mut codes = CodeBuffer::new(groups.len(), dimension);
        codes.slots(dimension).zip(&groups).for_each(|(mut slot, (list, group))| {
            let centre = &centres[list * dimension..][..dimension];
            for (lane, row) in group.iter().enumerate() {
                slot.set(lane, &vectors[*row as usize * dimension..][..dimension], centre);
            }
        });
        Self { dimension, centres, first, rows, codes }
    }

    pub fn parts(&self) -> ListParts<'_> {
        let Self { dimension, centres, first, rows, codes } = self;
        ListParts { dimension: *dimension, centres, first, rows, codes: codes.view() }
    }
}

impl Coarse {
    pub fn new(centres: &[f32], dimension: usize) -> Self {
        let middle = mean(centres, dimension);
        Self { codes: CodeBuffer::encode(centres, &middle), middle, lists: centres.len() / dimension }
    }

    /// The `nprobe` lists nearest to every query.
    pub fn probes(&self, queries: &[f32], codes: &QueryCodes, nprobe: usize) -> Vec<Vec<Candidate>> {
        best_by_codes(queries, codes, self.codes.view(), self.lists, &self.middle, nprobe.clamp(1, self.lists))
    }
}

impl Lists {
    /// Builds the lists of `[rows, dimension]` vectors into `folder`.
    pub fn build(folder: &Path, vectors: &[f32], dimension: usize, lists: usize) -> Result<(), IndexError> {
        let buffer = ListBuffer::new(vectors, dimension, lists);
        let mut writer = FlatWriter::create(&folder.join(FILE), KIND, vectors.len() / dimension, dimension)?;
        writer.array(&[lists as u64, buffer.codes.start.len() as u64])?;
        writer.array(&buffer.centres)?;
        writer.array(&buffer.first)?;
        writer.array(&buffer.rows)?;
        writer.array(&buffer.codes.codes)?;
        writer.array(bytemuck::cast_slice::<_, i32>(&buffer.codes.start))?;
        writer.array(bytemuck::cast_slice::<_, f32>(&buffer.codes.scale))?;
        writer.array(bytemuck::cast_slice::<_, f32>(&buffer.codes.bounds))?;
        Ok(writer.finish()?)
    }

    /// Opens the lists of a folder.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        let file = FlatFile::open(&folder.join(FILE), KIND, ARRAYS)?;
        let counts = file.array::<u64>(0, 2)?;
        let (lists, panels) = (counts[0] as usize, counts[1] as usize);
        if file.dimension == 0 || lists == 0 || lists > file.rows.max(1) || panels > file.rows + lists {
            return Err(file.broken("impossible numbers of lists and panels"));
        }
        let mut opened = Self { file, lists, panels, coarse: Coarse::default() };
        let parts = opened.parts()?;
        let ascending = parts.first.is_sorted() && parts.first.first() == Some(&0);
        if !ascending || parts.first.last() != Some(&(panels as u32)) {
            return Err(opened.file.broken("lists that do not follow each other"));
        }
        if parts.rows.iter().any(|row| *row != NOBODY && *row as usize >= opened.file.rows) {
            return Err(opened.file.broken("rows that do not exist"));
        }
        opened.coarse = Coarse::new(parts.centres, opened.file.dimension);
        Ok(opened)
    }

    /// Compares the content with its digest.
    pub fn verify(&self) -> Result<(), IndexError> {
        self.file.verify()
    }

    pub fn rows(&self) -> usize {
        self.file.rows
    }

    pub fn dimension(&self) -> usize {
        self.file.dimension
    }

    pub fn lists(&self) -> usize {
        self.lists
    }

    fn parts(&self) -> Result<ListParts<'_>, IndexError> {
        let (file, dimension) = (&self.file, self.file.dimension);
        let codes = CodePanels {
            codes: file.array(4, self.panels * panel_bytes(dimension))?,
            start: file.array::<i32>(5, self.panels * LANES)?.as_chunks().0,
            scale: file.array::<f32>(6, self.panels * LANES)?.as_chunks().0,
            bounds: file.array::<f32>(7, self.panels * 2)?.as_chunks().0,
        };
        Ok(ListParts {
            dimension,
            centres: file.array(1, self.lists * dimension)?,
            first: file.array(2, self.lists + 1)?,
            rows: file.array(3, self.panels * LANES)?,
            codes,
        })
    }

    /// The `k` best of the allowed rows that stand in the nearest lists; `vectors` `[rows, dimension]` give the scores.
    pub fn search(
        &self,
        queries: &[f32],
        vectors: &[f32],
        k: usize,
        probing: Probing,
        allowed: Option<&RowSet>,
    ) -> Result<Vec<Vec<Scored>>, IndexError> {
        let dimension = self.dimension();
        check_vectors(queries, dimension)?;
        let parts = self.parts()?;
        let mut probing = probing;
        if let Some(set) = allowed {
            // The fewer rows may be found, the more lists hold enough of them.
            let (count, rows) = (set.count().max(1), self.rows());
            if count <= probing.nprobe * rows / self.lists / SCORED_COST {
                return Ok(top_k_of(queries, vectors, dimension, k, set));
            }
            probing.nprobe = (probing.nprobe * rows / count).min(self.lists);
        }
        let codes = QueryCodes::encode(queries, dimension);
        let probes = self.coarse.probes(queries, &codes, probing.nprobe);
        let candidates = parts.candidates(queries, &codes, k * probing.rescored, |query| &probes[query], allowed);
        let queries = queries.par_chunks_exact(dimension);
        let lists = queries.zip(candidates).map(|(query, candidates)| {
            let rows: Vec<u32> = candidates.into_iter().map(|candidate| candidate.position).collect();
            let mut scored = score_rows(query, vectors, &rows);
            scored.sort_unstable_by(Scored::order);
            scored.truncate(k);
            scored
        });
        Ok(lists.collect())
    }
}

impl<'a> ListParts<'a> {
    /// Places of each list, `NOBODY` among them.
    pub fn members(&self) -> impl Iterator<Item = &'a [u32]> {
        let rows = self.rows;
        self.first.windows(2).map(move |ends| &rows[ends[0] as usize * LANES..ends[1] as usize * LANES])
    }

    /// The `count` rows that are best by codes in the lists that each query probes, nearest list first; with their scores,
    /// best first, ties beyond `count` included; `position` is the row.
    pub fn candidates<'p>(
        &self,
        queries: &[f32],
        codes: &QueryCodes,
        count: usize,
        probes: impl Fn(usize) -> &'p [Candidate] + Sync,
        allowed: Option<&RowSet>,
    ) -> Vec<Vec<Candidate>> {
        let (parts, dimension) = (*self, self.dimension);
        let total = codes.scale.len();
        let block = total.div_ceil(rayon::current_num_threads()).clamp(1, QUERY_BLOCK);
        let firsts: Vec<usize> = (0..total).step_by(block).collect();
        let found = firsts.into_par_iter().flat_map_iter(|first| {
            let last = (first + block).min(total);
            let mut collectors: Vec<Collector> = (first..last).map(|_| Collector::new(count)).collect();
            // The nearest list of every query first: the others then meet a threshold.
            for ranks in [0..1, 1..usize::MAX] {
                let mut visits: Vec<(u32, u32)> = Vec::new();
                for query in first..last {
                    let lists = probes(query).iter().take(ranks.end).skip(ranks.start);
                    visits.extend(lists.map(|list| (list.position, query as u32)));
                }
                visits.sort_unstable();
                for group in visits.chunk_by(|a, b| a.0 == b.0) {
                    let list = group[0].0 as usize;
                    let centre = &parts.centres[list * dimension..][..dimension];
                    let chosen = group.iter().map(|(_, query)| {
                        let query = *query as usize;
                        (query, f64::from(dot(&queries[query * dimension..][..dimension], centre)))
                    });
                    let mut sweep = Sweep::new(codes, dimension, chosen, first, Bounds::Ignored);
                    let range = parts.first[list] as usize..parts.first[list + 1] as usize;
                    sweep.run(parts.codes, range, |panel| mask(parts.rows, panel, allowed), &mut collectors);
                }
            }
            collectors.into_iter().map(move |collector| {
                let row =
                    |candidate: Candidate| Candidate { position: parts.rows[candidate.position as usize], ..candidate };
                collector.finish().into_iter().map(row).collect::<Vec<_>>()
            })
        });
        found.collect()
    }
}

/// Bits of the documents of a panel that may be found.
fn mask(rows: &[u32], panel: usize, allowed: Option<&RowSet>) -> u32 {
    let rows = &rows[panel * LANES..][..LANES];
    let may = |row: u32| row != NOBODY && allowed.is_none_or(|set| set.contains(row as usize));
    rows.iter().enumerate().fold(0, |bits, (lane, row)| bits | u32::from(may(*row)) << lane)
}
