//! Commands about data sets: `show`, `diff`, `quarantine`, `export`.
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::console::Console;
use super::setup::{StoreArgs, find_release, watch_signals};
use super::{Failure, Output};
use crate::data::table::Table;
use crate::data::{ArtifactKey, ArtifactKind, ErrorClass, Fingerprint};
use crate::ingest::{Dataset, Difference, ExportFormat, Exported, Statistics, difference, export, table_file};
use crate::report::{contact_sheet, render_contact_sheet};
use crate::store::{
    Sealed, Store, StoreError, new_nonce, numbered_release, open_artifact, read_table, sync_folder, write_whole,
};

/// Which data set.
#[derive(Debug, Args)]
pub struct DatasetArgs {
    /// A stage such as `muge` of the newest release, `muge@3` of release 3, or a fingerprint.
    dataset: String,
    #[command(flatten)]
    at: PlaceArgs,
}

/// Where data sets are looked for.
#[derive(Debug, Args)]
pub struct PlaceArgs {
    /// Name of the pipeline, where the store has several.
    #[arg(long)]
    pipeline: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    dataset: DatasetArgs,
    /// Write a page with numbers and a contact sheet.
    #[arg(long, value_name = "FILE.html")]
    sheet: Option<PathBuf>,
    /// Images on the sheet.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1000))]
    images: u32,
}

#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The earlier version: a stage such as `muge@3`, or a fingerprint.
    before: String,
    /// The later version.
    after: String,
    #[command(flatten)]
    at: PlaceArgs,
}

#[derive(Debug, Args)]
pub struct QuarantineArgs {
    #[command(subcommand)]
    command: QuarantineCommand,
}

#[derive(Debug, Subcommand)]
enum QuarantineCommand {
    /// List the rows that could not be used, and why.
    Show {
        /// A data set as for `show`, or a quarantine.parquet that a stopped run named.
        what: String,
        /// Rows to list.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        at: PlaceArgs,
    },
}

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

pub fn show(args: &ShowArgs) -> Result<Output, Failure> {
    let sealed = args.dataset.open()?;
    let statistics = Statistics::of_tables(&sealed.folder)?;
    let mut text = statistics.to_string();
    if let Some(path) = &args.sheet {
        let items = contact_sheet(&Dataset::open(&sealed)?, args.images as usize)?;
        write_whole(path, render_contact_sheet(&args.dataset.dataset, &statistics, &items).as_bytes())?;
        let _ = writeln!(text, "drawn in {}", path.display());
    }
    let json =
        serde_json::to_value(&statistics).map_err(|error| Failure::new(ErrorClass::Internal, error.to_string()))?;
    Ok(Output { text, json })
}

pub fn diff(args: &DiffArgs) -> Result<Output, Failure> {
    let store = args.at.store.open()?;
    let open = |name: &str| find(&store, args.at.pipeline.as_deref(), name);
    let difference = difference(&open(&args.before)?.folder, &open(&args.after)?.folder)?;
    let json =
        serde_json::to_value(&difference).map_err(|error| Failure::new(ErrorClass::Internal, error.to_string()))?;
    Ok(Output { text: diff_text(&difference), json })
}

pub fn quarantine(args: &QuarantineArgs) -> Result<Output, Failure> {
    let QuarantineCommand::Show { what, limit, at } = &args.command;
    let path = if Path::new(what).is_file() {
        PathBuf::from(what)
    } else {
        find(&at.store.open()?, at.pipeline.as_deref(), what)?.path(&table_file(Table::Quarantine))
    };
    let rows = read_table(&path, Table::Quarantine, |batch, row| {
        let text = |column| Ok::<String, StoreError>(batch.text(column)?.value(row).to_owned());
        let line = batch.u64("offset")?.value(row);
        Ok((text("source")?, line, text("table")?, text("id")?, text("reason")?))
    })?;
    let mut text = String::new();
    for (source, line, table, id, reason) in rows.iter().take(*limit) {
        let _ = writeln!(text, "{source}:{line}  {}  {id}  {reason}", table.trim_end_matches('s'));
    }
    if rows.len() > *limit {
        let _ = writeln!(text, "… and {} more; --limit {} lists all", rows.len() - limit, rows.len());
    }
    let _ = writeln!(text, "{} rows in quarantine", rows.len());
    let listed = rows.iter().take(*limit).map(|(source, line, table, id, reason)| {
        json!({ "source": source, "line": line, "table": table, "id": id, "reason": reason })
    });
    let json = json!({ "count": rows.len(), "rows": listed.collect::<Vec<_>>() });
    Ok(Output { text, json })
}

