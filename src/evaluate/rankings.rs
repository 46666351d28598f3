//! The tables `rankings` and `qrels`. Ids carry `txt:` or `img:` and the data set, so that no two collide.
use std::path::Path;

use arrow_array::types::{Float64Type, Int64Type, UInt32Type};

use crate::data::table::Table;
use crate::ingest::table_file;
use crate::store::{StoreError, TableReader, TableWriter, primitive_column, text_column};

/// The best documents of one query.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    pub query_id: String,
    /// Documents with their scores, best first.
    pub documents: Vec<(String, f32)>,
}

/// A list of documents for one query, best first.
pub trait RankedList: Sync {
    fn query_id(&self) -> &str;

    fn document_ids(&self) -> impl Iterator<Item = &str>;
}

impl RankedList for Ranking {
    fn query_id(&self) -> &str {
        &self.query_id
    }

    fn document_ids(&self) -> impl Iterator<Item = &str> {
        self.documents.iter().map(|(id, _)| id.as_str())
    }
}

/// Writes `rankings` group by group.
pub struct RankingWriter {
    writer: TableWriter,
}

/// What the rankings of a group have in common.
#[derive(Debug, Clone, Copy)]
pub struct RankingGroup<'a> {
    pub model: &'a str,
    pub dataset: &'a str,
    pub split: &'a str,
    pub direction: &'a str,
}

impl RankingWriter {
    pub fn create(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(table_file(Table::Rankings));
        Ok(Self { writer: TableWriter::create(&path, Table::Rankings.schema())? })
    }

    pub fn write(&mut self, group: RankingGroup<'_>, rankings: &[Ranking]) -> Result<(), StoreError> {
        let rows: Vec<(&str, u32, &str, f32)> = rankings
            .iter()
            .flat_map(|ranking| {
                let query = ranking.query_id.as_str();
                ranking.documents.iter().zip(1..).map(move |((id, score), rank)| (query, rank, id.as_str(), *score))
            })
            .collect();
        let same = |value| text_column(std::iter::repeat_n(value, rows.len()));
        self.writer.write(vec![
            same(group.model),
            same(group.dataset),
            same(group.split),
            same(group.direction),
            text_column(rows.iter().map(|row| row.0)),
            primitive_column::<UInt32Type>(rows.iter().map(|row| row.1)),
            text_column(rows.iter().map(|row| row.2)),
            primitive_column::<Float64Type>(rows.iter().map(|row| f64::from(row.3))),
        ])
    }

    pub fn finish(self) -> Result<u64, StoreError> {
        self.writer.finish()
    }
}

/// Writes the table `qrels`: pairs of query and relevant document.
pub fn write_qrels(folder: &Path, qrels: &[(String, String)]) -> Result<u64, StoreError> {
    let mut writer = TableWriter::create(&folder.join(table_file(Table::Qrels)), Table::Qrels.schema())?;
    writer.write(vec![
        text_column(qrels.iter().map(|(query, _)| query)),
        text_column(qrels.iter().map(|(_, document)| document)),
        primitive_column::<Int64Type>(qrels.iter().map(|_| 1)),
    ])?;
    writer.finish()
}

/// The rankings of one model on one data set in one direction.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedGroup {
    pub model: String,
    pub dataset: String,
    pub direction: String,
    pub rankings: Vec<Ranking>,
}

/// Reads the table below `folder`, in groups in table order.
pub fn read_rankings(folder: &Path) -> Result<Vec<RankedGroup>, StoreError> {
    let mut groups: Vec<RankedGroup> = Vec::new();
    for batch in TableReader::open(&folder.join(table_file(Table::Rankings)), Table::Rankings)? {
        let batch = batch?;
        let (models, datasets, directions) = (batch.text("model")?, batch.text("dataset")?, batch.text("direction")?);
        let (queries, documents) = (batch.text("query_id")?, batch.text("document_id")?);
        let scores = batch.primitive::<Float64Type>("score")?;
        for row in 0..batch.rows() {
            let place = (models.value(row), datasets.value(row), directions.value(row));
            let is_new = groups.last().is_none_or(|group| (&*group.model, &*group.dataset, &*group.direction) != place);
            if is_new {
                let (model, dataset, direction) = (place.0.to_owned(), place.1.to_owned(), place.2.to_owned());
                groups.push(RankedGroup { model, dataset, direction, rankings: Vec::new() });
            }
            let Some(group) = groups.last_mut() else { continue };
            let document = (documents.value(row).to_owned(), scores.value(row) as f32);
            match group.rankings.last_mut().filter(|ranking| ranking.query_id == queries.value(row)) {
                Some(ranking) => ranking.documents.push(document),
                None => {
                    let query_id = queries.value(row).to_owned();
                    group.rankings.push(Ranking { query_id, documents: vec![document] });
                }
            }
        }
    }
    Ok(groups)
}
