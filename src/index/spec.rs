//! The YAML of `kind: index`.
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FusionSpec;

/// Builds a hybrid index over the images of an embedding stage with their captions, and over its texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexSpec {
    pub needs: IndexNeeds,
    /// Keyword side.
    #[serde(default)]
    pub text: TextIndexSpec,
    /// Vector side.
    #[serde(default)]
    pub vector: VectorIndexSpec,
    /// How the lists of both sides become one.
    #[serde(default)]
    pub fusion: FusionSpec,
    /// Whether texts can be found too, not only images.
    #[serde(default = "default_texts")]
    pub texts: bool,
}

fn default_texts() -> bool {
    true
}

/// Inputs of an index stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexNeeds {
    /// A stage of kind `embed`.
    pub embeddings: String,
    /// The model whose vectors are indexed and which encodes the queries; one of the embed stage's models.
    pub model: String,
}

/// How captions become terms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextIndexSpec {
    #[serde(default)]
    pub analyzer: AnalyzerKind,
    /// Words of the domain that jieba shall keep whole, one a line, then optionally frequency and tag; `#` begins a comment,
    /// `# version: …` names the version. A relative path starts at the pipeline file.
    #[serde(default)]
    pub dictionary: Option<PathBuf>,
    /// Whether jieba guesses words that no dictionary has.
    #[serde(default = "default_hmm")]
    pub hmm: bool,
    /// Weight of a second field of characters and pairs of neighbours, beside 1 for the words of jieba; 0 leaves it out. The other
    /// analyzers have no second field.
    #[serde(default = "default_bigram_weight")]
    #[schemars(range(min = 0.0, max = 10.0))]
    pub bigram_weight: f32,
}

impl TextIndexSpec {
    /// Weight of the second field, if there is one.
    pub fn second_field(&self) -> Option<f32> {
        Some(self.bigram_weight).filter(|weight| *weight > 0.0 && self.analyzer == AnalyzerKind::Jieba)
    }
}

impl Default for TextIndexSpec {
    fn default() -> Self {
        let (hmm, bigram_weight) = (default_hmm(), default_bigram_weight());
        Self { analyzer: AnalyzerKind::default(), dictionary: None, hmm, bigram_weight }
    }
}

fn default_hmm() -> bool {
    true
}

/// Has the highest mean MRR over the three sample data sets; see benches/README.md.
fn default_bigram_weight() -> f32 {
    0.5
}

/// How a caption is cut into terms, after NFKC, traditional to simplified, and lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnalyzerKind {
    /// jieba's search mode.
    #[default]
    Jieba,
    /// Single characters and pairs of neighbours.
    Bigram,
    /// Single characters.
    Unigram,
}

/// How vectors are searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VectorIndexSpec {
    #[serde(default)]
    pub kind: VectorIndexKind,
    /// Recall@10 that an approximate index is set to, a fraction in 0..=1.
    #[serde(default = "default_recall")]
    #[schemars(range(min = 0.5, max = 1.0))]
    pub recall: f64,
    /// Memory that searches may keep busy, in MiB; without it as much as it takes.
    #[serde(default)]
    pub memory_mib: Option<u64>,
}

impl Default for VectorIndexSpec {
    fn default() -> Self {
        Self { kind: VectorIndexKind::default(), recall: default_recall(), memory_mib: None }
    }
}

fn default_recall() -> f64 {
    0.99
}

/// Kinds of vector index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VectorIndexKind {
    /// By the number of rows and the memory allowed; the index says which and why.
    #[default]
    Auto,
    /// Every vector is compared.
    Exact,
    /// A graph is walked from neighbour to neighbour.
    Graph,
    /// Vectors in lists; the nearest lists are searched.
    Partitioned,
}
