//! What a vector index says of itself, in `vectors.json`.
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::partitioned::Probing;
use crate::index::{IndexError, VectorIndexKind};
use crate::store::{StoreError, write_whole};

const FILE: &str = "vectors.json";
/// Version of the folder.
const VERSION: u32 = 1;

/// What was built, why, and how well it finds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AboutVectors {
    pub version: u32,
    /// Never `auto`.
    pub kind: VectorIndexKind,
    /// Why this kind.
    pub reason: String,
    pub rows: usize,
    pub dimension: usize,
    /// How far a search goes; chosen at build time, none for an exact index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
    /// Measured against exact search at build time; none for an exact index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recall: Option<Recall>,
}

/// How far a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// Lists that are searched.
    Nprobe(usize),
    /// Candidates that a walk through the graph keeps.
    EfSearch(usize),
}

/// The part of the true best ten that was found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Recall {
    /// A fraction in 0..=1.
    pub at_10: f64,
    pub queries: usize,
    pub source: RecallSource,
}

/// Where the queries came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecallSource {
    /// Vectors of the other modality, as real queries are.
    Queries,
    /// Rows of the index itself, which are easier to find.
    Rows,
}

impl AboutVectors {
    pub(super) fn new(kind: VectorIndexKind, reason: String, rows: usize, dimension: usize) -> Self {
        Self { version: VERSION, kind, reason, rows, dimension, effort: None, recall: None }
    }

    pub(super) fn probing(&self) -> Probing {
        let nprobe = match self.effort {
            Some(Effort::Nprobe(lists)) => lists,
            _ => 1,
        };
        Probing { nprobe, ..Probing::default() }
    }

    pub(super) fn ef_search(&self) -> usize {
        match self.effort {
            Some(Effort::EfSearch(ef)) => ef,
            _ => 1,
        }
    }

    pub(super) fn save(&self, folder: &Path) -> Result<(), IndexError> {
        let path = folder.join(FILE);
        let broken = |error: serde_json::Error| IndexError::Broken { path: path.clone(), reason: error.to_string() };
        let json = serde_json::to_vec_pretty(self).map_err(broken)?;
        Ok(write_whole(&path, &json)?)
    }

    pub(super) fn open(folder: &Path) -> Result<Self, IndexError> {
        let path = folder.join(FILE);
        let json = std::fs::read(&path).map_err(StoreError::io(&path))?;
        let parsed: Result<Self, String> = serde_json::from_slice(&json).map_err(|error| error.to_string());
        let checked = parsed.and_then(|about| match about.version {
            VERSION => Ok(about),
            other => Err(format!("version {other}, expected {VERSION}")),
        });
        checked.map_err(|reason| IndexError::Broken { path, reason })
    }
}
