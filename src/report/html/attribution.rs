//! Which part of the search loses hits, and how neighbours change between stages.
use super::super::facts::{ReportFacts, direction_words};
use super::super::svg::escape;
use super::{Table, number, percent, td, thousands};

pub(super) fn section(facts: &ReportFacts) -> String {
    if facts.attribution.is_empty() {
        return String::new();
    }
    let heads = ["data set", "search", "hit@1", "hit@5", "hit@10"].map(str::to_owned);
    let mut hits = Table::new("Text → image by every way of searching, in percent", &heads);
    for facts in &facts.attribution {
        for system in &facts.systems {
            let values = [system.hit1, system.hit5, system.hit10].map(|value| number(&percent(Some(value))));
            hits.row(&escape(&facts.dataset), &[vec![td(&escape(&system.system))], values.to_vec()].concat());
        }
    }
    let known: Vec<_> = facts.attribution.iter().filter_map(|facts| Some((facts, facts.losses?))).collect();
    let mut body = hits.finish();
    if known.is_empty() {
        return body;
    }
    let heads = ["data set", "queries", "lost at 10", "encoder", "index", "tokenizer", "fusion"].map(str::to_owned);
    let mut table =
        Table::new("Queries without a relevant image among the first ten of the hybrid search, by cause", &heads);
    for (facts, losses) in known {
        let causes = [losses.encoder, losses.index, losses.tokenizer, losses.fusion];
        let counts = [facts.queries, causes.iter().sum()].into_iter().chain(causes);
        table.row(&escape(&facts.dataset), &counts.map(|count| number(&thousands(count))).collect::<Vec<_>>());
    }
    body.push_str(&table.finish());
    body.push_str(&tuned_note(facts));
    body.push_str("<p class=\"soft\">Encoder: neither exact search nor keywords find it. Index: exact search finds it, approximate search does not. Tokenizer: the keywords should have found it and a lost token prevented it. Fusion: vectors or keywords find it, their fusion does not.</p>\n");
    body
}

/// Where the weight of the fusion was chosen on what is shown here.
fn tuned_note(facts: &ReportFacts) -> String {
    let tuned: Vec<String> =
        facts.attribution.iter().filter(|facts| facts.tuned_here).map(|facts| escape(&facts.dataset)).collect();
    if tuned.is_empty() {
        return String::new();
    }
    let names = tuned.join(", ");
    format!(
        "<p>The weight of the fusion was tuned on these very queries of {names}, which have no other labels: there the hybrid row flatters.</p>\n"
    )
}

/// Overlap of the first ten between stages.
pub(super) fn churn(facts: &ReportFacts) -> String {
    if facts.churn.is_empty() {
        return String::new();
    }
    let heads = ["data set", "direction", "from", "to", "queries", "overlap@10"].map(str::to_owned);
    let mut table = Table::new("Share of the ten nearest that both stages have, in percent", &heads);
    for churn in &facts.churn {
        table.row(
            &escape(&churn.dataset),
            &[
                td(direction_words(churn.direction.as_str())),
                td(&escape(&churn.from)),
                td(&escape(&churn.to)),
                number(&thousands(churn.queries)),
                number(&percent(Some(churn.overlap))),
            ],
        );
    }
    table.finish()
}
