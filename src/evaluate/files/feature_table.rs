//! Parts of a feature file as one table.
use std::collections::HashMap;
use std::path::Path;

use super::feature_block::{Parsed, check_length};
use super::{Features, FileError};

/// Parts that become one table.
#[derive(Default)]
pub struct FeatureTable {
    /// Of the file, if it has a length.
    bytes: u64,
    /// The line of every id.
    lines: Vec<u64>,
    ids: Vec<String>,
    vectors: Vec<f32>,
    dimension: usize,
    /// Line and dimension of the first part that has another dimension.
    odd: Option<(u64, usize)>,
    /// Lines of the parts so far.
    before: u64,
}

impl FeatureTable {
    /// No part of a file yet.
    pub fn of(path: &Path) -> Self {
        Self { bytes: std::fs::metadata(path).map_or(0, |file| file.len()), ..Self::default() }
    }

    pub fn append(&mut self, part: Parsed) {
        if let Some((line, _)) = part.rows.first() {
            if self.dimension == 0 {
                self.dimension = part.dimension;
                // As much as the first part foretells: a table that grows is copied, and untouched room costs nothing.
                let parts = self.bytes / part.bytes.max(1) + 1;
                self.vectors.reserve(part.vectors.len() * parts as usize);
            }
            if part.dimension != self.dimension && self.odd.is_none() {
                self.odd = Some((1 + self.before + line, part.dimension));
            }
        }
        for (line, id) in part.rows {
            self.lines.push(1 + self.before + line);
            self.ids.push(id);
        }
        self.before += part.lines;
        self.vectors.extend_from_slice(&part.vectors);
    }

    pub fn finish(self, path: &Path) -> Result<Features, FileError> {
        if self.dimension == 0 {
            return Err(FileError::Empty { path: path.to_owned() });
        }
        if let Some((line, dimension)) = self.odd {
            check_length(path, line, dimension, self.dimension)?;
        }
        every_id_once(path, &self.ids, &self.lines)?;
        Ok(Features { ids: self.ids, vectors: self.vectors, dimension: self.dimension })
    }
}

fn every_id_once(path: &Path, ids: &[String], lines: &[u64]) -> Result<(), FileError> {
    let mut first = HashMap::with_capacity(ids.len());
    for (id, line) in ids.iter().zip(lines) {
        if let Some(before) = first.insert(id.as_str(), line) {
            let reason = format!("id `{id}` stands in line {before} too; keep one of the two");
            return Err(FileError::line(path, *line, reason));
        }
    }
    Ok(())
}
