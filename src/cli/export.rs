//! `tuwen export`.
use std::fmt::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::console::Console;
use super::dataset_args::DatasetArgs;
use super::setup::watch_signals;
use super::{Failure, Output};
use crate::data::ErrorClass;
use crate::ingest::{Dataset, ExportFormat, Exported, export};
use crate::store::{StoreError, new_nonce, sync_folder};

#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(subcommand)]
    command: ExportCommand,
}

#[derive(Debug, Subcommand)]
enum ExportCommand {
    /// Write a data set in a format that others read.
    Dataset {
        #[command(flatten)]
        dataset: DatasetArgs,
        #[arg(long, value_enum)]
        format: Format,
        /// The folder to make.
        #[arg(long)]
        output: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// The reference's TSV and JSONL.
    ChineseClip,
    /// The reference's LMDB.
    ChineseClipLmdb,
    /// Tar shards of WebDataset.
    Webdataset,
}

pub fn run(args: &ExportArgs, console: &Console) -> Result<Output, Failure> {
    watch_signals(console)?;
    let ExportCommand::Dataset { dataset, format, output } = &args.command;
    let format = match format {
        Format::ChineseClip => ExportFormat::ChineseClip,
        Format::ChineseClipLmdb => ExportFormat::ChineseClipLmdb,
        Format::Webdataset => ExportFormat::Webdataset,
    };
    if output.exists() {
        let message = format!("{}: exists already; name a folder that does not", output.display());
        return Err(Failure::new(ErrorClass::Usage, message));
    }
    let sealed = dataset.open()?;
    // A folder that is there is whole.
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let partial = output.with_file_name(format!(".{name}.{}", new_nonce()?));
    std::fs::create_dir_all(&partial).map_err(StoreError::io(&partial))?;
    let written =
        export(&Dataset::open(&sealed)?, format, &partial, console).map_err(Failure::from).and_then(|written| {
            sync_folder(&partial)?;
            std::fs::rename(&partial, output).map_err(StoreError::io(output))?;
            Ok(written)
        });
    let Exported { images, texts, pairs, texts_left_out, other_ids } = written.inspect_err(|_| {
        // What is left of a failed export is worth nothing.
        let _ = std::fs::remove_dir_all(&partial);
    })?;
    let mut text = format!("{}: {images} images, {texts} texts, {pairs} pairs\n", output.display());
    if texts_left_out > 0 {
        let _ = writeln!(text, "{texts_left_out} texts belong to no image; this format has no place for them");
    }
    if other_ids > 0 && format != ExportFormat::Webdataset {
        let _ = writeln!(
            text,
            "{other_ids} ids are no integers: the reference trains on them, its evaluation wants integers"
        );
    }
    let json = json!({
        "output": output, "images": images, "texts": texts, "pairs": pairs,
        "texts_left_out": texts_left_out, "other_ids": other_ids,
    });
    Ok(Output { text, json })
}
