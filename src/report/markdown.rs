//! A report for a pull request or a wiki.
use std::fmt::Write;

use super::ReportFacts;
use super::facts::{ChangeFacts, direction_words};
use super::html::{p_value, points, sign};
use crate::evaluate::{Direction, Score};

/// The whole report. Texts of the data are escaped where they would end a cell or begin markup.
pub fn render_markdown(facts: &ReportFacts) -> String {
    let mut page = format!("# {}\n", plain(&facts.title));
    if !facts.scores.is_empty() {
        page.push_str("\n## Every checkpoint on every data set\n\nMean recall in percent, with 95 % intervals; text → image / image → text.\n\n");
        page.push_str(&matrix(facts));
    }
    if let Some(gate) = &facts.gate {
        let _ = write!(page, "\n## The gate\n\n{}\n\n", gate.verdict());
        for finding in &gate.findings {
            let (data, words) = (plain(&finding.dataset), direction_words(&finding.direction));
            let _ = writeln!(page, "- {data}, {words}: {}", plain(&finding.sentence));
        }
    }
    if !facts.forgetting.is_empty() {
        page.push_str("\n## What each stage forgot\n\n");
        page.push_str(&forgetting(facts));
    }
    if !facts.attribution.is_empty() {
        page.push_str("\n## Where hits are lost\n\n");
        page.push_str(&attribution(facts));
    }
    for dataset in &facts.datasets {
        for direction in Direction::CROSS_MODAL {
            let (queries, documents) = facts.pool(&dataset.id, direction.as_str());
            let words = direction_words(direction.as_str());
            let _ = write!(
                page,
                "\n## {}, {words} ({} split: {queries} queries, {documents} documents)\n\n",
                plain(&dataset.id),
                dataset.measured
            );
            page.push_str(&score_table(facts, &dataset.id, direction.as_str()));
        }
    }
    for query in &facts.queries {
        let _ = write!(page, "\n## Query: {}\n\n", plain(&query.text));
        for (hit, rank) in query.hits.iter().zip(1..) {
            let _ = writeln!(page, "{rank}. `{}` {} ({:.4})", hit.id, plain(&hit.text), hit.score);
        }
    }
    page
}

/// Models by metrics, in percent, for one data set and direction.
pub fn score_table(facts: &ReportFacts, dataset: &str, direction: &str) -> String {
    let metrics = facts.metrics();
    let mut table = format!("| model | {} |\n|---|{}\n", metrics.join(" | "), "---:|".repeat(metrics.len()));
    for model in facts.model_names() {
        let cells = metrics.iter().map(|metric| value(facts.score(model, dataset, direction, metric)));
        let _ = writeln!(table, "| {} | {} |", plain(model), cells.collect::<Vec<_>>().join(" | "));
    }
    table
}

/// `51.0 (47–55)`, or a dash.
fn value(score: Option<&Score>) -> String {
    let Some(score) = score else { return "–".to_owned() };
    let range = match (score.lower, score.upper) {
        (Some(lower), Some(upper)) => format!(" ({:.0}–{:.0})", 100.0 * lower, 100.0 * upper),
        _ => String::new(),
    };
    format!("{:.1}{range}", 100.0 * score.value)
}

fn matrix(facts: &ReportFacts) -> String {
    let names: Vec<String> = facts.datasets.iter().map(|data| plain(&data.id)).collect();
    let mut table = format!("| checkpoint | {} |\n|---|{}\n", names.join(" | "), "---:|".repeat(names.len()));
    for model in facts.model_names() {
        let cells = facts.datasets.iter().map(|data| {
            let both =
                Direction::CROSS_MODAL.map(|way| value(facts.score(model, &data.id, way.as_str(), "mean_recall")));
            let both = both.join(" / ");
            if facts.is_own(model, &data.id) { format!("**{both}**") } else { both }
        });
        let _ = writeln!(table, "| {} | {} |", plain(model), cells.collect::<Vec<_>>().join(" | "));
    }
    table
}

fn forgetting(facts: &ReportFacts) -> String {
    let mut table = String::from(
        "| checkpoint | data set | direction | against | change in points | p, corrected | verdict |\n|---|---|---|---|---:|---:|---|\n",
    );
    for change in &facts.forgetting {
        let ChangeFacts { model, against, dataset, direction, .. } = change;
        let verdict = change.verdict();
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} | {} {} |",
            plain(model),
            plain(dataset),
            direction_words(direction.as_str()),
            plain(against),
            points(change.change),
            change.p.map_or("–".to_owned(), p_value),
            sign(verdict),
            verdict.words()
        );
    }
    table
}

fn attribution(facts: &ReportFacts) -> String {
    let mut table = String::from("| data set | search | hit@1 | hit@5 | hit@10 |\n|---|---|---:|---:|---:|\n");
    for facts in &facts.attribution {
        for system in &facts.systems {
            let [one, five, ten] = [system.hit1, system.hit5, system.hit10].map(|hit| format!("{:.1}", 100.0 * hit));
            let _ = writeln!(table, "| {} | {} | {one} | {five} | {ten} |", plain(&facts.dataset), system.system);
        }
    }
    table.push_str("\n| data set | queries | encoder | index | tokenizer | fusion |\n|---|---:|---:|---:|---:|---:|\n");
    for (facts, losses) in facts.attribution.iter().filter_map(|facts| Some((facts, facts.losses?))) {
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} |",
            plain(&facts.dataset),
            facts.queries,
            losses.encoder,
            losses.index,
            losses.tokenizer,
            losses.fusion
        );
    }
    table
}

/// Text that neither ends a table cell nor begins markup.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '\\' | '`' | '*' | '[' | ']' | '_' => safe.extend(['\\', c]),
            '<' => safe.push_str("&lt;"),
            '\n' | '\r' => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::{HOSTILE, facts};
    use super::*;

    #[test]
    fn every_row_of_a_table_has_the_cells_of_its_head() {
        let page = render_markdown(&facts(1));
        let mut width = 0;
        for line in page.lines() {
            let cells = line.replace("\\|", "").matches('|').count();
            if !line.starts_with('|') {
                width = 0;
            } else if width == 0 {
                width = cells;
            } else {
                assert_eq!(cells, width, "{line}");
            }
        }
    }

    #[test]
    fn a_hostile_caption_stays_text() {
        let page = render_markdown(&facts(1));
        assert!(page.contains("&lt;script>alert(1)&lt;/script>") && !page.contains(HOSTILE));
    }
}
