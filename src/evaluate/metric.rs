//! Names of the metrics; their formulas are in `measure`.
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A metric by name, such as `hit@10` or `mean_recall`. A depth is at least 1; `None` is the whole ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Share of the queries with a relevant document among the first k; papers on image-text retrieval call it R@K.
    Hit(u32),
    /// Share of a query's relevant documents that are among the first k.
    Recall(u32),
    /// Share of the first k documents that are relevant; of k even where fewer were ranked.
    Precision(u32),
    /// Mean of hit@1, hit@5 and hit@10, as MUGE is scored.
    MeanRecall,
    /// Mean of 1 / rank of the first relevant document, 0 where it stands below k.
    Mrr(Option<u32>),
    /// Normalised discounted cumulative gain with linear gain and log2(rank + 1), as `trec_eval`'s `ndcg_cut`.
    Ndcg(Option<u32>),
    /// Mean average precision over all relevant documents, as `trec_eval`'s `map_cut`.
    Map(Option<u32>),
    /// Median over the queries of the rank of the first relevant document; lower is better.
    MedianRank,
}

const NAMES: &str = "hit@K, recall@K, precision@K, mean_recall, mrr, mrr@K, ndcg, ndcg@K, map, map@K or median_rank";

impl Metric {
    pub fn higher_is_better(self) -> bool {
        self != Self::MedianRank
    }

    /// Whether values lie in 0..=1 and are a mean over the queries.
    pub fn is_fraction(self) -> bool {
        self != Self::MedianRank
    }

    /// By how much `candidate` is better than `published`: their difference, its sign turned where lower is better.
    pub fn improvement(self, published: f64, candidate: f64) -> f64 {
        let (from, to) = if self.higher_is_better() { (published, candidate) } else { (candidate, published) };
        // Two infinite medians are equal; their difference would not be a number.
        if from == to { 0.0 } else { to - from }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, depth) = match self {
            Self::Hit(k) => ("hit", Some(k)),
            Self::Recall(k) => ("recall", Some(k)),
            Self::Precision(k) => ("precision", Some(k)),
            Self::MeanRecall => ("mean_recall", None),
            Self::Mrr(k) => ("mrr", k.as_ref()),
            Self::Ndcg(k) => ("ndcg", k.as_ref()),
            Self::Map(k) => ("map", k.as_ref()),
            Self::MedianRank => ("median_rank", None),
        };
        match depth {
            Some(k) => f.pad(&format!("{name}@{k}")),
            None => f.pad(name),
        }
    }
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let (kind, depth) = name.split_once('@').map_or((name, None), |(kind, k)| (kind, Some(k)));
        let digits = |k: &&str| !k.starts_with('0') && k.bytes().all(|byte| byte.is_ascii_digit());
        let k: Option<u32> = depth.filter(digits).and_then(|k| k.parse().ok());
        let metric = match (kind, k) {
            _ if depth.is_some() && k.is_none() => None,
            ("hit", Some(k)) => Some(Self::Hit(k)),
            ("recall", Some(k)) => Some(Self::Recall(k)),
            ("precision", Some(k)) => Some(Self::Precision(k)),
            ("mrr", k) => Some(Self::Mrr(k)),
            ("ndcg", k) => Some(Self::Ndcg(k)),
            ("map", k) => Some(Self::Map(k)),
            ("mean_recall", None) => Some(Self::MeanRecall),
            ("median_rank", None) => Some(Self::MedianRank),
            _ => None,
        };
        metric.ok_or_else(|| format!("unknown metric `{name}`; use {NAMES}"))
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
            "pattern": "^((hit|recall|precision)@[1-9][0-9]*|(mrr|ndcg|map)(@[1-9][0-9]*)?|mean_recall|median_rank)$",
            "description": "`hit@K`: share of the queries with a relevant document among the first K; `recall@K`: share of the relevant documents that are; `precision@K`: share of the first K that are relevant; `mean_recall`: mean of hit@1, hit@5 and hit@10; `mrr`, `ndcg`, `map`: over the whole ranking, or over its first K with `@K`; `median_rank`: median rank of the first relevant document, lower is better."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let names = [
            "hit@1",
            "recall@10",
            "precision@5",
            "mean_recall",
            "mrr",
            "mrr@10",
            "ndcg",
            "ndcg@10",
            "map",
            "map@100",
            "median_rank",
        ];
        for name in names {
            assert_eq!(name.parse::<Metric>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn a_depth_that_is_missing_or_odd_is_refused_by_name() {
        let wrong = [
            "hit",
            "hit@",
            "hit@0",
            "hit@05",
            "hit@+5",
            "hit@-1",
            "hit@1.0",
            "mean_recall@5",
            "median_rank@1",
            "mrr@0",
            "Hit@1",
            "hit@4294967296",
            "hit@1@2",
            "",
        ];
        for name in wrong {
            assert!(name.parse::<Metric>().unwrap_err().contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn a_falling_median_rank_is_an_improvement() {
        assert_eq!(Metric::MedianRank.improvement(5.0, 3.0), 2.0);
        assert_eq!(Metric::Hit(1).improvement(0.5, 0.25), -0.25);
        assert_eq!(Metric::MedianRank.improvement(f64::INFINITY, f64::INFINITY), 0.0);
        assert_eq!(Metric::MedianRank.improvement(2.0, f64::INFINITY), f64::NEG_INFINITY);
    }
}
