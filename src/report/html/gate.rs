//! Whether the new scores may take the place of the published ones.
use super::super::facts::{GateFacts, ReportFacts, direction_words};
use super::super::svg::escape;
use super::{Table, number, td};

pub(super) fn section(facts: &ReportFacts) -> String {
    let Some(facts) = &facts.gate else { return String::new() };
    let metric = facts.gate.metric.to_string();
    let heads = ["data set", "direction", "verdict", "published", "candidate", "improvement", "bounds", "why"];
    let caption = format!("{metric} against release {}", facts.release);
    let mut table = Table::new(&caption, &heads.map(str::to_owned));
    for finding in &facts.findings {
        let verdict = if finding.passed { "✓ passed" } else { "✗ refused" };
        let mut cells = vec![td(direction_words(&finding.direction)), td(verdict)];
        cells.extend(
            match &finding.judgement {
                Some(judgement) => {
                    let bound = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:+.4}"));
                    let bounds = format!("{} … {}", bound(judgement.lower), bound(judgement.upper));
                    [
                        format!("{:.4}", judgement.published),
                        format!("{:.4}", judgement.candidate),
                        format!("{:+.4}", judgement.improvement),
                        bounds,
                    ]
                }
                None => ["–"; 4].map(str::to_owned),
            }
            .map(|cell| number(&cell)),
        );
        cells.push(td(&escape(&finding.sentence)));
        table.row(&escape(&finding.dataset), &cells);
    }
    format!("<p><strong>{}</strong> {}</p>\n{}", escape(&facts.verdict()), rule(facts), table.finish())
}

fn rule(facts: &GateFacts) -> String {
    let confidence = 100.0 * facts.gate.confidence;
    format!("Asked for: an improvement of at least {:+.4}, with {confidence:.1} % confidence.", facts.gate.min_delta)
}
