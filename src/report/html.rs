//! A report for people: one self-contained page.
use std::fmt::Write;

use super::facts::{ReportFacts, direction_words};
use super::quality;
use super::svg::{Chart, Line, escape};
use crate::evaluate::{CHANCE, Direction};

pub(super) const STYLE: &str = include_str!("style.css");
/// The metric of the overview.
const OVERVIEW: &str = "mean_recall";

/// The whole page.
pub fn render_html(facts: &ReportFacts) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escape(&facts.title)
    );
    head(&mut page, facts);
    cards(&mut page, facts);
    matrix(&mut page, facts);
    journey(&mut page, facts);
    details(&mut page, facts);
    curves(&mut page, facts);
    queries(&mut page, facts);
    datasets(&mut page, facts);
    quality::section(&mut page, facts);
    let _ = write!(
        page,
        "<footer class=\"soft\"><p>hit@k is the share of queries with a relevant item among the first k of the whole pool (what papers call R@K); mean recall is the mean of hit@1, hit@5 and hit@10. Search is exact; of equal scores the item that stands first in the table ranks first. Chance is the expectation over random orders. Written by tuwen {}.</p></footer>\n</main>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    );
    page
}

fn head(page: &mut String, facts: &ReportFacts) {
    let _ = write!(page, "<h1>{}</h1>\n<p class=\"soft\">", escape(&facts.title));
    if let Some(model) = facts.models.first() {
        let _ = write!(page, "{}, {} parameters. ", escape(&model.preset), thousands(model.parameters as u64));
    }
    let stages: Vec<String> = facts.models.iter().map(|model| escape(&model.id)).collect();
    let _ = writeln!(page, "Checkpoints: {}.</p>", stages.join(" → "));
}

/// One card per data set: its own tuned model beside the untrained one and chance.
fn cards(page: &mut String, facts: &ReportFacts) {
    page.push_str("<div class=\"cards\">\n");
    for dataset in &facts.datasets {
        let direction = Direction::TextToImage.as_str();
        let value = |model: &str| percent(facts.value(model, &dataset.id, direction, OVERVIEW));
        let Some(shown) = facts.own_model(&dataset.id).or(facts.models.last()) else { continue };
        let before =
            facts.models.first().map_or(String::new(), |first| format!("{} {}, ", escape(&first.id), value(&first.id)));
        let _ = writeln!(
            page,
            "<div class=\"card\"><h3>{}</h3><div class=\"big\">{}</div><div>{}</div><div class=\"soft\">mean recall, text → image, {} split<br>{before}chance {}</div></div>",
            escape(&dataset.id),
            value(&shown.id),
            escape(&shown.id),
            escape(&dataset.measured),
            value(CHANCE)
        );
    }
    page.push_str("</div>\n");
}

