//! How the stages refer to each other: unique ids, known needs of the right kind, no cycles.
use std::collections::{BTreeMap, BTreeSet};

use super::{Problems, positions};
use crate::data::closest;
use crate::pipeline::node::Node;
use crate::pipeline::spec::{PipelineSpec, StageEntry, StageKind, StageSpec};

pub(super) fn check(root: &Node, spec: &PipelineSpec, problems: &mut Problems) {
    let positions = positions(problems);
    unique(root, problems, &positions);
    let stages: BTreeMap<&str, &StageEntry> = spec.stages.iter().rev().map(|s| (s.id.as_str(), s)).collect();
    for stage in &spec.stages {
        needs(root, stage, &stages, &positions, problems);
        indexed_model(root, stage, &stages, problems);
    }
    cycles(root, spec, &stages, problems);
}

fn unique(root: &Node, problems: &mut Problems, positions: &BTreeMap<String, usize>) {
    for (position, id) in problems.stages.clone().into_iter().enumerate() {
        let Some(id) = id else { continue };
        if let Some(first) = positions.get(&id).filter(|first| **first != position) {
            let message = format!("`{id}` is the id of stages[{first}] too");
            problems.report_stage(root, position, "id", message, "give every stage an id of its own");
        }
    }
}

fn needs(
    root: &Node,
    stage: &StageEntry,
    stages: &BTreeMap<&str, &StageEntry>,
    positions: &BTreeMap<String, usize>,
    problems: &mut Problems,
) {
    for need in stage.spec.needs() {
        if let Some(found) = stages.get(need.id) {
            let kind = found.spec.kind();
            if !need.kinds.contains(&kind) {
                let message = format!("`{}` is of kind {}", need.id, kind.as_str());
                let remedy = format!("name a stage of kind {}", kind_names(need.kinds));
                problems.report_stage(root, stage.position, &need.field, message, remedy);
            }
        } else if !positions.contains_key(need.id) {
            let remedy = match closest(need.id, positions.keys().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("name a stage of kind {}", kind_names(need.kinds)),
            };
            let message = format!("no stage has the id `{}`", need.id);
            problems.report_stage(root, stage.position, &need.field, message, remedy);
        }
    }
}

/// The model of an index must be one that the embeddings were made with.
fn indexed_model(root: &Node, stage: &StageEntry, stages: &BTreeMap<&str, &StageEntry>, problems: &mut Problems) {
    let StageSpec::Index(index) = &stage.spec else { return };
    let Some(StageEntry { spec: StageSpec::Embed(embed), .. }) = stages.get(index.needs.embeddings.as_str()) else {
        return;
    };
    if stages.contains_key(index.needs.model.as_str()) && !embed.needs.models.contains(&index.needs.model) {
        let message = format!("`{}` holds no vectors of `{}`", index.needs.embeddings, index.needs.model);
        let remedy = format!("use one of: {}", embed.needs.models.join(", "));
        problems.report_stage(root, stage.position, "needs.model", message, remedy);
    }
}

fn cycles(root: &Node, spec: &PipelineSpec, stages: &BTreeMap<&str, &StageEntry>, problems: &mut Problems) {
    let mut reported = BTreeSet::new();
    for stage in &spec.stages {
        let Some(path) = cycle_through(&stage.id, stages) else { continue };
        let members: BTreeSet<&str> = path.iter().copied().collect();
        if reported.insert(members) {
            let message = format!("needs itself: {} -> {}", path.join(" -> "), stage.id);
            problems.report_stage(root, stage.position, "needs", message, "break the circle");
        }
    }
}

/// The stages from `start` back to itself, if its needs lead there.
fn cycle_through<'a>(start: &'a str, stages: &BTreeMap<&'a str, &'a StageEntry>) -> Option<Vec<&'a str>> {
    let mut seen = BTreeSet::new();
    let mut paths = vec![vec![start]];
    while let Some(path) = paths.pop() {
        let stage = stages.get(path.last()?)?;
        for need in stage.spec.needs() {
            if need.id == start {
                return Some(path);
            }
            if stages.contains_key(need.id) && seen.insert(need.id) {
                let mut longer = path.clone();
                longer.push(need.id);
                paths.push(longer);
            }
        }
    }
    None
}

fn kind_names(kinds: &[StageKind]) -> String {
    kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" or ")
}
