//! A report for people: one self-contained page. Each section has a page of its own here.
mod about;
mod attribution;
mod cases;
mod charts;
mod curves;
mod data;
mod forgetting;
mod gate;
mod histograms;
mod maps;
mod matrix;
mod overview;
mod page;
mod pictures;
mod ranks;
mod search;
mod table;
mod timings;
mod words;

use super::facts::ReportFacts;
use super::quality;
use page::Section;
use pictures::Pictures;

pub(super) use charts::figure;
pub(super) use forgetting::sign;
pub use page::STYLE;
pub(super) use page::shell;
pub(super) use table::{Table, number, td};
pub(super) use words::{chinese, p_value, percent, points, thousands};

/// The whole page. Sections without facts are left out.
pub fn render_html(facts: &ReportFacts) -> String {
    let pictures = Pictures::of(facts);
    let sections = [
        Section::new("overview", "Overview", overview::section(facts)),
        Section::new("matrix", "Every checkpoint on every data set", matrix::section(facts)),
        Section::new("gate", "The gate", gate::section(facts)),
        Section::new("forgetting", "What each stage forgot", forgetting::section(facts)),
        Section::new("comparison", "Stage against stage", forgetting::comparison(facts)),
        Section::new("recall", "Recall at k", curves::recall(facts)),
        Section::new("cases", "Queries, stage by stage", cases::section(facts, &pictures)),
        Section::new("ranks", "Best and worst queries", ranks::section(facts, &pictures)),
        Section::new("cut-off", "Match or no match", histograms::section(facts)),
        Section::new("attribution", "Where hits are lost", attribution::section(facts)),
        Section::new("churn", "Neighbours that stay", attribution::churn(facts)),
        Section::new("map", "Embedding maps", maps::section(facts, &pictures)),
        Section::new("training", "Training", curves::training(facts)),
        Section::new("speed", "Inference time", timings::section(facts)),
        Section::new("search", "Search in the published index", search::section(facts, &pictures)),
        Section::new("data", "Data", data::section(facts)),
        Section::new("quality", "Quality of the data", quality::section(facts)),
        Section::new("about", "How this report was made", about::section(facts)),
    ];
    page::report(facts, &sections, &pictures)
}

#[cfg(test)]
mod tests;
