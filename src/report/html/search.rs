//! What the published index answers.
use std::fmt::Write;

use super::super::facts::ReportFacts;
use super::super::svg::escape;
use super::chinese;
use super::pictures::Pictures;

pub(super) fn section(facts: &ReportFacts, pictures: &Pictures<'_>) -> String {
    if facts.queries.is_empty() {
        return String::new();
    }
    let mut body = String::from("<p class=\"soft\">Keywords and vectors fused, over all data sets and splits.</p>\n");
    for query in &facts.queries {
        let _ = writeln!(body, "<article class=\"card case\"><h3>{}</h3><ol class=\"hits\">", chinese(&query.text));
        for hit in &query.hits {
            let _ = writeln!(
                body,
                "<li>{}<span class=\"caption\">{}</span><span class=\"soft\">{} {}</span></li>",
                pictures.show(hit.picture, &hit.text),
                chinese(&hit.text),
                escape(hit.id.split('/').next().unwrap_or_default()),
                escape(&hit.split)
            );
        }
        body.push_str("</ol></article>\n");
    }
    body
}
