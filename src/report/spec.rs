//! The YAML of `kind: report`.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Draws scores, training curves and search results as HTML, Markdown and JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportSpec {
    pub needs: ReportNeeds,
    /// Texts to search for; their best images are shown. Needs `needs.index`.
    #[serde(default)]
    pub queries: Vec<String>,
    /// Time the last checkpoint while the report is drawn. Such a report differs from run to run; all others do not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub time_encoding: bool,
}

/// Inputs of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportNeeds {
    /// A stage of kind `evaluate`.
    pub scores: String,
    /// A stage of kind `index`, for the queries.
    #[serde(default)]
    pub index: Option<String>,
}
