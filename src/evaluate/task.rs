//! One data set's held-out split as a retrieval task: who asks, what could answer, what is relevant.
use std::collections::{BTreeMap, HashMap, HashSet};

use super::clusters::clusters_by_document;
use super::rankings::RankingGroup;
use super::{Direction, EvaluateError, EvaluateSpec, GroupSpec};
use crate::data::{ItemKind, Split};
use crate::ingest::{Dataset, Leaks, Pair};
use crate::stage::StageError;

/// Images, texts and their pairs in one split.
pub struct RetrievalTask {
    pub data: String,
    pub split: Split,
    images: Vec<String>,
    texts: Vec<String>,
    sides: BTreeMap<Direction, Side>,
}

/// One direction of a task; a query is a position in the table of its kind, a document likewise.
pub struct Side {
    /// Positions of the relevant documents of every query.
    pub relevant: Vec<Vec<usize>>,
    pub clusters: Vec<u32>,
    /// Whether a query, or anything relevant to it, has a counterpart in training data; empty where nobody looked.
    pub leaked: Vec<bool>,
    /// For every group of queries which ones are in it.
    pub groups: BTreeMap<String, Vec<bool>>,
}

impl RetrievalTask {
    /// The split of choice, or the held-out one: test where it has labels, else valid.
    pub fn new(data: &str, dataset: &Dataset, spec: &EvaluateSpec, leaks: Option<&Leaks>) -> Result<Self, StageError> {
        let (split, pairs) = labelled_split(data, dataset, spec.split)?;
        let images = dataset.image_ids(split)?;
        let texts: Vec<String> = dataset.texts(split)?.into_iter().map(|text| text.id).collect();
        let (of_text, of_image) = relevance(&images, &texts, &pairs);
        let mut task = Self { data: data.to_owned(), split, images, texts, sides: BTreeMap::new() };
        for direction in &spec.directions {
            let relevant = match direction {
                Direction::TextToImage => of_text.clone(),
                Direction::ImageToText => of_image.clone(),
                Direction::TextToText => siblings(&of_text, &of_image),
                Direction::ImageToImage => siblings(&of_image, &of_text),
            };
            let mut side = Side {
                clusters: clusters_by_document(&relevant),
                relevant,
                leaked: Vec::new(),
                groups: BTreeMap::new(),
            };
            if let Some(leaks) = leaks {
                side.leaked = task.leaked(*direction, &side.relevant, leaks);
            }
            for (name, group) in &spec.groups {
                side.groups.insert(name.clone(), task.members(*direction, group, dataset)?);
            }
            task.sides.insert(*direction, side);
        }
        Ok(task)
    }

    pub fn sides(&self) -> impl Iterator<Item = (Direction, &Side)> {
        self.sides.iter().map(|(direction, side)| (*direction, side))
    }

    /// Ids in table order.
    pub fn ids(&self, kind: ItemKind) -> &[String] {
        match kind {
            ItemKind::Image => &self.images,
            ItemKind::Text => &self.texts,
        }
    }

    /// An id that is the same nowhere else: kind, data set, id.
    pub fn full_id(&self, kind: ItemKind, id: &str) -> String {
        let prefix = match kind {
            ItemKind::Image => "img",
            ItemKind::Text => "txt",
        };
        format!("{prefix}:{}/{id}", self.data)
    }

    /// Query and relevant document, all directions.
    pub fn qrels(&self) -> Vec<(String, String)> {
        let mut qrels = Vec::new();
        for (direction, side) in self.sides() {
            let (asks, answers) = direction.kinds();
            let documents = self.ids(answers);
            for (query, relevant) in self.ids(asks).iter().zip(&side.relevant) {
                for document in relevant.iter().filter_map(|position| documents.get(*position)) {
                    qrels.push((self.full_id(asks, query), self.full_id(answers, document)));
                }
            }
        }
        qrels
    }

    pub fn group<'a>(&'a self, model: &'a str, direction: Direction) -> RankingGroup<'a> {
        RankingGroup { model, dataset: &self.data, split: self.split.as_str(), direction: direction.as_str() }
    }

    /// For each query whether it, or anything relevant to it, was seen in training.
    fn leaked(&self, direction: Direction, relevant: &[Vec<usize>], leaks: &Leaks) -> Vec<bool> {
        let (asks, answers) = direction.kinds();
        let answers: Vec<bool> = self.ids(answers).iter().map(|id| leaks.contains(&self.data, answers, id)).collect();
        let query = |(id, relevant): (&String, &Vec<usize>)| {
            leaks.contains(&self.data, asks, id)
                || relevant.iter().any(|position| answers.get(*position).copied().unwrap_or(false))
        };
        self.ids(asks).iter().zip(relevant).map(query).collect()
    }

    /// For each query whether it belongs to a group.
    fn members(&self, direction: Direction, group: &GroupSpec, dataset: &Dataset) -> Result<Vec<bool>, StageError> {
        let (asks, _) = direction.kinds();
        let sql = match asks {
            ItemKind::Image => &group.images,
            ItemKind::Text => &group.texts,
        };
        let Some(sql) = sql else { return Ok(vec![false; self.ids(asks).len()]) };
        let members: HashSet<String> = dataset.ids_where(asks, self.split, sql)?.into_iter().collect();
        Ok(self.ids(asks).iter().map(|id| members.contains(id)).collect())
    }
}

fn labelled_split(data: &str, dataset: &Dataset, wanted: Option<Split>) -> Result<(Split, Vec<Pair>), StageError> {
    for split in wanted.map_or(vec![Split::Test, Split::Valid], |split| vec![split]) {
        let pairs = dataset.pairs(split)?;
        if !pairs.is_empty() {
            return Ok((split, pairs));
        }
    }
    let data = data.to_owned();
    Err(match wanted {
        Some(split) => EvaluateError::NoLabels { data, split }.into(),
        None => EvaluateError::NoHeldOut { data }.into(),
    })
}

/// Positions of the images of every text, and of the texts of every image.
fn relevance(images: &[String], texts: &[String], pairs: &[Pair]) -> (Vec<Vec<usize>>, Vec<Vec<usize>>) {
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
    (of_text, of_image)
}

/// For every item the others of its kind that share a partner with it; itself left out.
fn siblings(partners: &[Vec<usize>], items_of: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let of = |(own, partners): (usize, &Vec<usize>)| {
        let mut others: Vec<usize> =
            partners.iter().filter_map(|partner| items_of.get(*partner)).flatten().copied().collect();
        others.sort_unstable();
        others.dedup();
        others.retain(|other| *other != own);
        others
    };
    partners.iter().enumerate().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_captions_of_an_image_are_siblings_and_a_caption_is_not_its_own() {
        let of_text = vec![vec![0], vec![0], vec![1], vec![0, 1]];
        let of_image = vec![vec![0, 1, 3], vec![2, 3]];
        assert_eq!(siblings(&of_text, &of_image), [vec![1, 3], vec![0, 3], vec![3], vec![0, 1, 2]]);
    }
}
