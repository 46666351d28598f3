//! `tuwen schema`.
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{Failure, Output};
use crate::data::ErrorClass;
use crate::data::table::Table;
use crate::pipeline::pipeline_schema;
use crate::store::write_whole;

#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Folder to write to.
    #[arg(long, default_value = "schemas")]
    output: PathBuf,
}

pub fn run(args: &SchemaArgs) -> Result<Output, Failure> {
    let files = files();
    for (name, schema) in &files {
        let text = serde_json::to_string_pretty(schema)
            .map_err(|error| Failure::new(ErrorClass::Internal, error.to_string()))?;
        write_whole(&args.output.join(name), format!("{text}\n").as_bytes())?;
    }
    let names: Vec<&String> = files.iter().map(|(name, _)| name).collect();
    Ok(Output {
        text: format!("{} schemas in {}", files.len(), args.output.display()),
        json: json!({ "output": args.output, "files": names }),
    })
}

/// Every schema file by its path below `schemas/`.
fn files() -> Vec<(String, Value)> {
    let tables = Table::ALL.into_iter().map(|table| (format!("tables/{}.json", table.name()), table.schema_json()));
    std::iter::once(("pipeline.schema.json".to_owned(), pipeline_schema())).chain(tables).collect()
}
