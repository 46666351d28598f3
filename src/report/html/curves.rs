//! Curves: recall over k, and how a stage was trained.
use super::super::facts::{RecallCurve, ReportFacts, direction_words};
use super::super::svg::{Chart, Line};
use super::figure;
use crate::evaluate::Direction;

/// Number, name and points of a line.
type Series<'a> = (usize, &'a str, Vec<(f64, f64)>);

/// hit@k over k, one chart per data set and direction.
pub(super) fn recall(facts: &ReportFacts) -> String {
    if facts.recall_curves.is_empty() {
        return String::new();
    }
    let mut body = String::from(
        "<p class=\"soft\">hit@k for every k up to 100 or the size of the pool.</p>\n<div class=\"plots\">\n",
    );
    for dataset in &facts.datasets {
        for direction in Direction::CROSS_MODAL {
            let curves: Vec<Series<'_>> = facts
                .models
                .iter()
                .enumerate()
                .filter_map(|(series, model)| {
                    let of =
                        |c: &&RecallCurve| c.model == model.id && c.dataset == dataset.id && c.direction == direction;
                    let hits = &facts.recall_curves.iter().find(of)?.hits;
                    let points = hits.iter().zip(1u32..).map(|(hit, k)| (f64::from(k), *hit)).collect();
                    Some((series, model.id.as_str(), points))
                })
                .collect();
            let title = format!("{}, {}", dataset.id, direction_words(direction.as_str()));
            let lines =
                curves.iter().map(|(series, label, points)| Line { label, series: *series, points, dots: false });
            figure(
                &mut body,
                &Chart { title: &title, x_label: "k", x_names: Vec::new(), percent: true, lines: lines.collect() },
            );
        }
    }
    body.push_str("</div>\n");
    body
}

/// Loss, recall, rate, gradient and logit factor of every trained stage.
pub(super) fn training(facts: &ReportFacts) -> String {
    if facts.curves.is_empty() {
        return String::new();
    }
    let mut body = String::from("<div class=\"plots\">\n");
    for curve in &facts.curves {
        for (title, percent, series, points) in [
            ("training loss", false, 1, &curve.loss),
            ("mean recall over the validation pool", true, 3, &curve.recall),
            ("learning rate", false, 2, &curve.learning_rate),
            ("norm of the gradient", false, 4, &curve.gradient_norm),
            ("factor of the logits", false, 5, &curve.logit_factor),
        ] {
            let title = format!("{}: {title}", curve.model);
            let line = Line { label: &curve.model, series, points, dots: percent };
            figure(
                &mut body,
                &Chart { title: &title, x_label: "step", x_names: Vec::new(), percent, lines: vec![line] },
            );
        }
    }
    body.push_str("</div>\n");
    body
}
