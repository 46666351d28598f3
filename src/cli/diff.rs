//! `tuwen diff`.
use std::fmt::Write;

use clap::Args;

use super::dataset_args::PlaceArgs;
use super::{Failure, Output};
use crate::data::ErrorClass;
use crate::ingest::{Difference, difference};

#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The earlier version: a stage such as `muge@3`, or a fingerprint.
    before: String,
    /// The later version.
    after: String,
    #[command(flatten)]
    at: PlaceArgs,
}

pub fn run(args: &DiffArgs) -> Result<Output, Failure> {
    let difference = difference(&args.at.open(&args.before)?.folder, &args.at.open(&args.after)?.folder)?;
    let json =
        serde_json::to_value(&difference).map_err(|error| Failure::new(ErrorClass::Internal, error.to_string()))?;
    Ok(Output { text: diff_text(&difference), json })
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
