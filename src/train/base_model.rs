//! `kind: model`: the checkpoint that the first stage starts from.
use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::ModelSpec;
use super::weights::local_weights;
use crate::model::{Checkpoint, ClipConfig, ConfigChanges, ModelError, open_model, preset, text_preset};
use crate::stage::{Shard, ShardReceipt, Stage, StageContext, StageError};

/// Writes the starting checkpoint.
#[derive(Debug, Clone)]
pub struct BaseModel {
    pub spec: ModelSpec,
    pub seed: u64,
}

impl BaseModel {
    /// The preset with the file's own changes.
    pub fn config(&self) -> Result<ClipConfig, ModelError> {
        let mut config = preset(&self.spec.preset)?;
        if let Some(name) = &self.spec.text_model {
            config.text = text_preset(name)?;
        }
        let ModelSpec { image_resolution, context_length, .. } = self.spec;
        config.with(ConfigChanges { image_resolution, context_length })
    }
}

impl Stage for BaseModel {
    fn run_shard(&self, context: &StageContext<'_>, shard: &Shard) -> Result<ShardReceipt, StageError> {
        let config = self.config()?;
        let state = match &self.spec.weights {
            None => config.random_state(self.seed)?,
            Some(path) => {
                let path = local_weights(path, context)?;
                let model = open_model(&path, Some(config.clone()), ConfigChanges::default())?;
                model.check_tokenizer()?;
                model.state
            }
        };
        let parameters = state.values().map(|tensor| tensor.values.len() as u64).sum::<u64>();
        let source = self.spec.weights.as_ref().map_or("random initialisation".to_owned(), |path| name(path));
        context.note(&format!("{}: {parameters} parameters, {source}", config.name));
        Checkpoint { config, state }.save(context.out)?;
        Ok(checkpoint_receipt(shard, BTreeMap::from([("parameters".to_owned(), json!(parameters))]), &[]))
    }
}

/// A checkpoint counts as one row.
pub(super) fn checkpoint_receipt(
    shard: &Shard,
    stats: BTreeMap<String, serde_json::Value>,
    more_files: &[&str],
) -> ShardReceipt {
    let files = ["config.json", "model.safetensors"].iter().chain(more_files);
    ShardReceipt {
        shard: shard.clone(),
        rows_in: 1,
        rows_out: 1,
        rows_quarantined: 0,
        rows_left_out: 0,
        shared: Vec::new(),
        digested: Vec::new(),
        files: files.map(|file| (*file).to_owned()).collect(),
        stats,
    }
}

fn name(path: &Path) -> String {
    format!("weights of {}", path.file_name().unwrap_or(path.as_os_str()).to_string_lossy())
}
