//! One data set's held-out split as a retrieval task.
use std::collections::HashMap;
use std::path::Path;

use super::rankings::{Ranking, RankingGroup};
use super::scores::{Direction, Score};
use super::{CHANCE, EvaluateError, Metric, chance, score};
use crate::data::{ItemKind, Split, best_rank, top_k};
use crate::embed::{EmbeddingSummary, Embeddings};
use crate::ingest::{Dataset, Pair};
use crate::model::{ComputeDevice, Gallery};
use crate::stage::StageError;

/// Documents kept per query in the table `rankings`.
const RANKING_DEPTH: usize = 10;
const QUERY_BLOCK: usize = 256;

/// Images, texts and their pairs in one split.
pub struct RetrievalTask {
    data: String,
    split: Split,
    images: Vec<String>,
    texts: Vec<String>,
    /// Positions of the relevant images of every text, and the reverse.
    relevant: HashMap<Direction, Vec<Vec<usize>>>,
}

/// What one model did in one direction.
pub struct Measured {
    pub direction: Direction,
    /// Rank of the first relevant document of every labelled query.
    ranks: Vec<usize>,
    pub rankings: Vec<Ranking>,
}

impl RetrievalTask {
    /// The split of choice, or the held-out one: test where it has labels, else valid.
    pub fn new(data: &str, dataset: &Dataset, split: Option<Split>) -> Result<Self, StageError> {
        let candidates = split.map_or(vec![Split::Test, Split::Valid], |split| vec![split]);
        let mut found = None;
        for candidate in candidates {
            let pairs = dataset.pairs(candidate)?;
            if !pairs.is_empty() {
                found = Some((candidate, pairs));
                break;
            }
        }
        let Some((chosen, pairs)) = found else {
            let data = data.to_owned();
            return Err(match split {
                Some(split) => EvaluateError::NoLabels { data, split }.into(),
                None => EvaluateError::NoHeldOut { data }.into(),
            });
        };
        let images = dataset.image_ids(chosen)?;
        let texts: Vec<String> = dataset.texts(chosen)?.into_iter().map(|text| text.id).collect();
        let relevant = relevance(&images, &texts, &pairs);
        Ok(Self { data: data.to_owned(), split: chosen, images, texts, relevant })
    }

    /// Query and relevant document, both directions.
    pub fn qrels(&self) -> Vec<(String, String)> {
        let mut qrels = Vec::new();
        for direction in Direction::ALL {
            let (queries, documents) = self.sides(direction);
            for (query, relevant) in queries.iter().zip(self.relevant(direction)) {
                for document in relevant.iter().filter_map(|position| documents.get(*position)) {
                    qrels.push((self.query_id(direction, query), self.document_id(direction, document)));
                }
            }
        }
        qrels
    }

    /// Ranks every query by the vectors of one model.
    pub fn measure(
        &self,
        summary: &EmbeddingSummary,
        folder: &Path,
        model: &str,
        device: &ComputeDevice,
    ) -> Result<Vec<Measured>, StageError> {
        let read = |kind| summary.read(folder, model, &self.data, self.split, kind);
        let images = read(ItemKind::Image)?;
        let texts = read(ItemKind::Text)?;
        if images.ids != self.images || texts.ids != self.texts {
            let message = format!("embeddings of `{}` do not hold the rows of the data set", self.data);
            return Err(StageError::internal(message));
        }
        Direction::ALL
            .into_iter()
            .map(|direction| match direction {
                Direction::TextToImage => self.rank(direction, &texts, &images, device),
                Direction::ImageToText => self.rank(direction, &images, &texts, device),
            })
            .collect()
    }

    /// The rows of one measurement.
    pub fn scores(&self, model: &str, measured: &Measured, metrics: &[Metric]) -> Vec<Score> {
        let value = |metric| score(metric, &measured.ranks);
        self.rows(model, measured.direction, metrics, measured.ranks.len(), value)
    }

