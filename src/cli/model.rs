//! `tuwen model list | show | import | export`.
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{Failure, Output};
use crate::data::ErrorClass;
use crate::model::{
    Checkpoint, ConfigChanges, ModelFile, PRESETS, VisionConfig, open_model, preset, read_config, text_preset_name,
    write_hugging_face, write_pytorch,
};
use crate::store::StoreError;

#[derive(Debug, Args)]
pub struct ModelArgs {
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Debug, Subcommand)]
enum ModelCommand {
    /// The architectures with their text towers and parameters.
    List,
    /// What a checkpoint holds.
    Show {
        #[command(flatten)]
        source: ModelSource,
    },
    /// Read a checkpoint of the reference or of Hugging Face and write it as tuwen keeps it.
    Import {
        #[command(flatten)]
        source: ModelSource,
        /// Folder to write to; must not exist.
        #[arg(long)]
        output: PathBuf,
    },
    /// Write a checkpoint so that `cn_clip` or transformers read it.
    Export {
        #[command(flatten)]
        source: ModelSource,
        #[arg(long, value_enum)]
        format: ExportFormat,
        /// A `.pt` file for chinese-clip, else a folder; must not exist.
        #[arg(long)]
        output: PathBuf,
    },
}

/// A checkpoint and, where it does not say so itself, its architecture.
#[derive(Debug, Clone, Args)]
pub struct ModelSource {
    /// A `.pt`, `.bin` or `.safetensors` file, or a folder of tuwen or Hugging Face.
    #[arg(value_name = "MODEL")]
    path: PathBuf,
    #[command(flatten)]
    architecture: Architecture,
}

/// What a checkpoint is to be read as.
#[derive(Debug, Clone, Default, Args)]
pub struct Architecture {
    /// Read the weights as this preset instead of what they or their config.json tell.
    #[arg(long, conflicts_with = "config")]
    preset: Option<String>,
    /// Read the weights as this configuration (JSON, as in a folder of tuwen).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Another image size in pixels; position embeddings are interpolated.
    #[arg(long, value_name = "PIXELS")]
    image_resolution: Option<usize>,
    /// Another number of tokens per text.
    #[arg(long, value_name = "TOKENS")]
    context_length: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// The reference's `.pt`, as its trainer writes it.
    ChineseClip,
    /// A folder for `ChineseCLIPModel.from_pretrained`.
    HuggingFace,
    /// A folder of tuwen.
    Native,
}

impl Architecture {
    /// Opens a checkpoint.
    pub fn open(&self, path: &Path) -> Result<ModelFile, Failure> {
        let given = match (&self.preset, &self.config) {
            (Some(name), _) => Some(preset(name)?),
            (None, Some(file)) => Some(read_config(file)?),
            (None, None) => None,
        };
        let changes = ConfigChanges { image_resolution: self.image_resolution, context_length: self.context_length };
        Ok(open_model(path, given, changes)?)
    }
}

pub fn run(args: &ModelArgs) -> Result<Output, Failure> {
    match &args.command {
        ModelCommand::List => list(),
        ModelCommand::Show { source } => Ok(show(&source.architecture.open(&source.path)?)),
        ModelCommand::Import { source, output } => {
            write_model(source.architecture.open(&source.path)?, ExportFormat::Native, output)
        }
        ModelCommand::Export { source, format, output } => {
            write_model(source.architecture.open(&source.path)?, *format, output)
        }
    }
}

fn list() -> Result<Output, Failure> {
    let mut text = format!("{:<14} {:<30} {:>12} {:>8}\n", "name", "text tower", "parameters", "pixels");
    let mut models = Vec::new();
    for name in PRESETS {
        let config = preset(name)?;
        let parameters = config.parameters().total;
        let (tower, side) = (text_preset_name(name), config.vision.image_resolution());
        let _ = writeln!(text, "{name:<14} {tower:<30} {parameters:>12} {side:>8}");
        models.push(json!({
            "name": name, "text_tower": tower, "parameters": parameters, "image_resolution": side,
            "context_length": config.context_length, "embed_dim": config.embed_dim,
        }));
    }
    Ok(Output { text, json: json!({ "models": models }) })
}

