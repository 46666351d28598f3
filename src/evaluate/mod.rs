//! How well is it found? Exact retrieval of every model on every data set, both directions.

mod error;
mod hit;
mod metric;
mod rankings;
mod scores;
mod spec;
mod task;

use std::collections::BTreeMap;

use serde_json::json;

use crate::data::table::Table;
use crate::embed::EmbeddingSummary;
use crate::ingest::{Dataset, Leaks, table_file};
use crate::stage::{Shard, ShardReceipt, Stage, StageContext, StageError};

pub use error::EvaluateError;
pub use hit::{chance, score};
pub use metric::Metric;
pub use rankings::{Ranking, RankingGroup, RankingWriter, write_qrels};
pub use scores::{ALL_QUERIES, Direction, Score, UNLEAKED_QUERIES, read_scores, write_scores};
pub use spec::{EvaluateNeeds, EvaluateSpec};

use task::RetrievalTask;

/// Version of the stage's results.
pub const VERSION: u32 = 2;

/// The name under which chance level stands in the table.
pub const CHANCE: &str = "chance";

/// `kind: evaluate`.
#[derive(Debug, Clone)]
pub struct Evaluate {
    pub spec: EvaluateSpec,
}

impl Stage for Evaluate {
    fn run_shard(&self, context: &StageContext<'_>, shard: &Shard) -> Result<ShardReceipt, StageError> {
        let folder = &context.input(&self.spec.needs.embeddings)?.sealed.folder;
        let summary = EmbeddingSummary::open(folder)?;
        let leaks = match &self.spec.needs.audit {
            Some(audit) => Some(Leaks::open(&context.input(audit)?.sealed.folder)?),
            None => None,
        };
        let mut scores = Vec::new();
        let mut qrels = Vec::new();
        let mut rankings = RankingWriter::create(context.out)?;
        let cells = (summary.models.len() * summary.data.len()) as u64;
        let progress = context.monitor.begin(context.stage, Some(cells), "cells");
        for data in &summary.data {
            let dataset = Dataset::open(&context.input(data)?.sealed)?;
            let task = RetrievalTask::new(data, &dataset, self.spec.split, leaks.as_ref())?;
            qrels.extend(task.qrels());
            scores.extend(task.chance_scores(&self.spec.metrics));
            for model in &summary.models {
                context.monitor.check_stop()?;
                let measured = task.measure(&summary, folder, &model.id, context.device)?;
                for side in measured {
                    scores.extend(task.scores(&model.id, &side, &self.spec.metrics));
                    rankings.write(task.group(&model.id, side.direction), &side.rankings)?;
                }
                progress.advance(1);
            }
        }
        write_qrels(context.out, &qrels)?;
        rankings.finish()?;
        let rows = write_scores(context.out, &scores)?;
        context.note(&format!("{rows} scores of {} models on {} data sets", summary.models.len(), summary.data.len()));
        Ok(ShardReceipt {
            shard: shard.clone(),
            rows_in: scores.len() as u64,
            rows_out: rows,
            rows_quarantined: 0,
            rows_left_out: 0,
            shared: Vec::new(),
            files: [Table::Scores, Table::Rankings, Table::Qrels].map(table_file).to_vec(),
            stats: BTreeMap::from([("scores".to_owned(), json!(rows))]),
        })
    }
}
