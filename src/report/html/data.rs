//! Sizes of the data sets.
use super::super::facts::ReportFacts;
use super::super::svg::escape;
use super::{Table, number, td, thousands};

pub(super) fn section(facts: &ReportFacts) -> String {
    if facts.datasets.is_empty() {
        return String::new();
    }
    let heads = ["data set", "split", "images", "texts", "pairs", "in quarantine"].map(str::to_owned);
    let mut table = Table::new("Rows of every data set and split", &heads);
    for dataset in &facts.datasets {
        for (at, (split, images, texts, pairs)) in dataset.splits.iter().enumerate() {
            let quarantined = if at == 0 { thousands(dataset.quarantined) } else { String::new() };
            let mut cells = vec![td(&escape(split))];
            cells.extend([images, texts, pairs].map(|count| number(&thousands(*count))));
            cells.push(number(&quarantined));
            table.row(&escape(&dataset.id), &cells);
        }
    }
    table.finish()
}
