//! The reference's score of files where every id is an integer, read without making values of their lines.
use std::collections::HashMap;

use super::names::Names;
use super::plain_line::plain_line;
use super::reference_score::{K, python_text, stripped_lines};
use crate::evaluate::Direction;

/// What is relevant, where every line of a truth file is plain.
#[derive(Debug, Default)]
pub struct PlainTruth {
    /// Queries in the order in which they first appear.
    places: HashMap<i64, usize>,
    /// Where the relevant documents of each stand; of two lines for one query the last counts.
    relevant: Vec<std::ops::Range<usize>>,
    ids: Vec<i64>,
}

/// Place of a query, and of the first relevant document in its list.
pub type PlainRank = (usize, usize);

impl PlainTruth {
    /// Reads the bytes of a truth file; `None` if any line of it is not plain.
    pub fn read(bytes: &[u8], direction: Direction) -> Option<Self> {
        let (mut truth, names) = (Self::default(), Names::of(direction));
        for line in stripped_lines(&python_text(bytes).ok()?) {
            let first = truth.ids.len();
            let query = plain_line(line, names.query, names.documents, |id| truth.ids.push(number(id)))?;
            let range = first..truth.ids.len();
            let place = *truth.places.entry(number(query)).or_insert(truth.relevant.len());
            match truth.relevant.get_mut(place) {
                Some(before) => *before = range,
                None => truth.relevant.push(range),
            }
        }
        Some(truth)
    }

    /// Ranks of some lines of predictions. `None` where a line is not plain, or its list not one of ten that differ.
    pub fn ranks(&self, predictions: &[u8], direction: Direction) -> Option<Vec<PlainRank>> {
        let (mut ranks, mut list, names) = (Vec::new(), Vec::with_capacity(K), Names::of(direction));
        for line in stripped_lines(&python_text(predictions).ok()?) {
            list.clear();
            let query = plain_line(line, names.query, names.documents, |id| list.push(number(id)))?;
            let once = list.iter().enumerate().all(|(place, id)| !list[..place].contains(id));
            if list.len() != K || !once {
                return None;
            }
            if let Some(place) = self.places.get(&number(query)) {
                let relevant = &self.ids[self.relevant[*place].clone()];
                ranks.push((*place, list.iter().position(|id| relevant.contains(id)).unwrap_or(K)));
            }
        }
        Some(ranks)
    }

    /// Shares of the queries with a relevant document among the first 1, 5 and 10, from the ranks of all lines; of two
    /// lines for one query the last counts. `None` where one has none: what the reference says then is found elsewhere.
    pub fn recalls(&self, ranks: impl IntoIterator<Item = PlainRank>) -> Option<[f64; 3]> {
        let mut best = vec![None; self.relevant.len()];
        ranks.into_iter().for_each(|(place, rank)| best[place] = Some(rank));
        let mut hits = [0u64; 3];
        for best in &best {
            let best = (*best)?;
            hits.iter_mut().zip([1, 5, 10]).for_each(|(hits, k)| *hits += u64::from(best < k));
        }
        (!best.is_empty()).then(|| hits.map(|hits| hits as f64 / best.len() as f64))
    }
}

/// The value of an integer of at most 18 digits.
fn number(text: &str) -> i64 {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let value = digits.bytes().fold(0, |value, digit| 10 * value + i64::from(digit - b'0'));
    if digits.len() < text.len() { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(truth: &str, predictions: &str) -> Option<[f64; 3]> {
        let truth = PlainTruth::read(truth.as_bytes(), Direction::TextToImage)?;
        truth.recalls(truth.ranks(predictions.as_bytes(), Direction::TextToImage)?)
    }

    #[test]
    fn the_last_line_of_a_query_counts_and_what_is_not_plain_is_left() {
        let list = "[90, 91, 92, 93, 94, 95, 96, -7, 98, 99]";
        let truth = "{\"text_id\": 1, \"image_ids\": [90]}\n{\"text_id\": 2, \"text\": \"红\", \"image_ids\": [5, -7]}\n{\"text_id\": 1, \"image_ids\": [92]}\n";
        let line = |query: &str, list: &str| format!("{{\"text_id\": {query}, \"image_ids\": {list}}}\n");
        let other = list.replace("90", "5");
        let predictions = line("2", &other) + &line("1", list) + &line("9", list) + &line("2", list);
        assert_eq!(hits(truth, &predictions), Some([0.0, 0.5, 1.0]));
        assert_eq!(hits(truth, &line("1", list)), None, "no list for 2");
        assert_eq!(hits("", &predictions), None);
        for odd in [
            list.replace("90", "91"),
            list.replace("90, ", ""),
            list.replace("90", "9.0"),
            list.replace("90", "\"90\""),
        ] {
            assert_eq!(hits(truth, &(predictions.clone() + &line("9", &odd))), None, "{odd}");
        }
        assert_eq!(hits(&(truth.to_owned() + "\n"), &predictions), None, "a blank line is no JSON");
        assert_eq!(hits(&truth.replace('\n', "\r\n"), &predictions), Some([0.0, 0.5, 1.0]));
        assert_eq!(hits(&truth.replace('\n', "\r\r\n"), &predictions), None, "to Python that is a blank line");
    }
}
