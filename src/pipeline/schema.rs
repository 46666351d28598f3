//! The JSON Schema of a pipeline file, made from the types that read it.
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use super::spec::{DEFAULT_SEED, PIPELINE_VERSION, StageKind};
use crate::embed::EmbedSpec;
use crate::evaluate::EvaluateSpec;
use crate::index::IndexSpec;
use crate::ingest::{AuditSpec, IngestSpec};
use crate::report::ReportSpec;
use crate::train::{FinetuneSpec, ModelSpec};

/// What a stage's or a pipeline's name may look like; names become folders.
pub const NAME_PATTERN: &str = "^[a-z0-9][a-z0-9_-]{0,62}$";

/// Devices that a file may name.
const DEVICE_PATTERN: &str = "^(auto|cpu|cuda(:[0-9]+(,[0-9]+)*)?)$";

/// The schema that `check` and editors use.
pub fn pipeline_schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let stages: Vec<Value> = StageKind::ALL.into_iter().map(|kind| stage_schema(kind, &mut generator)).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tuwen pipeline",
        "type": "object",
        "additionalProperties": false,
        "required": ["kind", "version", "name", "stages"],
        "properties": {
            "kind": { "const": "Pipeline", "description": "Always `Pipeline`." },
            "version": { "const": PIPELINE_VERSION, "description": "Version of the file's layout." },
            "name": {
                "type": "string",
                "pattern": NAME_PATTERN,
                "description": "Name under which the pipeline publishes its releases."
            },
            "seed": {
                "type": "integer",
                "minimum": 0,
                "default": DEFAULT_SEED,
                "description": "Decides initialisation, order, augmentation and splits."
            },
            "device": {
                "type": "string",
                "pattern": DEVICE_PATTERN,
                "default": "auto",
                "description": "What computes, where no flag says otherwise: auto, cpu, cuda:N or cuda:N,M."
            },
            "stages": {
                "type": "array",
                "minItems": 1,
                "items": { "oneOf": stages },
                "description": "The stages, in any order."
            }
        },
        "$defs": generator.definitions(),
    })
}

fn stage_schema(kind: StageKind, generator: &mut SchemaGenerator) -> Value {
    let mut schema = match kind {
        StageKind::Ingest => IngestSpec::json_schema(generator),
        StageKind::Audit => AuditSpec::json_schema(generator),
        StageKind::Model => ModelSpec::json_schema(generator),
        StageKind::Finetune => FinetuneSpec::json_schema(generator),
        StageKind::Embed => EmbedSpec::json_schema(generator),
        StageKind::Index => IndexSpec::json_schema(generator),
        StageKind::Evaluate => EvaluateSpec::json_schema(generator),
        StageKind::Report => ReportSpec::json_schema(generator),
    }
    .to_value();
    let id =
        json!({ "type": "string", "pattern": NAME_PATTERN, "description": "Name of the stage, unique in the file." });
    let entries = [("id", id), ("kind", json!({ "const": kind.as_str() }))];
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, entry) in entries {
            properties.insert(name.to_owned(), entry);
        }
    }
    if let Some(object) = schema.as_object_mut() {
        let required = object.entry("required").or_insert_with(|| json!([]));
        if let Some(required) = required.as_array_mut() {
            required.insert(0, json!("kind"));
            required.insert(0, json!("id"));
        }
    }
    schema
}
