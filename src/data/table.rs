//! The Arrow schema of every table; `schemas/tables/` holds the same as JSON.
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde_json::{Value, json};

/// Every table that tuwen writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Images,
    Texts,
    Pairs,
    Quarantine,
    Leaks,
    Embeddings,
    Features,
    Qrels,
    Rankings,
    Scores,
    Outcomes,
}

impl Table {
    pub const ALL: [Self; 11] = [
        Self::Images,
        Self::Texts,
        Self::Pairs,
        Self::Quarantine,
        Self::Leaks,
        Self::Embeddings,
        Self::Features,
        Self::Qrels,
        Self::Rankings,
        Self::Scores,
        Self::Outcomes,
    ];

    /// The table's name, which is also the stem of its file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Texts => "texts",
            Self::Pairs => "pairs",
            Self::Quarantine => "quarantine",
            Self::Leaks => "leaks",
            Self::Embeddings => "embeddings",
            Self::Features => "features",
            Self::Qrels => "qrels",
            Self::Rankings => "rankings",
            Self::Scores => "scores",
            Self::Outcomes => "outcomes",
        }
    }

    /// The schema; the vector of `embeddings` and `features` has `dimension` entries, other tables ignore it.
    pub fn schema_with_dimension(self, dimension: usize) -> SchemaRef {
        use DataType::{Boolean, Float64, Int64, UInt32, UInt64, Utf8};
        let fields = match self {
            Self::Images => vec![
                required("image_id", Utf8),
                required("split", Utf8),
                required("width", UInt32),
                required("height", UInt32),
                required("format", Utf8),
                required("digest", Utf8),
                optional("perceptual_hash", UInt64),
                required("source", Utf8),
                required("bytes", UInt64),
                optional("family", Utf8),
            ],
            Self::Texts => vec![
                required("text_id", Utf8),
                required("split", Utf8),
                required("text", Utf8),
                required("tokens", UInt32),
                required("unknown_tokens", UInt32),
            ],
            Self::Pairs => {
                vec![required("text_id", Utf8), required("image_id", Utf8), required("split", Utf8)]
            }
            Self::Quarantine => vec![
                required("source", Utf8),
                required("offset", UInt64),
                required("table", Utf8),
                required("id", Utf8),
                required("reason", Utf8),
            ],
            Self::Leaks => vec![
                required("data", Utf8),
                required("split", Utf8),
                required("kind", Utf8),
                required("id", Utf8),
                required("reason", Utf8),
                required("other_data", Utf8),
                required("other_split", Utf8),
                required("other_id", Utf8),
                required("dropped", Boolean),
            ],
            Self::Embeddings => vec![
                required("id", Utf8),
                required("kind", Utf8),
                required("split", Utf8),
                required("vector", vector_type(dimension)),
                required("model", Utf8),
                required("digest", Utf8),
            ],
            Self::Features => vec![required("id", Utf8), required("vector", vector_type(dimension))],
            Self::Qrels => {
                vec![required("query_id", Utf8), required("document_id", Utf8), required("relevance", Int64)]
            }
            Self::Rankings => vec![
                required("model", Utf8),
                required("dataset", Utf8),
                required("split", Utf8),
                required("direction", Utf8),
                required("query_id", Utf8),
                required("rank", UInt32),
                required("document_id", Utf8),
                required("score", Float64),
            ],
            Self::Scores => vec![
                required("model", Utf8),
                required("dataset", Utf8),
                required("split", Utf8),
                required("subset", Utf8),
                required("direction", Utf8),
                required("metric", Utf8),
                required("value", Float64),
                optional("lower", Float64),
                optional("upper", Float64),
                required("queries", UInt64),
                required("documents", UInt64),
            ],
            Self::Outcomes => vec![
                required("model", Utf8),
                required("dataset", Utf8),
                required("split", Utf8),
                required("direction", Utf8),
                required("query_id", Utf8),
                required("cluster", UInt32),
                optional("leaked", Boolean),
                required("ranks", list_type()),
                required("relevant", UInt32),
            ],
        };
        Arc::new(Schema::new(fields))
    }

    /// The schema of a table without vectors.
    pub fn schema(self) -> SchemaRef {
        self.schema_with_dimension(0)
    }

    /// The schema as it is documented in `schemas/tables/`.
    pub fn schema_json(self) -> Value {
        let columns: Vec<Value> = self
            .schema_with_dimension(512)
            .fields()
            .iter()
            .map(|field| {
                json!({
                    "name": field.name(),
                    "type": type_name(field.data_type()),
                    "nullable": field.is_nullable(),
                })
            })
            .collect();
        json!({ "table": self.name(), "columns": columns })
    }
}

/// `dimension` 32-bit floats.
pub fn vector_type(dimension: usize) -> DataType {
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    DataType::FixedSizeList(item, i32::try_from(dimension).unwrap_or(i32::MAX))
}

/// Any number of ranks.
pub fn list_type() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::UInt32, false)))
}

fn required(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, false)
}

fn optional(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::FixedSizeList(item, _) => {
            format!("fixed_size_list<{}>[dimension]", type_name(item.data_type()))
        }
        DataType::List(item) => format!("list<{}>", type_name(item.data_type())),
        other => other.to_string().to_lowercase(),
    }
}
