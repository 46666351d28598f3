//! The gate over everything that an evaluation measured: the last model's outcomes against those of the published release.
use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{EvaluateError, GateSpec, Judgement, Outcome, OutcomeGroup, Paired, ResamplingOptions};

/// What a gate found about one data set in one direction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GateFinding {
    pub dataset: String,
    pub direction: String,
    pub passed: bool,
    /// The decision and its reason.
    pub sentence: String,
    /// The figures; absent where nothing could be compared.
    pub judgement: Option<Judgement>,
}

/// Judges every measurement that the gate is about; nothing comes back where it is about none. A query whose relevant documents are
/// others than before is another query and left out. What was measured before, and is not any more, is refused.
pub fn judge_outcomes(
    gate: &GateSpec,
    published: Vec<OutcomeGroup>,
    candidate: Vec<OutcomeGroup>,
) -> Result<Vec<GateFinding>, EvaluateError> {
    let (before, after) = (last_models(published), last_models(candidate));
    let mut found = Vec::new();
    for (place, candidate) in &after {
        if gate.concerns(&place.0, candidate.direction) {
            found.push(match before.get(place) {
                Some(published) => judge(gate, place, published, candidate)?,
                None => finding(place, true, "not measured in the published release"),
            });
        }
    }
    for (place, published) in &before {
        if gate.concerns(&place.0, published.direction) && !after.contains_key(place) {
            found.push(finding(place, false, "measured in the published release, and not any more"));
        }
    }
    Ok(found)
}

fn judge(
    gate: &GateSpec,
    place: &Place,
    published: &OutcomeGroup,
    candidate: &OutcomeGroup,
) -> Result<GateFinding, EvaluateError> {
    let labels: HashMap<&str, usize> =
        published.outcomes.iter().map(|outcome| (outcome.query.as_str(), outcome.ideal.len())).collect();
    let is_same = |outcome: &&Outcome| labels.get(outcome.query.as_str()) == Some(&outcome.ideal.len());
    let same: Vec<Outcome> = candidate.outcomes.iter().filter(is_same).cloned().collect();
    if same.is_empty() {
        return Ok(finding(place, false, "no query is that of the published release"));
    }
    let judgement = gate.judge(&Paired::join(&published.outcomes, &same)?, ResamplingOptions::default());
    let left_out = candidate.outcomes.len() - same.len();
    let note = if left_out > 0 { format!(" ({left_out} new or changed queries left out)") } else { String::new() };
    let sentence = format!("{}{note}", judgement.sentence);
    Ok(GateFinding { judgement: Some(judgement.clone()), ..finding(place, judgement.passed, &sentence) })
}

/// Data set and direction.
type Place = (String, String);

fn finding((dataset, direction): &Place, passed: bool, sentence: &str) -> GateFinding {
    GateFinding {
        dataset: dataset.clone(),
        direction: direction.clone(),
        passed,
        sentence: sentence.to_owned(),
        judgement: None,
    }
}

/// The outcomes of the last model, which is the one that is published, by data set and direction.
fn last_models(groups: Vec<OutcomeGroup>) -> BTreeMap<Place, OutcomeGroup> {
    let place = |group: &OutcomeGroup| (group.dataset.clone(), group.direction.as_str().to_owned());
    groups.into_iter().map(|group| (place(&group), group)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Direction;
    use super::*;

    fn group(model: &str, dataset: &str, ranks: &[u32]) -> OutcomeGroup {
        let outcomes = ranks.iter().zip(0..).map(|(rank, at)| Outcome::new(&format!("q{at}"), at, [(Some(*rank), 1)]));
        OutcomeGroup {
            model: model.to_owned(),
            dataset: dataset.to_owned(),
            split: "test".to_owned(),
            direction: Direction::TextToImage,
            outcomes: outcomes.collect(),
        }
    }

    fn gate() -> GateSpec {
        serde_json::from_str(r#"{"metric": "hit@1", "min_delta": 0.0}"#).unwrap()
    }

    #[test]
    fn the_last_model_is_judged_and_new_data_sets_pass() {
        let before = vec![group("a", "muge", &[1, 1, 1]), group("b", "muge", &[1, 2, 1])];
        let after = vec![group("a", "muge", &[9, 9, 9]), group("b", "muge", &[1, 2, 1]), group("b", "new", &[4])];
        let found = judge_outcomes(&gate(), before, after).unwrap();
        assert_eq!(
            found.iter().map(|one| (one.dataset.as_str(), one.passed)).collect::<Vec<_>>(),
            [("muge", true), ("new", true)]
        );
        assert!(found[0].sentence.contains("nothing changed") && found[1].judgement.is_none());
    }

    #[test]
    fn what_is_measured_no_longer_closes_the_gate() {
        let before = vec![group("b", "muge", &[1]), group("b", "gone", &[1])];
        let found = judge_outcomes(&gate(), before, vec![group("b", "muge", &[1])]).unwrap();
        assert_eq!(found.iter().map(|one| one.passed).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn queries_with_other_labels_are_left_out_and_counted() {
        let mut after = group("b", "muge", &[1, 1, 1]);
        after.outcomes.push(Outcome::new("q9", 9, [(Some(1), 1), (Some(2), 1)]));
        let found = judge_outcomes(&gate(), vec![group("b", "muge", &[1, 1, 1])], vec![after]).unwrap();
        assert!(
            found[0].passed && found[0].sentence.ends_with("(1 new or changed queries left out)"),
            "{}",
            found[0].sentence
        );
    }
}
