//! Whether a candidate may take the place of what is published.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::comparison::values;
use super::comparison_text::round;
use super::interval::improvement_intervals;
use super::{Direction, Metric, Paired, ResamplingOptions};

/// One condition on a candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GateSpec {
    pub metric: Metric,
    /// The least improvement, in the metric's own unit: `-0.01` lets `hit@1` fall by one point, `0.02` asks for a gain
    /// of two, and `-1` lets `median_rank`, of which less is better, rise by one rank. With `rule: not_worse` a
    /// candidate just as good as what is published needs room for noise: give a negative number.
    pub min_delta: f64,
    /// One-sided level of confidence.
    #[serde(default = "default_confidence")]
    #[schemars(range(min = 0.5, max = 0.999))]
    pub confidence: f64,
    #[serde(default)]
    pub rule: GateRule,
    /// The data set this is about. Left out: every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// The direction this is about. Left out: both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
}

/// Who has to prove what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateRule {
    /// Passes only when the candidate is shown to be good enough: the lower confidence bound of the improvement
    /// reaches `min_delta`, or every query is ranked alike and no gain is asked for.
    #[default]
    NotWorse,
    /// Refuses only when the candidate is shown to be too bad: the upper confidence bound of the improvement stays
    /// below `min_delta`.
    NoCertainLoss,
}

fn default_confidence() -> f64 {
    0.95
}

/// What a gate decided.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    pub metric: Metric,
    pub passed: bool,
    pub published: f64,
    pub candidate: f64,
    /// Positive is better, also where lower values are.
    pub improvement: f64,
    /// One-sided bounds of the improvement; `None` where there is only one cluster.
    pub lower: Option<f64>,
    pub upper: Option<f64>,
    /// The decision and its figures.
    pub sentence: String,
}

impl GateSpec {
    /// What is wrong with the numbers, if anything is.
    pub fn problem(&self) -> Option<String> {
        if !(0.5..=0.999).contains(&self.confidence) {
            return Some(format!("confidence {} is not in 0.5 to 0.999; use 0.95", self.confidence));
        }
        if !self.min_delta.is_finite() || self.metric.is_fraction() && self.min_delta.abs() >= 1.0 {
            return Some(format!(
                "min_delta {} can never be met or missed; {} is a fraction, one point is 0.01",
                self.min_delta, self.metric
            ));
        }
        None
    }

    pub fn concerns(&self, dataset: &str, direction: Direction) -> bool {
        self.dataset.as_ref().is_none_or(|own| own == dataset) && self.direction.is_none_or(|own| own == direction)
    }

    /// Judges the candidate on the queries that both have. Takes seed and resamples from the options, the level from
    /// the gate.
    pub fn judge(&self, paired: &Paired<'_>, options: ResamplingOptions) -> Judgement {
        let (published, candidate) = values(self.metric, paired);
        let improvement = self.metric.improvement(published, candidate);
        // A two-sided interval at 2c - 1 ends at the one-sided bounds at c.
        let options = ResamplingOptions { confidence: 2.0 * self.confidence - 1.0, ..options };
        let interval = improvement_intervals(&[self.metric], paired, options).into_iter().next().flatten();
        let (lower, upper) = (interval.map(|interval| interval.lower), interval.map(|interval| interval.upper));
        let identical = paired.is_identical() && self.min_delta <= 0.0;
        let passed = match self.rule {
            GateRule::NotWorse => identical || lower.is_some_and(|lower| lower >= self.min_delta),
            GateRule::NoCertainLoss => identical || upper.is_none_or(|upper| upper >= self.min_delta),
        };
        let mut judgement = Judgement {
            metric: self.metric,
            passed,
            published,
            candidate,
            improvement,
            lower,
            upper,
            sentence: String::new(),
        };
        judgement.sentence = self.sentence(&judgement, paired);
        judgement
    }

