//! `tuwen quarantine`.
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::dataset_args::PlaceArgs;
use super::{Failure, Output};
use crate::data::table::Table;
use crate::ingest::table_file;
use crate::store::{StoreError, read_table};

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

pub fn run(args: &QuarantineArgs) -> Result<Output, Failure> {
    let QuarantineCommand::Show { what, limit, at } = &args.command;
    let path = if Path::new(what).is_file() {
        PathBuf::from(what)
    } else {
        at.open(what)?.path(&table_file(Table::Quarantine))
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
