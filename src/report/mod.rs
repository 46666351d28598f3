//! What should a person look at? One page of scores, curves and pictures, in several formats.

mod facts;
mod gather;
mod html;
mod json;
mod markdown;
mod quality;
mod rates;
mod spec;
mod svg;

use std::collections::BTreeMap;

use serde_json::json;

use crate::stage::{Shard, ShardReceipt, Stage, StageContext, StageError};
use crate::store::write_whole;

pub use facts::{Curve, DatasetFacts, HitFacts, ModelFacts, QueryFacts, ReportFacts};
pub use gather::thumbnail;
pub use html::render_html;
pub use json::render_json;
pub use markdown::{render_markdown, score_table};
pub use quality::{LeakFacts, SheetItem, contact_sheet, render_contact_sheet};
pub use rates::render_rates;
pub use spec::{ReportNeeds, ReportSpec};

/// Version of the stage's results.
pub const VERSION: u32 = 3;

/// `kind: report`.
#[derive(Debug, Clone)]
pub struct Report {
    pub spec: ReportSpec,
}

impl Stage for Report {
    fn run_shard(&self, context: &StageContext<'_>, shard: &Shard) -> Result<ShardReceipt, StageError> {
        let facts = gather::gather(&self.spec, context)?;
        let pages = [
            ("report.html", render_html(&facts)),
            ("report.md", render_markdown(&facts)),
            ("report.json", render_json(&facts)?),
        ];
        for (name, page) in &pages {
            write_whole(&context.out.join(name), page.as_bytes())?;
        }
        let rows = facts.scores.len() as u64;
        Ok(ShardReceipt {
            shard: shard.clone(),
            rows_in: rows,
            rows_out: rows,
            rows_quarantined: 0,
            rows_left_out: 0,
            shared: Vec::new(),
            files: pages.iter().map(|(name, _)| (*name).to_owned()).collect(),
            stats: BTreeMap::from([("scores".to_owned(), json!(rows))]),
        })
    }
}
