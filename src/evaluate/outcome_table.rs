//! The table `outcomes`: the ranks of every query's relevant documents, from which any metric can be computed later.
use std::path::Path;
use std::sync::Arc;

use arrow_array::types::UInt32Type;
use arrow_array::{Array, BooleanArray};

use super::rankings::RankingGroup;
use super::{Direction, Outcome};
use crate::data::table::Table;
use crate::ingest::table_file;
use crate::store::{StoreError, TableReader, TableWriter, primitive_column, text_column, u32_list_column};

/// Writes the table group by group.
pub struct OutcomeWriter {
    writer: TableWriter,
}

/// The outcomes of one model on one data set in one direction.
#[derive(Debug, Clone, PartialEq)]
pub struct OutcomeGroup {
    pub model: String,
    pub dataset: String,
    pub split: String,
    pub direction: Direction,
    pub outcomes: Vec<Outcome>,
}

impl OutcomeWriter {
    pub fn create(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(table_file(Table::Outcomes));
        Ok(Self { writer: TableWriter::create(&path, Table::Outcomes.schema())? })
    }

    /// `leaked` says of each outcome whether its query was seen in training; empty where nobody looked.
    pub fn write(&mut self, group: RankingGroup<'_>, outcomes: &[Outcome], leaked: &[bool]) -> Result<(), StoreError> {
        let same = |value| text_column(std::iter::repeat_n(value, outcomes.len()));
        let leaked: BooleanArray = (0..outcomes.len()).map(|at| leaked.get(at).copied()).collect();
        self.writer.write(vec![
            same(group.model),
            same(group.dataset),
            same(group.split),
            same(group.direction),
            text_column(outcomes.iter().map(|outcome| &outcome.query)),
            primitive_column::<UInt32Type>(outcomes.iter().map(|outcome| outcome.cluster)),
            Arc::new(leaked),
            u32_list_column(outcomes.iter().map(|outcome| outcome.found.iter().map(|(rank, _)| *rank))),
            primitive_column::<UInt32Type>(outcomes.iter().map(|outcome| outcome.ideal.len() as u32)),
        ])
    }

    pub fn finish(self) -> Result<u64, StoreError> {
        self.writer.finish()
    }
}

/// Reads the table below `folder`, in groups in table order.
pub fn read_outcomes(folder: &Path) -> Result<Vec<OutcomeGroup>, StoreError> {
    let mut groups: Vec<OutcomeGroup> = Vec::new();
    for batch in TableReader::open(&folder.join(table_file(Table::Outcomes)), Table::Outcomes)? {
        let batch = batch?;
        let (models, datasets) = (batch.text("model")?, batch.text("dataset")?);
        let (splits, directions, queries) = (batch.text("split")?, batch.text("direction")?, batch.text("query_id")?);
        let (clusters, relevant) = (batch.u32("cluster")?, batch.u32("relevant")?);
        for row in 0..queries.len() {
            let direction = Direction::CROSS_MODAL
                .into_iter()
                .chain([Direction::TextToText, Direction::ImageToImage])
                .find(|direction| direction.as_str() == directions.value(row));
            let Some(direction) = direction else { continue };
            let outcome = Outcome {
                query: queries.value(row).to_owned(),
                cluster: clusters.value(row),
                found: batch.u32_list("ranks", row)?.into_iter().map(|rank| (rank, 1)).collect(),
                ideal: vec![1; relevant.value(row) as usize],
            };
            match groups.last_mut() {
                Some(group)
                    if group.model == models.value(row)
                        && group.dataset == datasets.value(row)
                        && group.direction == direction =>
                {
                    group.outcomes.push(outcome);
                }
                _ => groups.push(OutcomeGroup {
                    model: models.value(row).to_owned(),
                    dataset: datasets.value(row).to_owned(),
                    split: splits.value(row).to_owned(),
                    direction,
                    outcomes: vec![outcome],
                }),
            }
        }
    }
    Ok(groups)
}
