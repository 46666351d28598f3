//! The queries of the YAML: the first five images of every stage side by side.
use std::fmt::Write;

use super::super::facts::{CaseFacts, CaseStage, ReportFacts, Truth};
use super::super::svg::escape;
use super::pictures::Pictures;
use super::{Table, chinese, td};

pub(super) fn section(facts: &ReportFacts, pictures: &Pictures<'_>) -> String {
    if facts.cases.is_empty() {
        return String::new();
    }
    let mut body = String::from(
        "<p class=\"soft\">The five most similar images of every stage, over all data sets. ✓ right and ✗ wrong by the labels; no mark where no label speaks of the query.</p>\n",
    );
    body.push_str(&correctness(facts));
    for case in &facts.cases {
        show(&mut body, case, pictures);
    }
    body
}

/// Top-1 and top-5 of the queries whose truth is known.
fn correctness(facts: &ReportFacts) -> String {
    let mut heads = vec!["query".to_owned()];
    heads.extend(facts.models.iter().map(|model| escape(&model.id)));
    let mut table = Table::new("Whether the first, and one of the first five, is right", &heads);
    for case in &facts.cases {
        let cells = facts.models.iter().map(|model| {
            let stage = case.stages.iter().find(|stage| stage.model == model.id);
            td(&stage.map_or("–".to_owned(), verdict))
        });
        table.row(&chinese(&case.query), &cells.collect::<Vec<_>>());
    }
    table.finish()
}

fn verdict(stage: &CaseStage) -> String {
    let word = |right: bool| if right { "✓ yes" } else { "✗ no" };
    match (stage.right_within(1), stage.right_within(5)) {
        (Some(first), Some(five)) => format!("first {}, five {}", word(first), word(five)),
        _ => "not known".to_owned(),
    }
}

fn show(body: &mut String, case: &CaseFacts, pictures: &Pictures<'_>) {
    let _ = writeln!(body, "<article class=\"card case\"><h3>{}</h3><div class=\"stages\">", chinese(&case.query));
    for stage in &case.stages {
        let _ = writeln!(
            body,
            "<div><h4>{} <span class=\"soft\">{}</span></h4><ol class=\"hits five\">",
            escape(&stage.model),
            verdict(stage)
        );
        for hit in &stage.hits {
            let (class, mark) = match hit.truth {
                Truth::Right => {
                    (" class=\"right\"", "<span class=\"truth\">✓<span class=\"hidden\"> right</span></span> ")
                }
                Truth::Wrong => {
                    (" class=\"wrong\"", "<span class=\"truth\">✗<span class=\"hidden\"> wrong</span></span> ")
                }
                Truth::Unknown => ("", ""),
            };
            let _ = writeln!(
                body,
                "<li{class}>{}<span class=\"caption\">{mark}{}</span><span class=\"soft\">{:.3} · {} {}</span></li>",
                pictures.show(hit.picture, &hit.text),
                chinese(&hit.text),
                hit.score,
                escape(&hit.dataset),
                escape(&hit.split)
            );
        }
        body.push_str("</ol></div>\n");
    }
    body.push_str("</div></article>\n");
}
