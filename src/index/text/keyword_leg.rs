//! BM25 over the captions of a pool, in which a query's own caption does not count: with it every caption would find its
//! image by itself. The formula is that of the index (Lucene's, k1 = 1.2, b = 0.75), with exact lengths.
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::super::searcher::IndexedRow;

const K1: f64 = 1.2;
const B: f64 = 0.75;

/// An inverted index over a pool of images.
pub struct KeywordLeg<'a, F> {
    /// Cuts a text into the terms of every field, each with its weight.
    terms: F,
    fields: Vec<Field>,
    rows: &'a [IndexedRow],
}

#[derive(Default)]
struct Field {
    /// Term to (position of the image, occurrences).
    postings: HashMap<String, Vec<(usize, f64)>>,
    /// Terms of every image.
    lengths: Vec<f64>,
    mean_length: f64,
}

impl<'a, F: Fn(&str) -> Vec<(Vec<String>, f64)>> KeywordLeg<'a, F> {
    pub fn new(rows: &'a [IndexedRow], terms: F) -> Self {
        let mut fields: Vec<Field> = terms("").iter().map(|_| Field::default()).collect();
        for (position, row) in rows.iter().enumerate() {
            for (field, counts) in fields.iter_mut().zip(counts(&row.document.captions, &terms)) {
                field.lengths.push(counts.values().sum());
                for (term, count) in counts {
                    field.postings.entry(term).or_default().push((position, count));
                }
            }
        }
        for field in &mut fields {
            field.mean_length = field.lengths.iter().sum::<f64>() / rows.len().max(1) as f64;
        }
        Self { terms, fields, rows }
    }

    /// Numbers and scores of the best `k` images, best first; of equal scores the one that stands first. From the images in
    /// `relevant` captions equal to the query are taken out.
    pub fn search(&self, query: &str, relevant: &HashSet<usize>, k: usize) -> Vec<(usize, f32)> {
        let mut scores: BTreeMap<usize, f64> = BTreeMap::new();
        let wanted: Vec<(BTreeSet<String>, f64)> =
            (self.terms)(query).into_iter().map(|(terms, weight)| (terms.into_iter().collect(), weight)).collect();
        for (field, (terms, weight)) in self.fields.iter().zip(&wanted) {
            for term in terms {
                for (position, count) in field.postings.get(term).into_iter().flatten() {
                    let length = field.lengths.get(*position).copied().unwrap_or(0.0);
                    *scores.entry(*position).or_default() += weight * field.score(term, *count, length);
                }
            }
        }
        let own: Vec<usize> = scores
            .keys()
            .copied()
            .filter(|position| self.rows.get(*position).is_some_and(|row| relevant.contains(&row.number)))
            .collect();
        for position in own {
            let captions = self.rows.get(position).map_or(&[][..], |row| &row.document.captions);
            let others: Vec<String> = captions.iter().filter(|caption| *caption != query).cloned().collect();
            let mut score = 0.0;
            for ((field, counts), (terms, weight)) in self.fields.iter().zip(counts(&others, &self.terms)).zip(&wanted)
            {
                let length = counts.values().sum();
                let found = terms.iter().filter_map(|term| Some((term, *counts.get(term)?)));
                score += weight * found.map(|(term, count)| field.score(term, count, length)).sum::<f64>();
            }
            scores.insert(position, score);
        }
        let mut found: Vec<(usize, f64)> = scores.into_iter().filter(|(_, score)| *score > 0.0).collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found.truncate(k);
        found.into_iter().filter_map(|(at, score)| Some((self.rows.get(at)?.number, score as f32))).collect()
    }
}

impl Field {
    fn score(&self, term: &str, count: f64, length: f64) -> f64 {
        let holding = self.postings.get(term).map_or(0, Vec::len) as f64;
        let rarity = (1.0 + (self.lengths.len() as f64 - holding + 0.5) / (holding + 0.5)).ln();
        rarity * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length / self.mean_length.max(1e-9)))
    }
}

/// Occurrences of every term, by field.
fn counts(captions: &[String], terms: &impl Fn(&str) -> Vec<(Vec<String>, f64)>) -> Vec<BTreeMap<String, f64>> {
    let mut fields: Vec<BTreeMap<String, f64>> = terms("").iter().map(|_| BTreeMap::new()).collect();
    for caption in captions {
        for (field, (terms, _)) in fields.iter_mut().zip(terms(caption)) {
            for term in terms {
                *field.entry(term).or_default() += 1.0;
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::super::Document;
    use super::*;
    use crate::data::Split;

    fn row(number: usize, captions: &[&str]) -> IndexedRow {
        let document = Document {
            id: number.to_string(),
            data: "d".to_owned(),
            image_id: number.to_string(),
            split: Split::Test,
            source: String::new(),
            captions: captions.iter().map(|caption| (*caption).to_owned()).collect(),
        };
        IndexedRow { number, document }
    }

    #[test]
    fn a_caption_does_not_find_its_image_by_itself() {
        let rows = [row(7, &["red heart"]), row(8, &["red apple", "a heart of red"]), row(9, &["blue"])];
        let words = |text: &str| vec![(text.split(' ').map(str::to_owned).collect(), 1.0)];
        let leg = KeywordLeg::new(&rows, words);
        let found = |query: &str, relevant: &[usize]| {
            let hits = leg.search(query, &relevant.iter().copied().collect(), 10);
            hits.into_iter().map(|(number, _)| number).collect::<Vec<_>>()
        };
        assert_eq!(found("red heart", &[]), [7, 8]);
        assert_eq!(found("red heart", &[7]), [8]);
        assert_eq!(found("red apple", &[]), [8, 7]);
        assert_eq!(found("red apple", &[8]), [7, 8], "its other caption still counts");
    }
}