/// Stage × data set, both directions.
fn matrix(page: &mut String, facts: &ReportFacts) {
    page.push_str("<h2>Every checkpoint on every data set</h2>\n<p class=\"soft\">Mean recall in percent. A frame marks the data set that a checkpoint was tuned on last; the other columns show what was kept or forgotten.</p>\n<div class=\"scroll\"><table>\n<tr><th>checkpoint</th>");
    for dataset in &facts.datasets {
        for direction in Direction::ALL {
            let _ = write!(page, "<th>{}<br>{}</th>", escape(&dataset.id), direction_words(direction.as_str()));
        }
    }
    page.push_str("</tr>\n");
    for model in model_names(facts) {
        let _ = write!(page, "<tr><td>{}</td>", escape(model));
        let tuned_on = facts.models.iter().find(|facts| facts.id == model).and_then(|facts| facts.tuned_on.as_deref());
        for dataset in &facts.datasets {
            for direction in Direction::ALL {
                let value = facts.value(model, &dataset.id, direction.as_str(), OVERVIEW);
                cell(page, value, tuned_on == Some(dataset.id.as_str()));
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div>\n");
}

/// Mean recall from checkpoint to checkpoint.
fn journey(page: &mut String, facts: &ReportFacts) {
    if facts.models.len() < 2 {
        return;
    }
    page.push_str("<h2>From stage to stage</h2>\n<div class=\"plots\">\n");
    for direction in Direction::ALL {
        let points: Vec<Vec<(f64, f64)>> = facts
            .datasets
            .iter()
            .map(|dataset| {
                let value = |model: &str| facts.value(model, &dataset.id, direction.as_str(), OVERVIEW);
                facts
                    .models
                    .iter()
                    .zip(0u32..)
                    .filter_map(|(model, at)| Some((f64::from(at), value(&model.id)?)))
                    .collect()
            })
            .collect();
        let lines = facts.datasets.iter().zip(&points).zip(1..).map(|((dataset, points), at)| Line {
            label: &dataset.id,
            class: class(at),
            points,
            dots: true,
        });
        let title = format!("Mean recall, {}", direction_words(direction.as_str()));
        let chart = Chart {
            title: &title,
            x_label: "",
            x_names: facts.models.iter().map(|model| model.id.as_str()).collect(),
            percent: true,
            lines: lines.collect(),
        };
        figure(page, &chart);
    }
    page.push_str("</div>\n");
}

fn details(page: &mut String, facts: &ReportFacts) {
    page.push_str("<h2>All metrics</h2>\n");
    for dataset in &facts.datasets {
        let _ = write!(
            page,
            "<div class=\"scroll wide\" style=\"margin-bottom:14px\"><table>\n<tr><th>{}, {} split</th>",
            escape(&dataset.id),
            escape(&dataset.measured)
        );
        for direction in Direction::ALL {
            for metric in facts.metrics() {
                let _ = write!(
                    page,
                    "<th>{}<br>{}</th>",
                    direction_words(direction.as_str()),
                    escape(&metric.replace('_', " "))
                );
            }
        }
        page.push_str("</tr>\n");
        for model in model_names(facts) {
            let _ = write!(page, "<tr><td>{}</td>", escape(model));
            for direction in Direction::ALL {
                for metric in facts.metrics() {
                    cell(page, facts.value(model, &dataset.id, direction.as_str(), metric), false);
                }
            }
            page.push_str("</tr>\n");
        }
        page.push_str("</table></div>\n");
    }
}

fn curves(page: &mut String, facts: &ReportFacts) {
    if facts.curves.is_empty() {
        return;
    }
    page.push_str("<h2>Training</h2>\n<div class=\"plots\">\n");
    for curve in &facts.curves {
        for (title, percent, colour, points) in [
            ("training loss", false, 1, &curve.loss),
            ("mean recall over the validation pool", true, 3, &curve.recall),
            ("learning rate", false, 2, &curve.learning_rate),
            ("norm of the gradient", false, 4, &curve.gradient_norm),
            ("factor of the logits", false, 5, &curve.logit_factor),
        ] {
            let title = format!("{}: {title}", curve.model);
            let line = Line { label: &curve.model, class: class(colour), points, dots: percent };
            figure(page, &Chart { title: &title, x_label: "step", x_names: Vec::new(), percent, lines: vec![line] });
        }
    }
    page.push_str("</div>\n");
}

fn queries(page: &mut String, facts: &ReportFacts) {
    if facts.queries.is_empty() {
        return;
    }
    page.push_str(
        "<h2>Search</h2>\n<p class=\"soft\">Keywords and vectors fused, over all data sets and splits.</p>\n",
    );
    for query in &facts.queries {
        let _ = writeln!(page, "<div class=\"card query\"><h3>{}</h3><div class=\"hits\">", escape(&query.text));
        for hit in &query.hits {
            let _ = writeln!(
                page,
                "<div class=\"hit\"><img src=\"{}\" alt=\"{}\" loading=\"lazy\"><b>{}</b><span class=\"soft\">{}</span></div>",
                hit.thumbnail,
                escape(&hit.text),
                escape(&hit.text),
                escape(hit.id.split('/').next().unwrap_or_default())
            );
        }
        page.push_str("</div></div>\n");
    }
}

fn datasets(page: &mut String, facts: &ReportFacts) {
    page.push_str("<h2>Data</h2>\n<div class=\"scroll\"><table>\n<tr><th>data set</th><th>split</th><th>images</th><th>texts</th><th>pairs</th><th>in quarantine</th></tr>\n");
    for dataset in &facts.datasets {
        for (at, (split, images, texts, pairs)) in dataset.splits.iter().enumerate() {
            let (name, quarantined) = match at {
                0 => (escape(&dataset.id), thousands(dataset.quarantined)),
                _ => (String::new(), String::new()),
            };
            let [images, texts, pairs] = [images, texts, pairs].map(|count| thousands(*count));
            let _ = writeln!(
                page,
                "<tr><td>{name}</td><td>{split}</td><td>{images}</td><td>{texts}</td><td>{pairs}</td><td>{quarantined}</td></tr>"
            );
        }
    }
    page.push_str("</table></div>\n");
}

pub(super) fn figure(page: &mut String, chart: &Chart<'_>) {
    let _ = write!(page, "<div class=\"card\"><h3>{}</h3>{}", escape(chart.title), chart.render());
    if chart.lines.len() > 1 {
        page.push_str("<div class=\"legend\">");
        for line in &chart.lines {
            let _ = write!(page, "<span class=\"{}\">{}</span>", line.class, escape(line.label));
        }
        page.push_str("</div>");
    }
    page.push_str("</div>\n");
}

fn cell(page: &mut String, value: Option<f64>, own: bool) {
    let class = if own { " class=\"own\"" } else { "" };
    let shade = value.unwrap_or(0.0) * 0.55;
    let _ = write!(page, "<td{class} style=\"background:rgba(var(--heat),{shade:.3})\">{}</td>", percent(value));
}

fn model_names(facts: &ReportFacts) -> impl Iterator<Item = &str> {
    std::iter::once(CHANCE).chain(facts.models.iter().map(|model| model.id.as_str()))
}

pub(super) fn percent(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{:.1}", 100.0 * value))
}

pub(super) fn class(series: usize) -> String {
    format!("s{}", series % 6)
}

pub(super) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