pub fn export_dataset(args: &ExportArgs, console: &Console) -> Result<Output, Failure> {
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

impl DatasetArgs {
    fn open(&self) -> Result<Sealed, Failure> {
        find(&self.at.store.open()?, self.at.pipeline.as_deref(), &self.dataset)
    }
}

/// The data set that a name means.
fn find(store: &Store, pipeline: Option<&str>, name: &str) -> Result<Sealed, Failure> {
    let not_found = |message: String| Failure::new(ErrorClass::NotFound, message);
    if name.len() >= 8 && name.chars().all(|c| c.is_ascii_hexdigit()) {
        let prefix = format!("artifacts/{}/", ArtifactKind::Dataset);
        let keys = store.list(prefix.trim_end_matches('/'))?;
        let mut found: Vec<&str> = keys
            .iter()
            .filter_map(|key| key.strip_prefix(&prefix)?.strip_suffix("/manifest.json"))
            .filter(|fingerprint| fingerprint.starts_with(name))
            .collect();
        if let (Some(fingerprint), true) = (found.pop(), found.is_empty()) {
            let fingerprint: Fingerprint = serde_json::from_value(json!(fingerprint))
                .map_err(|error| Failure::new(ErrorClass::Internal, error.to_string()))?;
            return Ok(open_artifact(store, &ArtifactKey { kind: ArtifactKind::Dataset, fingerprint })?);
        }
    }
    let (stage, number) = match name.split_once('@') {
        None => (name, None),
        Some((stage, number)) => {
            let number = number.parse::<u64>();
            (
                stage,
                Some(number.map_err(|_| Failure::new(ErrorClass::Usage, format!("`{name}`: expected stage@release")))?),
            )
        }
    };
    let newest = find_release(store, pipeline)?;
    let release = match number {
        None => newest,
        Some(number) => numbered_release(store, &newest.pipeline, number)?
            .ok_or_else(|| not_found(format!("{} has no release {number}", newest.pipeline)))?,
    };
    let datasets = || release.artifacts.iter().filter(|(_, key)| key.kind == ArtifactKind::Dataset);
    match datasets().find(|(id, _)| id.as_str() == stage) {
        Some((_, key)) => Ok(open_artifact(store, key)?),
        None => {
            let known = datasets().map(|(id, _)| id.as_str()).collect::<Vec<_>>().join(", ");
            Err(not_found(format!("no data set `{stage}` in release {}; it has {known}", release.number)))
        }
    }
}

fn diff_text(difference: &Difference) -> String {
    let mut text =
        format!("{:<8}{:>10}{:>10}{:>10}{:>10}{:>12}\n", "", "added", "removed", "changed", "moved", "unchanged");
    let tables = [("images", &difference.images), ("texts", &difference.texts), ("pairs", &difference.pairs)];
    for (name, changes) in tables {
        let rows = [&changes.added, &changes.removed, &changes.changed, &changes.moved].map(|change| change.rows);
        let [added, removed, changed, moved] = rows;
        let _ = writeln!(text, "{name:<8}{added:>10}{removed:>10}{changed:>10}{moved:>10}{:>12}", changes.unchanged);
    }
    for (name, changes) in tables {
        let kinds = [
            ("added", &changes.added),
            ("removed", &changes.removed),
            ("changed", &changes.changed),
            ("moved", &changes.moved),
        ];
        for (kind, change) in kinds.into_iter().filter(|(_, change)| change.rows > 0) {
            let more = if change.rows > change.examples.len() as u64 { ", …" } else { "" };
            let _ = writeln!(text, "{name} {kind}: {}{more}", change.examples.join(", "));
        }
    }
    if difference.is_empty() {
        text.push_str("the two are equal\n");
    }
    text
}
