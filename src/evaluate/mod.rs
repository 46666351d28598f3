//! How well is it found? Exact retrieval of every model on every data set, both directions.

mod attribution;
mod chance;
mod churn;
mod clusters;
mod comparison;
mod comparison_text;
mod error;
mod exact;
pub mod files;
mod gate;
mod interval;
mod measure;
mod metric;
mod outcome;
mod outcome_table;
mod paired;
mod rankings;
mod release_gate;
mod score_rows;
mod scores;
mod significance;
mod spec;
mod task;
pub mod zero_shot;

use std::collections::BTreeMap;

use serde_json::json;

use crate::data::table::Table;
use crate::embed::EmbeddingSummary;
use crate::index::Searcher;
use crate::ingest::{Dataset, Leaks, table_file};
use crate::stage::{Shard, ShardReceipt, Stage, StageContext, StageError};

pub use attribution::{Attribution, Losses, SystemHits, read_attribution};
pub use chance::chance;
pub use churn::{Churn, churn};
pub use comparison::{Change, Comparison, Flips, QueryChange, Verdict};
pub use comparison_text::comparison_text;
pub use error::EvaluateError;
pub use gate::{GateRule, GateSpec, Judgement};
pub use interval::{Interval, ResamplingOptions, improvement_intervals, intervals};
pub use measure::measure;
pub use metric::Metric;
pub use outcome::{Outcome, order_by_score};
pub use outcome_table::{OutcomeGroup, read_outcomes};
pub use paired::Paired;
pub use rankings::{RankedGroup, RankedList, Ranking, RankingGroup, RankingWriter, read_rankings, write_qrels};
pub use release_gate::{GateFinding, judge_outcomes};
pub use scores::{ALL_QUERIES, Direction, Score, UNLEAKED_QUERIES, read_scores, write_scores};
pub use significance::{Significance, holm, paired_permutation};
pub use spec::{EvaluateNeeds, EvaluateSpec, GroupSpec};

use attribution::{attribute, write_attribution};
use exact::{Vectors, measure_exactly};
use outcome_table::OutcomeWriter;
use score_rows::{chance_rows, score_rows};
use task::RetrievalTask;

/// Version of the stage's results.
pub const VERSION: u32 = 4;

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
        let searcher = match &self.spec.needs.index {
            Some(index) => Some(Searcher::open(&context.input(index)?.sealed.folder)?),
            None => None,
        };
        let mut attributions = Vec::new();
        let mut scores = Vec::new();
        let mut qrels = Vec::new();
        let mut rankings = RankingWriter::create(context.out)?;
        let mut outcomes = OutcomeWriter::create(context.out)?;
        let cells = (summary.models.len() * summary.data.len()) as u64;
        let progress = context.monitor.begin(context.stage, Some(cells), "cells");
        for data in &summary.data {
            let dataset = Dataset::open(&context.input(data)?.sealed)?;
            let task = RetrievalTask::new(data, &dataset, &self.spec, leaks.as_ref())?;
            qrels.extend(task.qrels());
            for (direction, side) in task.sides() {
                scores.extend(chance_rows(&task, direction, side, &self.spec.metrics));
            }
            for model in &summary.models {
                context.monitor.check_stop()?;
                let vectors = Vectors::read(&task, &summary, folder, &model.id)?;
                for (direction, side) in task.sides() {
                    let measured = measure_exactly(&task, direction, side, &vectors, context.device)?;
                    let options = ResamplingOptions::default();
                    scores.extend(score_rows(&task, side, &model.id, &measured, &self.spec.metrics, options));
                    let group = task.group(&model.id, direction);
                    rankings.write(group, &measured.rankings)?;
                    let leaked = measured.positions.iter().filter_map(|query| side.leaked.get(*query).copied());
                    outcomes.write(group, &measured.outcomes, &leaked.collect::<Vec<bool>>())?;
                }
                progress.advance(1);
            }
            if let Some(searcher) = &searcher {
                attributions.extend(attribute(&task, &dataset, searcher, &summary, folder, context.device)?);
            }
        }
        let mut files = [Table::Scores, Table::Rankings, Table::Qrels, Table::Outcomes].map(table_file).to_vec();
        if searcher.is_some() {
            files.push(write_attribution(context.out, &attributions)?);
        }
        write_qrels(context.out, &qrels)?;
        rankings.finish()?;
        outcomes.finish()?;
        let rows = write_scores(context.out, &scores)?;
        context.note(&format!("{rows} scores of {} models on {} data sets", summary.models.len(), summary.data.len()));
        Ok(ShardReceipt {
            shard: shard.clone(),
            rows_in: scores.len() as u64,
            rows_out: rows,
            rows_quarantined: 0,
            rows_left_out: 0,
            shared: Vec::new(),
            digested: Vec::new(),
            files,
            stats: BTreeMap::from([("scores".to_owned(), json!(rows))]),
        })
    }
}
