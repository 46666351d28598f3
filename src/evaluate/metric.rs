//! Names of the metrics.
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A metric by name: `hit@k` or `mean_recall`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Share of the queries with a relevant document among the first k; papers call it R@K.
    Hit(usize),
    /// Mean of hit@1, hit@5 and hit@10, as MUGE is scored.
    MeanRecall,
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hit(k) => write!(f, "hit@{k}"),
            Self::MeanRecall => f.write_str("mean_recall"),
        }
    }
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == "mean_recall" {
            return Ok(Self::MeanRecall);
        }
        let k = name.strip_prefix("hit@").and_then(|k| k.parse().ok()).filter(|k| *k > 0);
        k.map(Self::Hit).ok_or_else(|| format!("unknown metric `{name}`; use hit@K or mean_recall"))
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Metric {
    fn schema_name() -> Cow<'static, str> {
        "Metric".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(hit@[1-9][0-9]*|mean_recall)$",
            "description": "`hit@K`: share of the queries with a relevant document among the first K; `mean_recall`: mean of hit@1, hit@5 and hit@10."
        })
    }
}
