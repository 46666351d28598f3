//! The frame of a page: head, policy, navigation, sections, pictures.
use std::fmt::Write;

use super::super::facts::ReportFacts;
use super::super::svg::escape;
use super::pictures::Pictures;

/// Colours and shapes of every page.
pub const STYLE: &str = include_str!("../style.css");
/// Runs the map and opens what is folded before printing.
pub(super) const SCRIPT: &str = include_str!("script.js");
/// SHA-256 of [`SCRIPT`], base64: the only script that a browser runs on the page, whatever a caption says.
pub(super) const SCRIPT_HASH: &str = include_str!("script.sha256");

/// A part of the report.
pub(super) struct Section {
    id: &'static str,
    title: &'static str,
    body: String,
}

impl Section {
    pub(super) fn new(id: &'static str, title: &'static str, body: String) -> Self {
        Self { id, title, body }
    }
}

/// A self-contained page without scripts.
pub fn shell(title: &str, body: &str) -> String {
    format!("{}<main id=\"content\" class=\"single\">\n{body}</main>\n</body>\n</html>\n", head(title, "'none'"))
}

/// The report: sections that have something to say, in order.
pub(super) fn report(facts: &ReportFacts, sections: &[Section], pictures: &Pictures<'_>) -> String {
    let mut page = head(&facts.title, &format!("'sha256-{}'", SCRIPT_HASH.trim()));
    let _ = write!(
        page,
        "<a class=\"skip\" href=\"#content\">Skip to the report</a>\n<header><h1>{}</h1>{}</header>\n<div class=\"frame\">\n<nav aria-label=\"Sections\"><ul>\n",
        escape(&facts.title),
        summary(facts)
    );
    let shown = || sections.iter().filter(|section| !section.body.is_empty());
    for section in shown() {
        let _ = writeln!(page, "<li><a href=\"#{}\">{}</a></li>", section.id, section.title);
    }
    page.push_str("</ul></nav>\n<main id=\"content\" tabindex=\"-1\">\n");
    for Section { id, title, body } in shown() {
        let _ = write!(
            page,
            "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>\n{body}</section>\n"
        );
    }
    let _ = write!(
        page,
        "</main>\n</div>\n<footer><p>hit@k is the share of queries with a relevant item among the first k of the whole pool (what papers call R@K); mean recall is the mean of hit@1, hit@5 and hit@10. Search is exact unless said otherwise; of equal scores the greater id ranks first, as with trec_eval. Chance is the expectation over random orders. Written by tuwen {}.</p></footer>\n{}<script>{SCRIPT}</script>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
        pictures.definitions()
    );
    page
}

fn head(title: &str, scripts: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {scripts}; base-uri 'none'; form-action 'none'\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        escape(title)
    )
}

fn summary(facts: &ReportFacts) -> String {
    let Some(first) = facts.models.first() else { return String::new() };
    let stages: Vec<String> = facts.models.iter().map(|model| escape(&model.id)).collect();
    format!(
        "<p class=\"soft\">{}, {} parameters. Checkpoints: {}.</p>",
        escape(&first.preset),
        super::thousands(first.parameters as u64),
        stages.join(" → ")
    )
}
