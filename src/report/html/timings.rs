//! How long encoding takes.
use super::super::facts::ReportFacts;
use super::super::svg::escape;
use super::{Table, number, td, thousands};

pub(super) fn section(facts: &ReportFacts) -> String {
    if facts.timings.is_empty() {
        return String::new();
    }
    let heads =
        ["checkpoint", "of", "batch", "p50, ms", "p90, ms", "p99, ms", "per item, ms", "items per second", "on"];
    let mut table = Table::new("Time of one batch, and per image or text", &heads.map(str::to_owned));
    for timing in &facts.timings {
        let each = timing.p50_ms / timing.batch_size.max(1) as f64;
        let mut cells = vec![td(timing.kind.words()), number(&thousands(timing.batch_size))];
        cells.extend([timing.p50_ms, timing.p90_ms, timing.p99_ms, each].map(|ms| number(&milliseconds(ms))));
        cells.push(number(&format!("{:.1}", timing.items_per_second)));
        cells.push(td(&escape(&timing.device)));
        table.row(&escape(&timing.model), &cells);
    }
    table.finish()
}

fn milliseconds(ms: f64) -> String {
    if ms < 10.0 { format!("{ms:.2}") } else { format!("{ms:.1}") }
}