    fn sentence(&self, judgement: &Judgement, paired: &Paired<'_>) -> String {
        let Judgement { metric, published, candidate, improvement, .. } = judgement;
        let decision = if judgement.passed { "passed" } else { "refused" };
        let (word, bound) = match self.rule {
            GateRule::NotWorse => ("least", judgement.lower),
            GateRule::NoCertainLoss => ("most", judgement.upper),
        };
        let level = round(self.confidence * 100.0);
        let certainty = match bound {
            _ if paired.is_identical() => "nothing changed".to_owned(),
            Some(bound) => format!("with {level} % confidence the improvement is at {word} {bound:+.4}"),
            None => "one cluster of queries says nothing about others".to_owned(),
        };
        let mut sentence = format!(
            "{decision}: {metric} went from {published:.4} to {candidate:.4} (improvement {improvement:+.4}) \
             on {} queries in {} clusters; {certainty}, where {:+.4} is asked for",
            paired.queries(),
            paired.cluster_count(),
            self.min_delta
        );
        if paired.only_published + paired.only_candidate > 0 {
            let (published, candidate) = (paired.only_published, paired.only_candidate);
            sentence += &format!("; left out: {published} queries only published, {candidate} only of the candidate");
        }
        sentence
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    fn side(ranks: impl Iterator<Item = u32>) -> Vec<Outcome> {
        ranks.zip(0..).map(|(rank, at)| Outcome::new(&format!("q{at}"), at, [(Some(rank), 1)])).collect()
    }

    fn judge(spec: &str, published: &[Outcome], candidate: &[Outcome]) -> Judgement {
        let spec: GateSpec = serde_json::from_str(spec).unwrap();
        assert_eq!(spec.problem(), None);
        spec.judge(&Paired::join(published, candidate).unwrap(), ResamplingOptions::default())
    }

    const MARGIN: &str = r#"{"metric": "hit@1", "min_delta": -0.02}"#;
    const CERTAIN: &str = r#"{"metric": "hit@1", "min_delta": 0.0, "rule": "no_certain_loss"}"#;

    #[test]
    fn a_loss_that_may_be_noise_fails_the_one_rule_and_passes_the_other() {
        let published = side((0..400).map(|at| at % 4 + 1));
        // Eight hits lost and five gained: a loss of 0.0075, of which 0.022 would be likely.
        let candidate = side((0..400).map(|at| match at {
            0 | 4 | 8 | 12 | 16 | 20 | 24 | 28 => 2,
            1 | 5 | 9 | 13 | 17 => 1,
            _ => at % 4 + 1,
        }));
        let strict = judge(MARGIN, &published, &candidate);
        assert!(!strict.passed && strict.improvement > -0.02, "{}", strict.sentence);
        assert!(judge(CERTAIN, &published, &candidate).passed);
        let paired = Paired::join(&published, &candidate).unwrap();
        let options = ResamplingOptions { confidence: 0.9, ..ResamplingOptions::default() };
        let both_sides = improvement_intervals(&[Metric::Hit(1)], &paired, options)[0].unwrap();
        assert!((strict.lower.unwrap() - both_sides.lower).abs() < 1e-12, "a one-sided bound at 95 % is wrong");
        let wide = r#"{"metric": "hit@1", "min_delta": -0.05}"#;
        assert!(judge(wide, &published, &candidate).passed);
    }

    #[test]
    fn a_certain_loss_fails_both_rules_and_says_so() {
        let published = side((0..400).map(|at| at % 4 + 1));
        let candidate = side((0..400).map(|at| at % 4 + 1 + u32::from(at < 200)));
        let found = judge(CERTAIN, &published, &candidate);
        assert!(!found.passed && !judge(MARGIN, &published, &candidate).passed);
        let start = "refused: hit@1 went from 0.2500 to 0.1250 (improvement -0.1250) on 400 queries in 400 clusters; \
                     with 95 % confidence the improvement is at most -0.0";
        assert!(found.sentence.starts_with(start), "{}", found.sentence);
        assert!(found.sentence.ends_with(", where +0.0000 is asked for"), "{}", found.sentence);
    }

    #[test]
    fn the_same_ranking_passes_unless_a_gain_is_asked_for() {
        let same = side([1, 2, 3].into_iter());
        assert!(judge(r#"{"metric": "hit@1", "min_delta": 0.0}"#, &same, &same).passed);
        assert!(!judge(r#"{"metric": "hit@1", "min_delta": 0.01}"#, &same, &same).passed);
        let one = side([1].into_iter());
        assert!(judge(MARGIN, &one, &one).passed);
        assert!(!judge(MARGIN, &one, &side([2].into_iter())).passed);
    }

    #[test]
    fn what_is_exactly_enough_passes() {
        let (published, candidate) = (side([2; 20].into_iter()), side([1; 20].into_iter()));
        assert!(judge(r#"{"metric": "mrr", "min_delta": 0.5}"#, &published, &candidate).passed);
        let less = r#"{"metric": "mrr", "min_delta": -0.5, "rule": "no_certain_loss"}"#;
        assert!(judge(less, &candidate, &published).passed);
    }

    #[test]
    fn a_rising_median_rank_is_a_loss() {
        let (low, high) = (side((0..200).map(|at| at % 5 + 1)), side((0..200).map(|at| at % 5 + 4)));
        let gate = r#"{"metric": "median_rank", "min_delta": -1}"#;
        assert!(!judge(gate, &low, &high).passed);
        let found = judge(gate, &high, &low);
        assert!(found.passed && found.improvement == 3.0, "{}", found.sentence);
        let nothing: Vec<Outcome> = (0..200).map(|at| Outcome::new(&format!("q{at}"), at, [(None, 1)])).collect();
        assert!(!judge(gate, &low, &nothing).passed);
        assert!(
            !judge(r#"{"metric": "median_rank", "min_delta": -1, "rule": "no_certain_loss"}"#, &low, &nothing).passed
        );
    }

    #[test]
    fn a_gate_knows_what_it_is_about_and_what_it_cannot_mean() {
        let read = |json: &str| serde_json::from_str::<GateSpec>(json);
        let gate =
            read(r#"{"metric": "mrr", "min_delta": 0, "dataset": "muge", "direction": "text_to_image"}"#).unwrap();
        assert_eq!((gate.confidence, gate.rule), (0.95, GateRule::NotWorse));
        assert!(gate.concerns("muge", Direction::TextToImage) && !gate.concerns("muge", Direction::ImageToText));
        assert!(!gate.concerns("flickr", Direction::TextToImage));
        assert!(read(r#"{"metric": "mrr", "min_delta": 0, "margin": 1}"#).is_err());
        assert!(read(r#"{"metric": "mrr", "min_delta": -1}"#).unwrap().problem().is_some());
        assert!(read(r#"{"metric": "mrr", "min_delta": 0, "confidence": 95}"#).unwrap().problem().is_some());
    }
}
