//! Stage × data set, from stage to stage, and every metric.
use std::fmt::Write;

use super::super::facts::{ReportFacts, direction_words};
use super::super::svg::{Chart, Line, escape};
use super::words::interval;
use super::{Table, figure, percent};
use crate::evaluate::{Direction, Score};

/// The metric of the overview.
pub(super) const OVERVIEW: &str = "mean_recall";
/// Strength of the shade behind a value of one; text on it keeps its contrast.
pub(super) const SHADE: f64 = 0.45;

pub(super) fn section(facts: &ReportFacts) -> String {
    if facts.scores.is_empty() {
        return String::new();
    }
    let mut body = String::from(
        "<p class=\"soft\">Mean recall in percent, below it the 95 % confidence interval where one was computed. A frame with ◆ marks the data set that a checkpoint was tuned on last; the other columns show what was kept or forgotten.</p>\n",
    );
    body.push_str(&matrix(facts));
    body.push_str(&journey(facts));
    body.push_str("<details><summary>All metrics</summary>\n");
    for dataset in &facts.datasets {
        body.push_str(&every_metric(facts, &dataset.id, &dataset.measured));
    }
    body.push_str("</details>\n");
    body
}

fn matrix(facts: &ReportFacts) -> String {
    let mut heads = vec!["checkpoint".to_owned()];
    for dataset in &facts.datasets {
        for direction in Direction::CROSS_MODAL {
            heads.push(format!("{}<br>{}", escape(&dataset.id), direction_words(direction.as_str())));
        }
    }
    let mut table = Table::new("Mean recall of every checkpoint on every data set", &heads);
    for model in facts.model_names() {
        let mut cells = Vec::new();
        for dataset in &facts.datasets {
            let own = facts.is_own(model, &dataset.id);
            for direction in Direction::CROSS_MODAL {
                cells.push(cell(facts.score(model, &dataset.id, direction.as_str(), OVERVIEW), own));
            }
        }
        table.row(&escape(model), &cells);
    }
    table.finish()
}

/// Value over its interval, shaded by the value.
fn cell(score: Option<&Score>, own: bool) -> String {
    let Some(score) = score else { return "<td>–</td>".to_owned() };
    let range = interval(score.lower, score.upper).map_or(String::new(), |range| format!("<small>{range}</small>"));
    let (class, mark) = if own {
        (" own", "<span class=\"mark\">◆<span class=\"hidden\"> tuned here</span></span> ")
    } else {
        ("", "")
    };
    format!(
        "<td class=\"heat{class}\" style=\"--shade:{:.3}\">{mark}{}{range}</td>",
        score.value.clamp(0.0, 1.0) * SHADE,
        percent(Some(score.value))
    )
}

/// Mean recall from checkpoint to checkpoint.
fn journey(facts: &ReportFacts) -> String {
    if facts.models.len() < 2 {
        return String::new();
    }
    let mut body = String::from("<div class=\"plots\">\n");
    for direction in Direction::CROSS_MODAL {
        let points: Vec<Vec<(f64, f64)>> = facts
            .datasets
            .iter()
            .map(|dataset| {
                let value = |model: &str| facts.value(model, &dataset.id, direction.as_str(), OVERVIEW);
                let known = facts.models.iter().zip(0u32..);
                known.filter_map(|(model, at)| Some((f64::from(at), value(&model.id)?))).collect()
            })
            .collect();
        let lines = facts.datasets.iter().zip(&points).zip(1..);
        let title = format!("Mean recall from stage to stage, {}", direction_words(direction.as_str()));
        let chart = Chart {
            title: &title,
            x_label: "",
            x_names: facts.models.iter().map(|model| model.id.as_str()).collect(),
            percent: true,
            lines: lines.map(|((data, points), series)| Line { label: &data.id, series, points, dots: true }).collect(),
        };
        figure(&mut body, &chart);
    }
    body.push_str("</div>\n");
    body
}

fn every_metric(facts: &ReportFacts, dataset: &str, split: &str) -> String {
    let mut heads = vec!["checkpoint".to_owned()];
    for direction in Direction::CROSS_MODAL {
        let words = direction_words(direction.as_str());
        heads.extend(facts.metrics().iter().map(|metric| format!("{words}<br>{}", escape(&metric.replace('_', " ")))));
    }
    let mut caption = format!("{dataset}, {split} split, in percent");
    for direction in Direction::CROSS_MODAL {
        let (queries, documents) = facts.pool(dataset, direction.as_str());
        let _ = write!(caption, "; {}: {queries} queries, {documents} documents", direction_words(direction.as_str()));
    }
    let mut table = Table::new(&caption, &heads);
    for model in facts.model_names() {
        let mut cells = Vec::new();
        for direction in Direction::CROSS_MODAL {
            for metric in facts.metrics() {
                cells.push(cell(facts.score(model, dataset, direction.as_str(), metric), false));
            }
        }
        table.row(&escape(model), &cells);
    }
    table.finish()
}
