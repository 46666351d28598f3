//! The page of a learning-rate range test.
use super::html::{figure, shell};
use super::svg::{Chart, Line, escape};
use crate::train::{RateTrial, suggested_rate};

/// A self-contained page with the loss over the logarithm of the rate.
pub fn render_rates(stage: &str, trials: &[RateTrial]) -> String {
    let points = |value: fn(&RateTrial) -> f64| -> Vec<(f64, f64)> {
        trials.iter().map(|trial| (trial.learning_rate.log10(), value(trial))).collect()
    };
    let (loss, smoothed) = (points(|trial| trial.loss), points(|trial| trial.smoothed_loss));
    let line = |label, series, points| Line { label, series, points, dots: false };
    let chart = Chart {
        title: "loss over the learning rate",
        x_label: "power of ten of the learning rate",
        x_names: Vec::new(),
        percent: false,
        lines: vec![line("loss", 0, &loss), line("smoothed loss", 1, &smoothed)],
    };
    let peak = suggested_rate(trials).map_or("none".to_owned(), |rate| format!("{rate:.1e}"));
    let title = format!("Learning rates of {stage}");
    let mut body = format!(
        "<h1>{}</h1>\n<p class=\"soft\">{} steps while the rate rises. Suggested peak: <b>{peak}</b>, a tenth of the rate with the lowest smoothed loss.</p>\n",
        escape(&title),
        trials.len()
    );
    figure(&mut body, &chart);
    shell(&title, &body)
}
