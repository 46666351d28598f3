//! Metrics as a table for people, and query by query as CSV.
use serde_json::{Map, Value, json};

use crate::evaluate::{Metric, Outcome, measure};

/// Lines of metric and value, and the same as an object; values are fractions in 0..=1.
pub fn score_table(metrics: &[Metric], outcomes: &[Outcome]) -> (String, Value) {
    let values: Vec<(String, f64)> =
        metrics.iter().map(|m| (m.to_string(), measure(*m, outcomes).unwrap_or(0.0))).collect();
    let width = values.iter().map(|(name, _)| name.len()).chain(["queries".len()]).max().unwrap_or_default();
    let judged = outcomes.iter().filter(|outcome| !outcome.ideal.is_empty()).count();
    let mut text = format!("{:width$}  {}\n", "queries", outcomes.len());
    if judged < outcomes.len() {
        text.push_str(&format!("{} of them have nothing relevant and count as not found\n", outcomes.len() - judged));
    }
    for (name, value) in &values {
        text.push_str(&format!("{name:width$}  {value:.4}\n"));
    }
    let scores: Map<String, Value> = values.into_iter().map(|(name, value)| (name, json!(value))).collect();
    (text, Value::Object(scores))
}

/// One row a query: its id, its cluster, the metrics.
pub fn per_query_csv(metrics: &[Metric], outcomes: &[Outcome]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = ["query".to_owned(), "cluster".to_owned()].into_iter().chain(metrics.iter().map(Metric::to_string));
    writer.write_record(header)?;
    for outcome in outcomes {
        let value = |metric: &Metric| metric.per_query(outcome).to_string();
        let row = [outcome.query.clone(), outcome.cluster.to_string()];
        writer.write_record(row.into_iter().chain(metrics.iter().map(value)))?;
    }
    writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}
