//! The YAML of `kind: ingest`.
use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::normalize_text::TextNormalization;
use super::parquet_dataset::ParquetColumns;
use crate::data::Split;

/// Reads one data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IngestSpec {
    /// Where the data come from.
    pub source: SourceSpec,
    /// How rows without a split of their own are divided; without it they are training data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitSpec>,
    /// Spellings that are made equal in every text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub normalize_text: Vec<TextNormalization>,
    /// Conditions in SQL; rows that do not meet them are left out and counted.
    #[serde(default, rename = "where", skip_serializing_if = "WhereSpec::is_empty")]
    pub conditions: WhereSpec,
    /// What becomes of an image whose bytes an earlier one of the same split has.
    #[serde(default, skip_serializing_if = "is_default")]
    pub identical_images: IdenticalImages,
    /// How far an image is checked.
    #[serde(default, skip_serializing_if = "is_default")]
    pub decode: DecodeCheck,
    /// Largest fraction of rows that may go to quarantine, in 0..=1.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_quarantine: f64,
}

/// A source by format. `root` is a folder or `s3://…`, `gs://…`, `az://…`; a relative path starts at the pipeline file. Text
/// files and tar shards may be compressed: `.gz` and `.zst` are found by themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "format", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SourceSpec {
    /// The layout of MUGE, Flickr30k-CN and COCO-CN: `{split}_imgs.tsv` with base64 images, `{split}_texts.jsonl`.
    ChineseClip {
        root: String,
        /// Splits to read.
        #[serde(default = "all_splits")]
        splits: Vec<Split>,
    },
    /// The first release of MUGE: `{split}_imgs.tsv`, `{split}_queries.jsonl`.
    #[serde(rename = "muge-2021")]
    Muge {
        root: String,
        /// Splits to read.
        #[serde(default = "all_splits")]
        splits: Vec<Split>,
    },
    /// What the reference's `build_lmdb_dataset.py` wrote: `{split}/imgs` and `{split}/pairs`.
    ChineseClipLmdb {
        root: String,
        /// Splits to read.
        #[serde(default = "all_splits")]
        splits: Vec<Split>,
    },
    /// The original release of Flickr30k-CN: caption files with lines `id#0 caption`.
    #[serde(rename = "flickr30k-cn")]
    Flickr30kCn {
        root: String,
        /// Folder of the pictures below `root`, each `<id>.jpg`.
        #[serde(default = "images_folder")]
        images: String,
        /// Caption file below `root` by split.
        captions: BTreeMap<Split, String>,
    },
    /// Image files and one file of captions.
    Folder {
        root: String,
        /// Captions as `.csv`, `.jsonl` or `.parquet` below `root`, with `image` and `text`, and optionally `text_id`,
        /// `split` and `family`.
        captions: String,
    },
    /// Tar shards of WebDataset; a shard called `train…`, `valid…` or `test…` is of that split.
    Webdataset { root: String },
    /// Parquet as the Hugging Face hub keeps it; a file called `train…`, `validation…` or `test…` is of that split.
    Parquet {
        root: String,
        /// Names of columns, where they are not the usual ones.
        #[serde(default)]
        columns: ParquetColumns,
    },
}

/// Fractions of groups that become validation and test data; the rest is for training. A group falls to a split by a
/// stable hash, never by chance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitSpec {
    #[schemars(range(min = 0.0, max = 1.0))]
    pub valid: f64,
    #[schemars(range(min = 0.0, max = 1.0))]
    pub test: f64,
    /// What keeps images in one group; a family always does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_by: Vec<GroupBy>,
}

/// A reason why two images must not fall into different splits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GroupBy {
    /// The same bytes.
    Digest,
    /// Perceptual hashes that differ in at most three bits.
    NearDuplicate,
    /// The same caption but for case, width, quotes, punctuation and white space.
    Caption,
}

/// SQL conditions by table; their columns are those of `schemas/tables/`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WhereSpec {
    /// Over `images`, e.g. `width >= 64 AND height >= 64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<String>,
    /// Over `texts`, e.g. `tokens <= 52 AND text NOT LIKE '%测试%'`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub texts: Option<String>,
}

/// What becomes of an image whose bytes an earlier one of the same split has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IdenticalImages {
    /// It stays.
    #[default]
    Keep,
    /// It goes, and its texts belong to the earlier one.
    Merge,
}

/// How far an image is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DecodeCheck {
    /// Every pixel is decoded: no later stage meets a damaged image.
    #[default]
    Full,
    /// Format and size only, many times faster; there is no perceptual hash, and a damaged image stops a later stage.
    Header,
}

impl SourceSpec {
    /// The source's folder or URL.
    pub fn root(&self) -> &str {
        match self {
            Self::ChineseClip { root, .. }
            | Self::Muge { root, .. }
            | Self::ChineseClipLmdb { root, .. }
            | Self::Flickr30kCn { root, .. }
            | Self::Folder { root, .. }
            | Self::Webdataset { root }
            | Self::Parquet { root, .. } => root,
        }
    }

    /// Makes a relative path start at `folder`.
    pub fn resolve_root(&mut self, folder: &Path) {
        let (Self::ChineseClip { root, .. }
        | Self::Muge { root, .. }
        | Self::ChineseClipLmdb { root, .. }
        | Self::Flickr30kCn { root, .. }
        | Self::Folder { root, .. }
        | Self::Webdataset { root }
        | Self::Parquet { root, .. }) = self;
        if !root.contains("://") {
            *root = folder.join(&*root).to_string_lossy().into_owned();
        }
    }

    /// The splits that the format names; `None` where rows name their own.
    pub fn splits(&self) -> Option<Vec<Split>> {
        match self {
            Self::ChineseClip { splits, .. } | Self::Muge { splits, .. } | Self::ChineseClipLmdb { splits, .. } => {
                Some(splits.clone())
            }
            Self::Flickr30kCn { captions, .. } => Some(captions.keys().copied().collect()),
            Self::Folder { .. } | Self::Webdataset { .. } | Self::Parquet { .. } => None,
        }
    }
}

impl WhereSpec {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn all_splits() -> Vec<Split> {
    Split::ALL.to_vec()
}

fn images_folder() -> String {
    "images".to_owned()
}
