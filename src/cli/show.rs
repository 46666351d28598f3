//! `tuwen show`.
use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;

use super::dataset_args::DatasetArgs;
use super::{Failure, Output};
use crate::data::ErrorClass;
use crate::ingest::{Dataset, Statistics};
use crate::report::{contact_sheet, render_contact_sheet};
use crate::store::write_whole;

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

pub fn run(args: &ShowArgs) -> Result<Output, Failure> {
    let sealed = args.dataset.open()?;
    let statistics = Statistics::open(&sealed.folder)?;
    let mut text = statistics.to_string();
    if let Some(path) = &args.sheet {
        let items = contact_sheet(&Dataset::open(&sealed)?, args.images as usize)?;
        write_whole(path, render_contact_sheet(&args.dataset.name, &statistics, &items).as_bytes())?;
        let _ = writeln!(text, "drawn in {}", path.display());
    }
    let json =
        serde_json::to_value(&statistics).map_err(|error| Failure::new(ErrorClass::Internal, error.to_string()))?;
    Ok(Output { text, json })
}
