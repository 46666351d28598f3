//! A pipeline file's text to a [`PipelineSpec`], or every problem it has at once. No I/O.

mod environment;
mod references;
mod shape;
mod values;

use std::collections::BTreeMap;

use serde_json::Value;

use super::node::{Node, NodeValue};
use super::schema::pipeline_schema;
use super::spec::{DEFAULT_SEED, PipelineSpec, StageEntry, StageKind, StageSpec};
use crate::data::{Diagnostic, Location};

pub use environment::Lookup;

/// Puts environment variables in their places, then checks shape, values, and how the stages refer to each other.
pub fn check(file: &str, text: &str, variables: Lookup<'_>) -> Result<PipelineSpec, Vec<Diagnostic>> {
    let mut problems = Problems { file: file.to_owned(), stages: Vec::new(), found: Vec::new() };
    let mut root = match Node::parse(text) {
        Ok(root) => root,
        Err(error) => {
            let place = error.location().map_or(Location { line: 1, column: 1 }, |place| Location {
                line: place.line(),
                column: place.column(),
            });
            let message = first_line(&error.to_string());
            problems.report(place, String::new(), message, "mend the YAML");
            return Err(problems.found);
        }
    };
    problems.stages = stage_ids(&root);
    environment::expand(&mut root, variables, &mut problems);
    shape::check(&root, &pipeline_schema(), &mut problems);
    let spec = read(&root, &mut problems);
    values::check(&root, &spec, &mut problems);
    references::check(&root, &spec, &mut problems);
    if problems.found.is_empty() {
        return Ok(spec);
    }
    problems.found.sort_by_key(|problem| (problem.line, problem.column));
    problems.found.dedup();
    Err(problems.found)
}

/// Collects diagnostics.
struct Problems {
    file: String,
    /// Ids by position, for the paths.
    stages: Vec<Option<String>>,
    found: Vec<Diagnostic>,
}

impl Problems {
    fn report(&mut self, place: Location, path: String, message: impl Into<String>, remedy: impl Into<String>) {
        self.found.push(Diagnostic {
            file: self.file.clone(),
            line: place.line,
            column: place.column,
            path,
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    /// Reports at a field of a stage.
    fn report_stage(
        &mut self,
        root: &Node,
        position: usize,
        field: &str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let place = root.locate(&format!("stages[{position}].{field}"));
        let path = format!("{}.{field}", self.stage_path(position));
        self.report(place, path, message, remedy);
    }

    /// `stages[2] (flickr-tuned)`.
    fn stage_path(&self, position: usize) -> String {
        match self.stages.get(position) {
            Some(Some(id)) => format!("stages[{position}] ({id})"),
            _ => format!("stages[{position}]"),
        }
    }

    /// Whether a problem of that stage was found already.
    fn has_stage(&self, position: usize) -> bool {
        let path = self.stage_path(position);
        self.found.iter().any(|problem| problem.path.starts_with(&path))
    }
}

/// Reads whatever part of the file has the right shape.
fn read(root: &Node, problems: &mut Problems) -> PipelineSpec {
    let mut stages = Vec::new();
    for (position, node) in stage_nodes(root).iter().enumerate() {
        if problems.has_stage(position) {
            continue;
        }
        let Value::Object(mut fields) = node.to_json() else { continue };
        let id = fields.remove("id").and_then(|id| id.as_str().map(str::to_owned));
        let kind = fields.remove("kind").and_then(|kind| serde_json::from_value::<StageKind>(kind).ok());
        let (Some(id), Some(kind)) = (id, kind) else { continue };
        match StageSpec::from_fields(kind, Value::Object(fields)) {
            Ok(spec) => stages.push(StageEntry { id, position, spec }),
            Err(error) => {
                let path = problems.stage_path(position);
                problems.report(node.location, path, error.to_string(), "see schemas/pipeline.schema.json");
            }
        }
    }
    PipelineSpec {
        name: root.field("name").and_then(Node::text).unwrap_or_default().to_owned(),
        seed: root.field("seed").and_then(|seed| seed.to_json().as_u64()).unwrap_or(DEFAULT_SEED),
        device: root.field("device").and_then(Node::text).map(str::to_owned),
        stages,
    }
}

fn stage_nodes(root: &Node) -> &[Node] {
    match root.field("stages").map(|stages| &stages.value) {
        Some(NodeValue::List(items)) => items,
        _ => &[],
    }
}

fn stage_ids(root: &Node) -> Vec<Option<String>> {
    let id = |node: &Node| node.field("id").and_then(Node::text).map(str::to_owned);
    stage_nodes(root).iter().map(id).collect()
}

/// Positions of all stages by id, the first of each; also of those that have problems of their own.
fn positions(problems: &Problems) -> BTreeMap<String, usize> {
    let mut positions = BTreeMap::new();
    for (position, id) in problems.stages.iter().enumerate() {
        if let Some(id) = id {
            positions.entry(id.clone()).or_insert(position);
        }
    }
    positions
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