fn show(model: &ModelFile) -> Output {
    let ModelFile { config, .. } = model;
    let parameters = config.parameters();
    let dtypes = model.dtypes.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ");
    let logit_scale = model.state.get("logit_scale").and_then(|tensor| tensor.values.first()).copied();
    let vision = match &config.vision {
        VisionConfig::Vit(vit) => format!(
            "vision transformer, {} layers of {}, {} heads, patches of {}",
            vit.layers,
            vit.width,
            vit.heads(),
            vit.patch_size
        ),
        VisionConfig::ResNet(resnet) => format!("residual network, {:?} blocks, width {}", resnet.layers, resnet.width),
    };
    let tower = &config.text;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<16} {value}");
    };
    line("weights", model.weights.display().to_string());
    line("format", model.format.as_str().to_owned());
    line("architecture", config.name.clone());
    line("tensors", dtypes);
    line("images", format!("{} parameters: {vision}, {} pixels", parameters.vision, config.vision.image_resolution()));
    line(
        "texts",
        format!(
            "{} parameters: BERT, {} layers of {}, {} heads, vocabulary of {}, {} of {} positions",
            parameters.text + parameters.text_projection,
            tower.layers,
            tower.hidden_size,
            tower.heads,
            tower.vocab_size,
            config.context_length,
            tower.max_position_embeddings
        ),
    );
    line("shared space", format!("{} dimensions", config.embed_dim));
    line("parameters", parameters.total.to_string());
    line(
        "logit scale",
        logit_scale.map_or_else(String::new, |value| format!("{value:.4} (factor {:.2})", value.exp())),
    );
    let json = json!({
        "weights": model.weights, "format": model.format.as_str(), "architecture": config.name,
        "tensors": model.dtypes, "config": config, "logit_scale": logit_scale,
        "parameters": { "vision": parameters.vision, "text": parameters.text,
            "text_projection": parameters.text_projection, "total": parameters.total },
    });
    Output { text, json }
}

/// Writes beside the target first, so that the target is whole or absent.
fn write_model(model: ModelFile, format: ExportFormat, output: &Path) -> Result<Output, Failure> {
    if output.exists() {
        let message = format!("{}: exists already; choose another --output", output.display());
        return Err(Failure::new(ErrorClass::BadInput, message));
    }
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = output.with_file_name(name);
    let remove = || drop(std::fs::remove_dir_all(&partial).or_else(|_| std::fs::remove_file(&partial)));
    // A killed try may have left something.
    remove();
    let checkpoint = Checkpoint { config: model.config, state: model.state };
    let written = write_format(&checkpoint, format, &partial)
        .and_then(|()| std::fs::rename(&partial, output).map_err(|error| StoreError::io(output)(error).into()));
    if let Err(failure) = written {
        // What is left of a failed write is worth nothing.
        remove();
        return Err(failure);
    }
    let Checkpoint { config, .. } = checkpoint;
    let parameters = config.parameters().total;
    Ok(Output {
        text: format!("{}: {} with {parameters} parameters", output.display(), config.name),
        json: json!({ "output": output, "architecture": config.name, "parameters": parameters }),
    })
}

fn write_format(checkpoint: &Checkpoint, format: ExportFormat, path: &Path) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(StoreError::io(folder))?;
    }
    if format == ExportFormat::ChineseClip {
        return Ok(write_pytorch(path, &checkpoint.config.name, &checkpoint.state)?);
    }
    std::fs::create_dir_all(path).map_err(StoreError::io(path))?;
    match format {
        ExportFormat::HuggingFace => write_hugging_face(path, checkpoint)?,
        ExportFormat::Native | ExportFormat::ChineseClip => checkpoint.save(path)?,
    }
    Ok(())
}
