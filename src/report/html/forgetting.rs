//! Changes and whether they are more than chance.
use super::super::facts::{ChangeFacts, ReportFacts, Verdict, direction_words};
use super::super::svg::escape;
use super::words::{p_value, points};
use super::{Table, number, td};
use crate::evaluate::Direction;

/// Every stage against the best earlier one.
pub(super) fn section(facts: &ReportFacts) -> String {
    if facts.forgetting.is_empty() {
        return String::new();
    }
    let mut heads = vec!["checkpoint".to_owned()];
    for dataset in &facts.datasets {
        for direction in Direction::CROSS_MODAL {
            heads.push(format!("{}<br>{}", escape(&dataset.id), direction_words(direction.as_str())));
        }
    }
    let mut table = Table::new("Mean recall against the best earlier checkpoint, in points", &heads);
    for model in facts.models.iter().filter(|model| facts.forgetting.iter().any(|change| change.model == model.id)) {
        let mut cells = Vec::new();
        for dataset in &facts.datasets {
            for direction in Direction::CROSS_MODAL {
                let found = facts.forgetting.iter().find(|change| {
                    change.model == model.id && change.dataset == dataset.id && change.direction == direction
                });
                cells.push(found.map_or("<td>–</td>".to_owned(), cell));
            }
        }
        table.row(&escape(&model.id), &cells);
    }
    format!(
        "<p class=\"soft\">Each checkpoint less the best checkpoint before it on that data set, in points of mean recall, with the 95 % interval. ▲ and ▼ mark changes that are significant at 5 % after Holm’s correction, ≈ those that are not.</p>\n{}",
        table.finish()
    )
}

fn cell(change: &ChangeFacts) -> String {
    let verdict = change.verdict();
    let p = change.p.map_or(String::new(), |p| format!(", {}", p_value(p)));
    let range = range(change).map_or(String::new(), |range| format!("<small>{range}</small>"));
    format!(
        "<td class=\"{}\"><b>{} {}</b>{range}<small>{}{p}</small><small>best before: {}</small></td>",
        class(verdict),
        sign(verdict),
        points(change.change),
        verdict.words(),
        escape(&change.against)
    )
}

/// The significance table between consecutive stages.
pub(super) fn comparison(facts: &ReportFacts) -> String {
    if facts.comparisons.is_empty() {
        return String::new();
    }
    let heads = [
        "checkpoint",
        "against",
        "data set",
        "direction",
        "metric",
        "change",
        "95 % interval",
        "p, corrected",
        "verdict",
    ];
    let mut table =
        Table::new("Every checkpoint against the one before it, over the same queries", &heads.map(str::to_owned));
    for change in &facts.comparisons {
        let verdict = change.verdict();
        table.row(
            &escape(&change.model),
            &[
                td(&escape(&change.against)),
                td(&escape(&change.dataset)),
                td(direction_words(change.direction.as_str())),
                td(&escape(&change.metric.replace('_', " "))),
                number(&points(change.change)),
                number(&range(change).unwrap_or("–".to_owned())),
                number(&change.p.map_or("–".to_owned(), p_value)),
                format!("<td class=\"text {}\">{} {}</td>", class(verdict), sign(verdict), verdict.words()),
            ],
        );
    }
    format!(
        "<p class=\"soft\">Changes in points. p values are two-sided, of paired tests over queries, corrected by Holm over the whole table.</p>\n{}",
        table.finish()
    )
}

fn range(change: &ChangeFacts) -> Option<String> {
    Some(format!("{} to {}", points(change.lower?), points(change.upper?)))
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::NoDifference | Verdict::Untested => "same",
    }
}

pub(in super::super) fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "▲",
        Verdict::Worse => "▼",
        Verdict::NoDifference => "≈",
        Verdict::Untested => "",
    }
}
