//! Whether what a plan made may take the place of what is published.
use std::collections::{BTreeMap, HashMap};

use super::plan::{Plan, Step};
use super::spec::StageSpec;
use crate::data::ErrorClass;
use crate::evaluate::{GateSpec, Outcome, OutcomeGroup, Paired, ResamplingOptions, read_outcomes};
use crate::stage::StageError;
use crate::store::{Store, open_artifact};

/// Judges the gate of each of the plan's evaluations against the published ones. Gives what they said, or fails with
/// `ErrorClass::Gate`. Without anything published there is nothing to be worse than.
pub fn judge_gates(plan: &Plan, store: &Store) -> Result<Option<String>, StageError> {
    let mut passed = Vec::new();
    let mut failed = Vec::new();
    for step in &plan.steps {
        let StageSpec::Evaluate(spec) = &step.stage.spec else { continue };
        let (Some(gate), Some(published)) = (&spec.gate, plan.published.get(&step.stage.id)) else { continue };
        let before = last_models(read_outcomes(&open_artifact(store, published)?.folder)?);
        let after = last_models(read_outcomes(&open_artifact(store, &step.artifact)?.folder)?);
        for (sentence, ok) in judge(gate, step, &before, &after)? {
            if ok { passed.push(sentence) } else { failed.push(sentence) }
        }
    }
    if !failed.is_empty() {
        let message = format!("the gate is closed, nothing is published: {}", failed.join("; "));
        return Err(StageError::new(ErrorClass::Gate, message));
    }
    Ok((!passed.is_empty()).then(|| passed.join("; ")))
}

fn judge(gate: &GateSpec, step: &Step, before: &Groups, after: &Groups) -> Result<Vec<(String, bool)>, StageError> {
    let mut said = Vec::new();
    for ((dataset, direction), candidate) in after {
        if !gate.concerns(dataset, candidate.direction) {
            continue;
        }
        let place = format!("{} of {dataset}, {direction}", step.stage.id);
        let Some(published) = before.get(&(dataset.clone(), direction.clone())) else {
            said.push((format!("{place}: not measured in the published release"), true));
            continue;
        };
        // A query with other labels than before is another query.
        let labels: HashMap<&str, usize> =
            published.outcomes.iter().map(|outcome| (outcome.query.as_str(), outcome.ideal.len())).collect();
        let is_same = |outcome: &&Outcome| labels.get(outcome.query.as_str()) == Some(&outcome.ideal.len());
        let same: Vec<Outcome> = candidate.outcomes.iter().filter(is_same).cloned().collect();
        if same.is_empty() {
            said.push((format!("{place}: no query is that of the published release"), false));
            continue;
        }
        let paired = Paired::join(&published.outcomes, &same)?;
        let judgement = gate.judge(&paired, ResamplingOptions::default());
        let left_out = candidate.outcomes.len() - same.len();
        let note = if left_out > 0 { format!(" ({left_out} new or changed queries left out)") } else { String::new() };
        said.push((format!("{place}: {}{note}", judgement.sentence), judgement.passed));
    }
    for ((dataset, direction), published) in before {
        if gate.concerns(dataset, published.direction) && !after.contains_key(&(dataset.clone(), direction.clone())) {
            let place = format!("{} of {dataset}, {direction}", step.stage.id);
            said.push((format!("{place}: measured in the published release, and not any more"), false));
        }
    }
    if said.is_empty() {
        let message = format!("stage `{}`: no measurement meets the gate on {}", step.stage.id, gate.metric);
        return Err(StageError::new(ErrorClass::InvalidSpec, message));
    }
    Ok(said)
}

type Groups = BTreeMap<(String, String), OutcomeGroup>;

/// The outcomes of the last model, which is the one that is published, by data set and direction.
fn last_models(groups: Vec<OutcomeGroup>) -> Groups {
    let key = |group: &OutcomeGroup| (group.dataset.clone(), group.direction.as_str().to_owned());
    groups.into_iter().map(|group| (key(&group), group)).collect()
}
