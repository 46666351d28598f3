//! One split of an indexed data set, whose captions are asked as queries: each by keywords and by vectors, without the query's own
//! caption. For measuring and tuning, not for answering users.
use std::collections::{HashMap, HashSet};

use super::IndexError;
use super::searcher::{IndexedRow, Searcher};
use super::text::KeywordLeg;
use crate::model::nearest::RowSet;

/// Cuts a text into the terms of every field, each field with its weight.
type Terms<'a> = Box<dyn Fn(&str) -> Vec<(Vec<String>, f64)> + 'a>;

/// The rows of a split, ready to be asked.
pub struct LabelledPool<'a> {
    searcher: &'a Searcher,
    keywords: KeywordLeg<'a, Terms<'a>>,
    numbers: HashMap<&'a str, usize>,
    allowed: RowSet,
}

/// What one query found, row numbers and scores, best first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Legs {
    pub keywords: Vec<(usize, f32)>,
    pub vectors: Vec<(usize, f32)>,
    /// Row numbers of the images that answer it.
    pub relevant: HashSet<usize>,
}

impl<'a> LabelledPool<'a> {
    /// `rows` are those of the split, as [`Searcher::rows_of`] gives them.
    pub fn new(searcher: &'a Searcher, rows: &'a [IndexedRow]) -> Self {
        let terms: Terms<'a> = Box::new(|text| searcher.terms(text));
        let mut allowed = RowSet::none(searcher.about().rows);
        rows.iter().for_each(|row| allowed.insert(row.number));
        let numbers = rows.iter().map(|row| (row.document.image_id.as_str(), row.number)).collect();
        Self { searcher, keywords: KeywordLeg::new(rows, terms), numbers, allowed }
    }

    /// Asks by both legs, `depth` hits each. `relevant` are the ids of the images that answer the query.
    pub fn ask<'b>(
        &self,
        text: &str,
        vector: &[f32],
        relevant: impl IntoIterator<Item = &'b str>,
        depth: usize,
    ) -> Result<Legs, IndexError> {
        let relevant = relevant.into_iter().filter_map(|id| self.numbers.get(id).copied()).collect();
        Ok(Legs {
            keywords: self.keywords.search(text, &relevant, depth),
            vectors: self.searcher.nearest(vector, depth, &self.allowed)?,
            relevant,
        })
    }
}
