//! What should a person look at? One page of scores, curves and pictures, in several formats.

mod against;
mod csv;
mod cut_off;
mod facts;
mod gallery;
mod gather;
mod hits;
mod html;
mod json;
mod map;
mod markdown;
mod quality;
mod rates;
mod spec;
mod svg;
#[cfg(test)]
mod synthetic;

use std::collections::BTreeMap;

use serde_json::json;

use crate::stage::{Shard, ShardReceipt, Stage, StageContext, StageError};
use crate::store::write_whole;

pub use against::{Against, PUBLISHED_SCORES};
pub use csv::render_csv;
pub use cut_off::{CutOff, calibrate};
pub use facts::{
    AboutFacts, ArtifactFacts, CaseFacts, CaseHit, CaseStage, ChangeFacts, ChurnFacts, Curve, DatasetFacts, GateFacts,
    HitFacts, MapFacts, MapPoint, MapStage, ModelFacts, PointKind, QueryFacts, RankChange, RankFacts, RecallCurve,
    ReportFacts, ScoreHistogram, TimingFacts, TimingKind, Truth, Verdict,
};
pub use gallery::{Gallery, PictureId};
pub use gather::thumbnail;
pub use hits::render_hits;
pub use html::{STYLE, render_html};
pub use json::render_json;
pub use map::{MAP_POINTS, StageVectors, draw_maps, principal_components, spread, tsne};
pub use markdown::{render_markdown, score_table};
pub use quality::{LeakFacts, SheetItem, contact_sheet, render_contact_sheet};
pub use rates::render_rates;
pub use spec::{ReportNeeds, ReportSpec};
pub use svg::escape;

/// Version of the stage's results.
pub const VERSION: u32 = 5;

/// `kind: report`.
#[derive(Debug, Clone)]
pub struct Report {
    pub spec: ReportSpec,
    /// What the scores are held against, if anything.
    pub against: Option<Against>,
}

impl Stage for Report {
    fn run_shard(&self, context: &StageContext<'_>, shard: &Shard) -> Result<ShardReceipt, StageError> {
        let facts = gather::gather(&self.spec, self.against.as_ref(), context)?;
        let pages = [
            ("report.html", render_html(&facts)),
            ("report.md", render_markdown(&facts)),
            ("report.json", render_json(&facts)?),
            ("report.csv", render_csv(&facts)?),
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
            digested: Vec::new(),
            files: pages.iter().map(|(name, _)| (*name).to_owned()).collect(),
            stats: BTreeMap::from([("scores".to_owned(), json!(rows))]),
        })
    }
}
