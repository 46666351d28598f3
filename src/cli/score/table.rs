//! Metrics as a table for people, and query by query as CSV.
use serde_json::{Map, Value, json};

use crate::evaluate::{Metric, Outcome, measure};

/// Lines of metrics with a value for each column of outcomes; names stand above them where there is more than one.
pub fn score_table(metrics: &[Metric], columns: &[(&str, &[Outcome])]) -> String {
    let names: Vec<String> = metrics.iter().map(Metric::to_string).collect();
    let width = names.iter().map(String::len).chain(["queries".len()]).max().unwrap_or_default();
    let cells = |of: &dyn Fn(&str, &[Outcome]) -> String| -> String {
        let cell = |(name, outcomes): &(&str, &[Outcome])| match columns.len() {
            1 => of(name, outcomes),
            _ => format!("{:>cell$}", of(name, outcomes), cell = name.len()),
        };
        columns.iter().map(cell).collect::<Vec<_>>().join("  ")
    };
    let mut text = String::new();
    if columns.len() > 1 {
        text.push_str(&format!("{:width$}  {}\n", "", cells(&|name, _| name.to_owned())));
    }
    text.push_str(&format!("{:width$}  {}\n", "queries", cells(&|_, outcomes| outcomes.len().to_string())));
    for (name, outcomes) in columns {
        let judged = outcomes.iter().filter(|outcome| !outcome.ideal.is_empty()).count();
        if judged < outcomes.len() {
            let whose = if columns.len() > 1 { format!(", {name},") } else { String::new() };
            let empty = outcomes.len() - judged;
            text.push_str(&format!("{empty} of them{whose} have nothing relevant and count as not found\n"));
        }
    }
    for (name, metric) in names.iter().zip(metrics) {
        text.push_str(&format!(
            "{name:width$}  {}\n",
            cells(&|_, outcomes| format!("{:.4}", value(*metric, outcomes)))
        ));
    }
    text
}

/// Metrics by name; values are fractions in 0..=1.
pub fn score_object(metrics: &[Metric], outcomes: &[Outcome]) -> Value {
    let scores: Map<String, Value> =
        metrics.iter().map(|metric| (metric.to_string(), json!(value(*metric, outcomes)))).collect();
    Value::Object(scores)
}

fn value(metric: Metric, outcomes: &[Outcome]) -> f64 {
    measure(metric, outcomes).unwrap_or(0.0)
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
