//! A report for a pull request or a wiki.
use std::fmt::Write;

use super::ReportFacts;
use super::facts::direction_words;
use crate::evaluate::{CHANCE, Direction};

/// The whole report.
pub fn render_markdown(facts: &ReportFacts) -> String {
    let mut page = format!("# {}\n", facts.title);
    for dataset in &facts.datasets {
        for direction in Direction::ALL {
            let (queries, documents) = facts.pool(&dataset.id, direction.as_str());
            let words = direction_words(direction.as_str());
            let _ = write!(
                page,
                "\n## {}, {words} ({} split: {queries} queries, {documents} documents)\n\n",
                dataset.id, dataset.measured
            );
            page.push_str(&score_table(facts, &dataset.id, direction.as_str()));
        }
    }
    for query in &facts.queries {
        let _ = write!(page, "\n## Query: {}\n\n", query.text);
        for (hit, rank) in query.hits.iter().zip(1..) {
            let _ = writeln!(page, "{rank}. `{}` {} ({:.4})", hit.id, hit.text, hit.score);
        }
    }
    page
}

/// Models by metrics, in percent, for one data set and direction.
pub fn score_table(facts: &ReportFacts, dataset: &str, direction: &str) -> String {
    let metrics = facts.metrics();
    let mut table = format!("| model | {} |\n|---|{}\n", metrics.join(" | "), "---:|".repeat(metrics.len()));
    let models = std::iter::once(CHANCE).chain(facts.models.iter().map(|model| model.id.as_str()));
    for model in models {
        let cells: Vec<String> = metrics
            .iter()
            .map(|metric| facts.value(model, dataset, direction, metric))
            .map(|value| value.map_or("–".to_owned(), |value| format!("{:.1}", 100.0 * value)))
            .collect();
        let _ = writeln!(table, "| {model} | {} |", cells.join(" | "));
    }
    table
}
