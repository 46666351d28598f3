//! One data set's held-out split as a retrieval task.
use std::collections::HashMap;
use std::path::Path;

use super::rankings::{Ranking, RankingGroup};
use super::scores::{ALL_QUERIES, Direction, Score, UNLEAKED_QUERIES};
use super::{CHANCE, EvaluateError, Metric, chance, score};
use crate::data::{ItemKind, Split, best_rank, top_k};
use crate::embed::{EmbeddingSummary, Embeddings};
use crate::ingest::{Dataset, Leaks, Pair};
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
    /// Whether an image or a text has a counterpart in training data, where that was looked for.
    leaked: Option<HashMap<Direction, Vec<bool>>>,
}

/// What one model did in one direction.
pub struct Measured {
    pub direction: Direction,
    /// Rank of the first relevant document of every labelled query.
    ranks: Vec<usize>,
    /// The same for the queries without a leak.
    unleaked_ranks: Option<Vec<usize>>,
    pub rankings: Vec<Ranking>,
}

impl RetrievalTask {
    /// The split of choice, or the held-out one: test where it has labels, else valid.
    pub fn new(data: &str, dataset: &Dataset, split: Option<Split>, leaks: Option<&Leaks>) -> Result<Self, StageError> {
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
        let mut task = Self { data: data.to_owned(), split: chosen, images, texts, relevant, leaked: None };
        task.leaked = leaks.map(|leaks| Direction::ALL.map(|side| (side, task.leaked_queries(side, leaks))).into());
        Ok(task)
    }

    /// For each query whether it, or anything relevant to it, was seen in training.
    fn leaked_queries(&self, direction: Direction, leaks: &Leaks) -> Vec<bool> {
        let (queries, documents) = self.sides(direction);
        let (asks, answers) = match direction {
            Direction::TextToImage => (ItemKind::Text, ItemKind::Image),
            Direction::ImageToText => (ItemKind::Image, ItemKind::Text),
        };
        let answers: Vec<bool> = documents.iter().map(|id| leaks.contains(&self.data, answers, id)).collect();
        let query = |(id, relevant): (&String, &Vec<usize>)| {
            leaks.contains(&self.data, asks, id)
                || relevant.iter().any(|position| answers.get(*position).copied().unwrap_or(false))
        };
        queries.iter().zip(self.relevant(direction)).map(query).collect()
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
        let mut rows = self.rows(model, ALL_QUERIES, measured.direction, metrics, measured.ranks.len(), value);
        if let Some(ranks) = measured.unleaked_ranks.as_ref().filter(|ranks| !ranks.is_empty()) {
            let value = |metric| score(metric, ranks);
            rows.extend(self.rows(model, UNLEAKED_QUERIES, measured.direction, metrics, ranks.len(), value));
        }
        rows
    }

    /// The rows of chance level.
    pub fn chance_scores(&self, metrics: &[Metric]) -> Vec<Score> {
        let mut rows = Vec::new();
        for direction in Direction::ALL {
            let counts: Vec<usize> = self.relevant(direction).iter().map(Vec::len).filter(|count| *count > 0).collect();
            let documents = self.sides(direction).1.len();
            let value = |metric| chance(metric, &counts, documents);
            rows.extend(self.rows(CHANCE, ALL_QUERIES, direction, metrics, counts.len(), value));
        }
        rows
    }

    pub fn group<'a>(&'a self, model: &'a str, direction: Direction) -> RankingGroup<'a> {
        RankingGroup { model, dataset: &self.data, split: self.split.as_str(), direction: direction.as_str() }
    }

    fn rows(
        &self,
        model: &str,
        subset: &str,
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
            subset: subset.to_owned(),
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
        let leaked = self.leaked.as_ref().and_then(|leaked| leaked.get(&direction));
        let unleaked_ranks = leaked.map(|_| Vec::new());
        let mut measured = Measured { direction, ranks: Vec::new(), unleaked_ranks, rankings: Vec::new() };
        let labelled = queries.ids.iter().zip(self.relevant(direction)).enumerate();
        let blocks = queries.vectors.chunks(QUERY_BLOCK * queries.dimension);
        let mut labelled = labelled.into_iter();
        for block in blocks {
            let scores = gallery.scores(block)?;
            for (scores, (position, (query, relevant))) in scores.chunks(gallery.rows()).zip(labelled.by_ref()) {
                let Some(rank) = best_rank(scores, relevant) else { continue };
                measured.ranks.push(rank);
                let clean = leaked.is_some_and(|leaked| !leaked.get(position).copied().unwrap_or(false));
                if let (true, Some(ranks)) = (clean, &mut measured.unleaked_ranks) {
                    ranks.push(rank);
                }
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
