//! What a pipeline file says.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::embed::EmbedSpec;
use crate::evaluate::EvaluateSpec;
use crate::index::IndexSpec;
use crate::ingest::{AuditSpec, IngestSpec};
use crate::report::ReportSpec;
use crate::train::{FinetuneSpec, ModelSpec};

/// Version of the file's layout.
pub const PIPELINE_VERSION: u64 = 1;

/// The seed of the reference.
pub const DEFAULT_SEED: u64 = 123;

/// A pipeline as its file gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineSpec {
    pub name: String,
    pub seed: u64,
    /// What computes, where no flag says otherwise.
    pub device: Option<String>,
    /// In file order.
    pub stages: Vec<StageEntry>,
}

/// One entry of `stages`.
#[derive(Debug, Clone, PartialEq)]
pub struct StageEntry {
    pub id: String,
    /// Position in the file, from 0.
    pub position: usize,
    pub spec: StageSpec,
}

/// The settings of a stage by kind.
#[derive(Debug, Clone, PartialEq)]
pub enum StageSpec {
    Ingest(IngestSpec),
    Audit(AuditSpec),
    Model(ModelSpec),
    Finetune(FinetuneSpec),
    Embed(EmbedSpec),
    Index(IndexSpec),
    Evaluate(EvaluateSpec),
    Report(ReportSpec),
}

/// Kinds of stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StageKind {
    Ingest,
    Audit,
    Model,
    Finetune,
    Embed,
    Index,
    Evaluate,
    Report,
}

impl StageKind {
    pub const ALL: [Self; 8] = [
        Self::Ingest,
        Self::Audit,
        Self::Model,
        Self::Finetune,
        Self::Embed,
        Self::Index,
        Self::Evaluate,
        Self::Report,
    ];

    /// The name in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Audit => "audit",
            Self::Model => "model",
            Self::Finetune => "finetune",
            Self::Embed => "embed",
            Self::Index => "index",
            Self::Evaluate => "evaluate",
            Self::Report => "report",
        }
    }
}

impl StageSpec {
    /// Reads the settings of a stage of `kind` from its fields.
    pub fn from_fields(kind: StageKind, fields: Value) -> Result<Self, serde_json::Error> {
        Ok(match kind {
            StageKind::Ingest => Self::Ingest(serde_json::from_value(fields)?),
            StageKind::Audit => Self::Audit(serde_json::from_value(fields)?),
            StageKind::Model => Self::Model(serde_json::from_value(fields)?),
            StageKind::Finetune => Self::Finetune(serde_json::from_value(fields)?),
            StageKind::Embed => Self::Embed(serde_json::from_value(fields)?),
            StageKind::Index => Self::Index(serde_json::from_value(fields)?),
            StageKind::Evaluate => Self::Evaluate(serde_json::from_value(fields)?),
            StageKind::Report => Self::Report(serde_json::from_value(fields)?),
        })
    }

    pub fn kind(&self) -> StageKind {
        match self {
            Self::Ingest(_) => StageKind::Ingest,
            Self::Audit(_) => StageKind::Audit,
            Self::Model(_) => StageKind::Model,
            Self::Finetune(_) => StageKind::Finetune,
            Self::Embed(_) => StageKind::Embed,
            Self::Index(_) => StageKind::Index,
            Self::Evaluate(_) => StageKind::Evaluate,
            Self::Report(_) => StageKind::Report,
        }
    }

    /// All settings, defaults filled in.
    pub fn to_json(&self) -> Result<Value, serde_json::Error> {
        match self {
            Self::Ingest(spec) => serde_json::to_value(spec),
            Self::Audit(spec) => serde_json::to_value(spec),
            Self::Model(spec) => serde_json::to_value(spec),
            Self::Finetune(spec) => serde_json::to_value(spec),
            Self::Embed(spec) => serde_json::to_value(spec),
            Self::Index(spec) => serde_json::to_value(spec),
            Self::Evaluate(spec) => serde_json::to_value(spec),
            Self::Report(spec) => serde_json::to_value(spec),
        }
    }

    /// Field, named stage, and the kinds it may have, for everything the stage needs directly.
    pub fn needs(&self) -> Vec<Need<'_>> {
        const MODELS: &[StageKind] = &[StageKind::Model, StageKind::Finetune];
        const AUDITS: &[StageKind] = &[StageKind::Audit];
        let need = |field, id, kinds| Need { field, id, kinds };
        match self {
            Self::Ingest(_) | Self::Model(_) => Vec::new(),
            Self::Audit(spec) => {
                let data = spec.needs.data.iter().enumerate();
                data.map(|(at, id)| need(format!("needs.data[{at}]"), id, &[StageKind::Ingest])).collect()
            }
            Self::Finetune(spec) => {
                let model = need("needs.model".to_owned(), &spec.needs.model, MODELS);
                let data = need("needs.data".to_owned(), &spec.needs.data, &[StageKind::Ingest]);
                let teacher = spec.needs.teacher.iter();
                let teacher = teacher.map(|id| need("needs.teacher".to_owned(), id, MODELS));
                let audit = spec.needs.audit.iter().map(|id| need("needs.audit".to_owned(), id, AUDITS));
                [model, data].into_iter().chain(teacher).chain(audit).collect()
            }
            Self::Embed(spec) => {
                let models = spec.needs.models.iter().enumerate();
                let data = spec.needs.data.iter().enumerate();
                models
                    .map(|(at, id)| need(format!("needs.models[{at}]"), id, MODELS))
                    .chain(data.map(|(at, id)| need(format!("needs.data[{at}]"), id, &[StageKind::Ingest])))
                    .collect()
            }
            Self::Index(spec) => vec![
                need("needs.embeddings".to_owned(), &spec.needs.embeddings, &[StageKind::Embed]),
                need("needs.model".to_owned(), &spec.needs.model, MODELS),
            ],
            Self::Evaluate(spec) => {
                let embeddings = need("needs.embeddings".to_owned(), &spec.needs.embeddings, &[StageKind::Embed]);
                let audit = spec.needs.audit.iter().map(|id| need("needs.audit".to_owned(), id, AUDITS));
                let index = spec.needs.index.iter();
                let index = index.map(|id| need("needs.index".to_owned(), id, &[StageKind::Index]));
                std::iter::once(embeddings).chain(audit).chain(index).collect()
            }
            Self::Report(spec) => {
                let scores = need("needs.scores".to_owned(), &spec.needs.scores, &[StageKind::Evaluate]);
                let index = spec.needs.index.iter();
                let index = index.map(|id| need("needs.index".to_owned(), id, &[StageKind::Index]));
                std::iter::once(scores).chain(index).collect()
            }
        }
    }
}

/// A stage that another one needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Need<'a> {
    /// Path of the field below the stage, e.g. `needs.models[1]`.
    pub field: String,
    pub id: &'a str,
    pub kinds: &'static [StageKind],
}
