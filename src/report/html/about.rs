//! Configuration, fingerprints and versions.
use std::fmt::Write;

use super::super::facts::ReportFacts;
use super::super::svg::escape;
use super::{Table, td};

pub(super) fn section(facts: &ReportFacts) -> String {
    let about = &facts.about;
    let mut body = String::new();
    if !about.versions.is_empty() {
        let mut table = Table::new("Versions", &["what".to_owned(), "version".to_owned()]);
        for (what, version) in &about.versions {
            table.row(&escape(what), &[td(&escape(version))]);
        }
        body.push_str(&table.finish());
    }
    if !about.artifacts.is_empty() {
        let heads = ["stage", "kind", "fingerprint"].map(str::to_owned);
        let mut table = Table::new("Artifacts that this report was drawn from", &heads);
        for artifact in &about.artifacts {
            let fingerprint = format!("<code>{}</code>", escape(&artifact.fingerprint));
            table.row(&escape(&artifact.stage), &[td(&escape(&artifact.kind)), td(&fingerprint)]);
        }
        body.push_str(&table.finish());
    }
    if !about.settings.is_empty()
        && let Ok(settings) = serde_json::to_string_pretty(&about.settings)
    {
        let _ = writeln!(
            body,
            "<details><summary>Settings of every stage</summary><pre tabindex=\"0\" role=\"region\" aria-label=\"Settings of every stage\"><code>{}</code></pre></details>",
            escape(&settings)
        );
    }
    body
}
