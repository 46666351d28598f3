//! The YAML of `kind: ingest`.
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::Split;

/// Reads one data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IngestSpec {
    /// Where the data come from.
    pub source: SourceSpec,
    /// How rows without a split of their own are divided; only for `format: folder`.
    #[serde(default)]
    pub split: Option<SplitSpec>,
    /// Largest fraction of rows that may go to quarantine, in 0..=1.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_quarantine: f64,
}

/// A source by format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "format", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SourceSpec {
    /// The layout of MUGE and Flickr30k-CN: `{split}_imgs.tsv` with base64 images, `{split}_texts.jsonl`.
    ChineseClip {
        /// Folder of the files; a relative path starts at the pipeline file.
        root: PathBuf,
        /// Splits to read.
        #[serde(default = "all_splits")]
        splits: Vec<Split>,
    },
    /// Image files and one file of captions.
    Folder {
        /// Folder of the files; a relative path starts at the pipeline file.
        root: PathBuf,
        /// Captions as `.csv` or `.jsonl` below `root`, with `image` and `text`, and optionally `split` and `family`.
        captions: PathBuf,
    },
}

/// Fractions of groups that become validation and test data; the rest is for training. A group is a `family`, or an
/// image where no family is given; it falls to a split by a stable hash, never by chance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitSpec {
    #[schemars(range(min = 0.0, max = 1.0))]
    pub valid: f64,
    #[schemars(range(min = 0.0, max = 1.0))]
    pub test: f64,
}

impl SourceSpec {
    /// The source's folder.
    pub fn root(&self) -> &Path {
        match self {
            Self::ChineseClip { root, .. } | Self::Folder { root, .. } => root,
        }
    }

    /// Replaces the folder, e.g. by one that does not depend on the working directory.
    pub fn set_root(&mut self, path: PathBuf) {
        match self {
            Self::ChineseClip { root, .. } | Self::Folder { root, .. } => *root = path,
        }
    }
}

fn all_splits() -> Vec<Split> {
    Split::ALL.to_vec()
}
