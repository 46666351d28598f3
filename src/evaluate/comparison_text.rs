//! A comparison as a plain-text table.
use super::{Change, Comparison, Flips, Interval, QueryChange};

/// The table of changes, and below it the first `most` gained and lost queries of every `hit@k`.
pub fn comparison_text(comparison: &Comparison, most: usize) -> String {
    let mut text = format!("{} queries in {} clusters", comparison.queries, comparison.clusters);
    if comparison.only_published + comparison.only_candidate > 0 {
        let (published, candidate) = (comparison.only_published, comparison.only_candidate);
        text += &format!("; left out: {published} only published, {candidate} only of the candidate");
    }
    let interval = format!("{} % interval", round(comparison.confidence * 100.0));
    text += &format!(
        "\n{:<14}{:>11}{:>11}{:>13}{:>24}{:>9}{:>9}  verdict\n",
        "metric", "published", "candidate", "improvement", interval, "p", "p Holm"
    );
    comparison.changes.iter().for_each(|change| text += &row(change));
    comparison.flips.iter().for_each(|flips| text += &flips_text(flips, most));
    text
}

fn row(change: &Change) -> String {
    let interval = change.interval.map_or_else(|| "one cluster".to_owned(), interval_text);
    format!(
        "{:<14}{:>11.4}{:>11.4}{:>+13.4}{:>24}{:>9}{:>9}  {}\n",
        change.metric,
        change.published,
        change.candidate,
        change.improvement,
        interval,
        p_text(change.p),
        p_text(change.p_holm),
        change.verdict
    )
}

fn interval_text(interval: Interval) -> String {
    format!("{:+.4} to {:+.4}", interval.lower, interval.upper)
}

/// Four decimals, and never a zero that was not measured.
fn p_text(p: f64) -> String {
    if p < 0.0001 { "<0.0001".to_owned() } else { format!("{p:.4}") }
}

fn flips_text(flips: &Flips, most: usize) -> String {
    let mut text = format!("{}: {} gained, {} lost\n", flips.metric, flips.gained.len(), flips.lost.len());
    for (word, changes) in [("gained", &flips.gained), ("lost", &flips.lost)] {
        changes.iter().take(most).for_each(|change| text += &format!("  {word:<8}{}\n", change_text(change)));
        if changes.len() > most && most > 0 {
            text += &format!("  … and {} more\n", changes.len() - most);
        }
    }
    text
}

fn change_text(change: &QueryChange) -> String {
    let rank = |rank: Option<u32>| rank.map_or_else(|| "not found".to_owned(), |rank| rank.to_string());
    format!("{}: rank {} -> {}", change.query, rank(change.published_rank), rank(change.candidate_rank))
}

/// Without the noise of a product, such as 99.00000000000001.
pub(super) fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::super::{Metric, Outcome, Paired, ResamplingOptions, Verdict};
    use super::*;

    fn side(ranks: impl Iterator<Item = u32>) -> Vec<Outcome> {
        let outcome = |(rank, at)| Outcome::new(&format!("q{at:02}"), at, [((rank > 0).then_some(rank), 1)]);
        ranks.zip(0..).map(outcome).collect()
    }

    fn compare(published: &[Outcome], candidate: &[Outcome], names: &[&str]) -> Comparison {
        let metrics: Vec<Metric> = names.iter().map(|name| name.parse().unwrap()).collect();
        Comparison::new(&Paired::join(published, candidate).unwrap(), &metrics, ResamplingOptions::default())
    }

    #[test]
    fn a_clear_gain_is_better_and_a_small_one_is_noise() {
        let published = side((0..60).map(|at| at % 3 + 1));
        let much = side((0..60).map(|at| if at < 40 { 1 } else { at % 3 + 1 }));
        let found = compare(&published, &much, &["hit@1", "median_rank"]);
        assert_eq!(found.changes[0].verdict, Verdict::Better);
        assert_eq!(found.changes[1].improvement, 1.0);
        let back = compare(&much, &published, &["hit@1"]);
        assert_eq!(back.changes[0].verdict, Verdict::Worse);
        let little = side((0..60).map(|at| if at < 6 { 1 } else { at % 3 + 1 }));
        assert_eq!(compare(&published, &little, &["hit@1"]).changes[0].verdict, Verdict::NotTold);
    }

    #[test]
    fn the_greatest_loss_stands_first_and_the_rest_are_counted() {
        let published = side([1, 2, 3, 1, 9, 0].into_iter());
        let candidate = side([1, 9, 0, 0, 1, 4].into_iter());
        let text = comparison_text(&compare(&published, &candidate, &["hit@5", "mrr"]), 2);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "6 queries in 6 clusters");
        assert!(lines[2].starts_with("hit@5              0.6667     0.5000      -0.1667"), "{text}");
        assert_eq!(
            lines[4..],
            [
                "hit@5: 2 gained, 3 lost",
                "  gained  q04: rank 9 -> 1",
                "  gained  q05: rank not found -> 4",
                "  lost    q03: rank 1 -> not found",
                "  lost    q01: rank 2 -> 9",
                "  … and 1 more",
            ]
        );
    }

    #[test]
    fn one_cluster_tells_nothing() {
        let one = |rank| vec![Outcome::new("a", 0, [(Some(rank), 1)]), Outcome::new("b", 0, [(Some(rank), 1)])];
        let found = compare(&one(9), &one(1), &["hit@1"]);
        assert_eq!((found.changes[0].p, found.changes[0].interval), (1.0, None));
        assert!(comparison_text(&found, 0).contains("one cluster"));
        assert!(serde_json::to_string(&found).unwrap().contains("\"verdict\":\"not_told\""));
    }
}
