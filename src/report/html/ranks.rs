//! Queries that gained most and queries that are still lost.
use super::super::facts::{RankChange, RankFacts, ReportFacts};
use super::super::svg::escape;
use super::pictures::Pictures;
use super::{Table, chinese, number};

pub(super) fn section(facts: &ReportFacts, pictures: &Pictures<'_>) -> String {
    let mut body = String::new();
    for ranks in &facts.ranks {
        for (words, changes) in [("rose most", &ranks.best), ("still lowest", &ranks.worst)] {
            if !changes.is_empty() {
                body.push_str(&table(ranks, words, changes, pictures));
            }
        }
    }
    if body.is_empty() {
        return body;
    }
    format!("<p class=\"soft\">Rank of the first relevant image, 1 is best.</p>\n{body}")
}

fn table(ranks: &RankFacts, words: &str, changes: &[RankChange], pictures: &Pictures<'_>) -> String {
    let caption = format!("{}: {words}, of {} images", ranks.dataset, ranks.pool);
    let heads = [
        "query".to_owned(),
        "relevant image".to_owned(),
        escape(&ranks.before),
        escape(&ranks.after),
        "places".to_owned(),
    ];
    let mut table = Table::new(&caption, &heads);
    for change in changes {
        let alternative = format!("image {}", change.image_id);
        let moved = change.rank_before.cast_signed() - change.rank_after.cast_signed();
        let moved = match moved {
            0 => "0".to_owned(),
            up if up > 0 => format!("▲ {up}"),
            down => format!("▼ {}", -down),
        };
        table.row(
            &chinese(&change.query),
            &[
                format!("<td class=\"text small\">{}</td>", pictures.show(change.picture, &alternative)),
                number(&change.rank_before.to_string()),
                number(&change.rank_after.to_string()),
                number(&moved),
            ],
        );
    }
    table.finish()
}
