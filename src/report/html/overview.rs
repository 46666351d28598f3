//! The answer first: one card per data set.
use super::super::facts::ReportFacts;
use super::super::svg::escape;
use super::matrix::OVERVIEW;
use super::percent;
use super::words::interval;
use crate::evaluate::{CHANCE, Direction};

pub(super) fn section(facts: &ReportFacts) -> String {
    let cards: String =
        facts.datasets.iter().filter_map(|dataset| card(facts, &dataset.id, &dataset.measured)).collect();
    if cards.is_empty() { cards } else { format!("<div class=\"cards\">\n{cards}</div>\n") }
}

/// A data set's own tuned model beside the untrained one and chance.
fn card(facts: &ReportFacts, dataset: &str, split: &str) -> Option<String> {
    let direction = Direction::TextToImage.as_str();
    let shown = facts.own_model(dataset).or(facts.models.last())?;
    let score = facts.score(&shown.id, dataset, direction, OVERVIEW)?;
    let range = interval(score.lower, score.upper).map_or(String::new(), |range| format!(" <small>{range}</small>"));
    let first = facts.models.first().filter(|first| first.id != shown.id);
    let before = first.map_or(String::new(), |first| {
        format!("{} {}, ", escape(&first.id), percent(facts.value(&first.id, dataset, direction, OVERVIEW)))
    });
    Some(format!(
        "<div class=\"card\"><h3>{}</h3><div class=\"big\">{}{range}</div><div>{}</div><div class=\"soft\">mean recall in percent, text → image, {} split, {} queries<br>{before}chance {}</div></div>\n",
        escape(dataset),
        percent(Some(score.value)),
        escape(&shown.id),
        escape(split),
        score.queries,
        percent(facts.value(CHANCE, dataset, direction, OVERVIEW))
    ))
}
