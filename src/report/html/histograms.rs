//! Scores of queries with and without a match, and the calibrated cut-off.
use std::fmt::Write;

use super::super::facts::{ReportFacts, ScoreHistogram};
use super::super::svg::{Histogram, escape};
use super::{Table, number, percent, td, thousands};

const MATCHING: &str = "best relevant image";
const OTHER: &str = "best irrelevant image";

pub(super) fn section(facts: &ReportFacts) -> String {
    if facts.histograms.is_empty() {
        return String::new();
    }
    let mut body = String::from(
        "<p class=\"soft\">Similarity of every query to its best relevant image (up) and to its best irrelevant image (down). The cut-off is the threshold of greatest balanced accuracy between both, chosen on these very queries: below it, say “no match”.</p>\n",
    );
    let heads =
        ["checkpoint", "data set", "cut-off", "precision", "recall", "balanced accuracy", "F1"].map(str::to_owned);
    let mut table = Table::new("Calibrated cut-offs, in percent but for the cut-off itself", &heads);
    let mut plots = String::new();
    for histogram in &facts.histograms {
        if let Some(cut_off) = histogram.cut_off {
            let shares = [cut_off.precision, cut_off.recall, cut_off.balanced_accuracy, cut_off.f1];
            let mut cells = vec![td(&escape(&histogram.dataset)), number(&format!("{:.3}", cut_off.threshold))];
            cells.extend(shares.map(|share| number(&percent(Some(share)))));
            table.row(&escape(&histogram.model), &cells);
        }
        chart(&mut plots, histogram);
    }
    let _ = write!(body, "{}<div class=\"plots\">\n{plots}</div>\n", table.finish());
    body
}

fn chart(plots: &mut String, histogram: &ScoreHistogram) {
    let title = format!("{} on {}", histogram.model, histogram.dataset);
    let mark = histogram.cut_off.map(|cut| (f64::from(cut.threshold), format!("cut-off {:.3}", cut.threshold)));
    let chart = Histogram {
        title: &title,
        edges: &histogram.edges,
        up: (MATCHING, &histogram.matching),
        down: (OTHER, &histogram.other),
        mark,
    };
    let mut table = Table::new(&title, &["similarity".to_owned(), MATCHING.to_owned(), OTHER.to_owned()]);
    for (edges, counts) in histogram.edges.windows(2).zip(histogram.matching.iter().zip(&histogram.other)) {
        let head = format!("{:.2} to {:.2}", edges[0], edges[1]);
        table.row(&head, &[number(&thousands(*counts.0)), number(&thousands(*counts.1))]);
    }
    let _ = writeln!(
        plots,
        "<figure class=\"card\"><figcaption>{0}</figcaption>{1}<details><summary>Numbers<span class=\"hidden\"> of {0}</span></summary>{2}</details></figure>",
        escape(&title),
        chart.render(),
        table.finish()
    );
}
