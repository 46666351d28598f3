//! Whether what a plan made may take the place of what is published.
use super::plan::Plan;
use super::spec::StageSpec;
use crate::data::ErrorClass;
use crate::evaluate::{judge_outcomes, read_outcomes};
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
        let before = read_outcomes(&open_artifact(store, published)?.folder)?;
        let after = read_outcomes(&open_artifact(store, &step.artifact)?.folder)?;
        let found = judge_outcomes(gate, before, after)?;
        if found.is_empty() {
            let message = format!("stage `{}`: no measurement meets the gate on {}", step.stage.id, gate.metric);
            return Err(StageError::new(ErrorClass::InvalidSpec, message));
        }
        for one in found {
            let sentence = format!("{} of {}, {}: {}", step.stage.id, one.dataset, one.direction, one.sentence);
            if one.passed { passed.push(sentence) } else { failed.push(sentence) }
        }
    }
    if !failed.is_empty() {
        let message = format!("the gate is closed, nothing is published: {}", failed.join("; "));
        return Err(StageError::new(ErrorClass::Gate, message));
    }
    Ok((!passed.is_empty()).then(|| passed.join("; ")))
}
