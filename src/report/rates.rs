//! The page of a learning-rate range test.
use super::html::{STYLE, class, figure};
use super::svg::{Chart, Line, escape};
use crate::train::{RateTrial, suggested_rate};

/// A self-contained page with the loss over the logarithm of the rate.
pub fn render_rates(stage: &str, trials: &[RateTrial]) -> String {
    let points = |value: fn(&RateTrial) -> f64| -> Vec<(f64, f64)> {
        trials.iter().map(|trial| (trial.learning_rate.log10(), value(trial))).collect()
    };
    let (loss, smoothed) = (points(|trial| trial.loss), points(|trial| trial.smoothed_loss));
    let line = |label, series, points| Line { label, class: class(series), points, dots: false };
    let chart = Chart {
        title: "loss over the learning rate",
        x_label: "power of ten of the learning rate",
        x_names: Vec::new(),
        percent: false,
        lines: vec![line("loss", 0, &loss), line("smoothed loss", 1, &smoothed)],
    };
    let peak = suggested_rate(trials).map_or("none".to_owned(), |rate| format!("{rate:.1e}"));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Learning rates of {0}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Learning rates of {0}</h1>\n<p class=\"soft\">{1} steps while the rate rises. Suggested peak: <b>{peak}</b>, a tenth of the rate with the lowest smoothed loss.</p>\n",
        escape(stage),
        trials.len()
    );
    figure(&mut page, &chart);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}
