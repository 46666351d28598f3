//! The YAML of `kind: index`.
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Builds a hybrid index over the images of an embedding stage and their captions.
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
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextIndexSpec {
    #[serde(default)]
    pub analyzer: AnalyzerKind,
    /// Words of the domain, one a line, that jieba shall keep whole. A relative path starts at the pipeline file.
    #[serde(default)]
    pub dictionary: Option<PathBuf>,
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
}

/// How vectors are searched.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VectorIndexSpec {
    #[serde(default)]
    pub kind: VectorIndexKind,
}

/// Kinds of vector index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VectorIndexKind {
    /// Every vector is compared.
    #[default]
    Exact,
}