    /// The rows of chance level.
    pub fn chance_scores(&self, metrics: &[Metric]) -> Vec<Score> {
        let mut rows = Vec::new();
        for direction in Direction::ALL {
            let counts: Vec<usize> = self.relevant(direction).iter().map(Vec::len).filter(|count| *count > 0).collect();
            let documents = self.sides(direction).1.len();
            let value = |metric| chance(metric, &counts, documents);
            rows.extend(self.rows(CHANCE, direction, metrics, counts.len(), value));
        }
        rows
    }

    pub fn group<'a>(&'a self, model: &'a str, direction: Direction) -> RankingGroup<'a> {
        RankingGroup { model, dataset: &self.data, split: self.split.as_str(), direction: direction.as_str() }
    }

    fn rows(
        &self,
        model: &str,
        direction: Direction,
        metrics: &[Metric],
        queries: usize,
        value: impl Fn(Metric) -> f64,
    ) -> Vec<Score> {
        let documents = self.sides(direction).1.len() as u64;
        let row = |metric: &Metric| Score {
            model: model.to_owned(),
            dataset: self.data.clone(),
            split: self.split.to_string(),
            direction: direction.as_str().to_owned(),
            metric: metric.to_string(),
            value: value(*metric),
            queries: queries as u64,
            documents,
        };
        metrics.iter().map(row).collect()
    }

    fn rank(
        &self,
        direction: Direction,
        queries: &Embeddings,
        documents: &Embeddings,
        device: &ComputeDevice,
    ) -> Result<Measured, StageError> {
        let gallery = Gallery::new(documents.vectors.clone(), documents.dimension, device);
        let mut measured = Measured { direction, ranks: Vec::new(), rankings: Vec::new() };
        let labelled = queries.ids.iter().zip(self.relevant(direction));
        let blocks = queries.vectors.chunks(QUERY_BLOCK * queries.dimension);
        let mut labelled = labelled.into_iter();
        for block in blocks {
            let scores = gallery.scores(block)?;
            for (scores, (query, relevant)) in scores.chunks(gallery.rows()).zip(labelled.by_ref()) {
                let Some(rank) = best_rank(scores, relevant) else { continue };
                measured.ranks.push(rank);
                let best = top_k(scores, RANKING_DEPTH).into_iter().filter_map(|position| {
                    let id = documents.ids.get(position)?;
                    Some((self.document_id(direction, id), *scores.get(position)?))
                });
                let query_id = self.query_id(direction, query);
                measured.rankings.push(Ranking { query_id, documents: best.collect() });
            }
        }
        Ok(measured)
    }

    fn relevant(&self, direction: Direction) -> &[Vec<usize>] {
        self.relevant.get(&direction).map_or(&[], Vec::as_slice)
    }

    /// Ids of queries and documents.
    fn sides(&self, direction: Direction) -> (&[String], &[String]) {
        match direction {
            Direction::TextToImage => (&self.texts, &self.images),
            Direction::ImageToText => (&self.images, &self.texts),
        }
    }

    fn query_id(&self, direction: Direction, id: &str) -> String {
        match direction {
            Direction::TextToImage => format!("txt:{}/{id}", self.data),
            Direction::ImageToText => format!("img:{}/{id}", self.data),
        }
    }

    fn document_id(&self, direction: Direction, id: &str) -> String {
        match direction {
            Direction::TextToImage => self.query_id(Direction::ImageToText, id),
            Direction::ImageToText => self.query_id(Direction::TextToImage, id),
        }
    }
}

fn relevance(images: &[String], texts: &[String], pairs: &[Pair]) -> HashMap<Direction, Vec<Vec<usize>>> {
    let position = |ids: &[String]| -> HashMap<String, usize> { ids.iter().cloned().zip(0..).collect() };
    let (image_at, text_at) = (position(images), position(texts));
    let mut of_text = vec![Vec::new(); texts.len()];
    let mut of_image = vec![Vec::new(); images.len()];
    for pair in pairs {
        if let (Some(text), Some(image)) = (text_at.get(&pair.text_id), image_at.get(&pair.image_id)) {
            of_text.get_mut(*text).into_iter().for_each(|list| list.push(*image));
            of_image.get_mut(*image).into_iter().for_each(|list| list.push(*text));
        }
    }
    HashMap::from([(Direction::TextToImage, of_text), (Direction::ImageToText, of_image)])
}
