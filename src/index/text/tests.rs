//! Lists of the keyword index beside scores that are computed document by document.
use std::collections::BTreeSet;

use super::normal::Normalizer;
use super::{Document, KeywordIndex};
use crate::data::Split;
use crate::index::{Analyzer, AnalyzerKind, grams, write_keywords};

/// Captions of 1 to 40 characters in their normal form, some much more frequent than others.
pub(super) fn captions(count: usize) -> Vec<String> {
    let normalizer = Normalizer::shared().unwrap();
    let is_normal = |character: &char| normalizer.normalize(&character.to_string()) == character.to_string();
    let characters: Vec<char> = ('\u{4E00}'..='\u{6FFF}').filter(is_normal).take(512).collect();
    let mut state = 7u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut character = || {
        let most = [2, 8, 64, 512][next(4) as usize];
        characters[next(most) as usize]
    };
    (0..count).map(|row| (0..=row * 7 % 40).map(|_| character()).collect()).collect()
}

pub(super) fn index(captions: &[String]) -> (tempfile::TempDir, KeywordIndex) {
    let folder = tempfile::tempdir().unwrap();
    let analyzer = Analyzer::new(AnalyzerKind::Unigram, true, None).unwrap();
    let document = |(row, caption): (usize, &String)| Document {
        id: format!("made/{row}"),
        data: "made".to_owned(),
        image_id: row.to_string(),
        split: Split::Train,
        source: String::new(),
        captions: vec![caption.clone()],
    };
    let documents: Vec<Document> = captions.iter().enumerate().map(document).collect();
    write_keywords(folder.path(), &analyzer, true, &documents).unwrap();
    let index = KeywordIndex::open(folder.path()).unwrap();
    (folder, index)
}

fn characters(text: &str) -> Vec<String> {
    text.chars().map(String::from).collect()
}

/// A field as its documents' terms. Lengths below 40 are kept exactly; longer ones the index rounds down, to steps of 2, 4, 8...
struct Scanned {
    documents: Vec<Vec<String>>,
    average: f32,
}

impl Scanned {
    fn new(documents: Vec<Vec<String>>) -> Self {
        let total: usize = documents.iter().map(Vec::len).sum();
        let average = total as f32 / documents.len() as f32;
        Self { documents, average }
    }

    /// Adds BM25 of the terms, in the precision in which the index keeps it, to the sums.
    fn add(&self, terms: &[String], boost: f32, sums: &mut [f64]) {
        for term in terms.iter().collect::<BTreeSet<_>>() {
            let times = terms.iter().filter(|other| *other == term).count() as f32;
            let counts: Vec<usize> =
                self.documents.iter().map(|found| found.iter().filter(|other| *other == term).count()).collect();
            let (all, with) = (counts.len() as f32, counts.iter().filter(|count| **count > 0).count() as f32);
            let weight = (1.0 + (all - with + 0.5) / (with + 0.5)).ln() * (1.0 + 1.2) * (boost * times);
            for ((sum, count), document) in sums.iter_mut().zip(counts).zip(&self.documents) {
                if count > 0 {
                    let length = kept_length(document.len()) as f32;
                    let frequency = count as f32;
                    let norm = 1.2 * (1.0 - 0.75 + 0.75 * length / self.average);
                    *sum += f64::from(weight * (frequency / (frequency + norm)));
                }
            }
        }
    }
}

fn kept_length(length: usize) -> usize {
    match length {
        0..40 => length,
        40..56 => length & !1,
        _ => length & !3,
    }
}

fn scan(sums: &[f64], k: usize) -> Vec<(usize, f32)> {
    let mut found: Vec<(usize, f64)> = sums.iter().copied().enumerate().filter(|(_, sum)| *sum > 0.0).collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found.into_iter().take(k).map(|(number, sum)| (number, sum as f32)).collect()
}

#[test]
fn lists_are_those_of_a_scan_to_the_bit_ties_included() {
    let captions = captions(7_001);
    let (_folder, index) = index(&captions);
    let words = Scanned::new(captions.iter().map(|caption| characters(caption)).collect());
    let pairs = Scanned::new(captions.iter().map(|caption| grams(caption)).collect());
    for (row, caption) in captions.iter().enumerate().step_by(113) {
        let query: String = caption.chars().take(1 + row % 9).collect();
        let (terms, asked) = (characters(&query), grams(&query));
        for weight in [0.0, 0.5] {
            let mut sums = vec![0.0; captions.len()];
            words.add(&terms, 1.0, &mut sums);
            if weight > 0.0 {
                pairs.add(&asked, weight, &mut sums);
            }
            for k in [1, 10, 300] {
                assert_eq!(index.search(&terms, &asked, weight, k).unwrap(), scan(&sums, k), "{query} {weight} {k}");
            }
        }
    }
}

/// The first `k` for characters, without the second field.
fn scan_words(captions: &[String], terms: &[String], k: usize) -> Vec<(usize, f32)> {
    let words = Scanned::new(captions.iter().map(|caption| characters(caption)).collect());
    let mut sums = vec![0.0; captions.len()];
    words.add(terms, 1.0, &mut sums);
    scan(&sums, k)
}

#[test]
fn of_equal_scores_the_lower_number_comes_first_though_its_document_lies_behind() {
    // 40 and 41 characters are one length to the index, and the shorter captions lie first.
    let captions: Vec<String> = (0..6_000).map(|row| format!("红蓝{}", "天".repeat(39 - row % 2))).collect();
    let (_folder, index) = index(&captions);
    let terms = characters("红蓝");
    let found = index.search(&terms, &[], 0.0, 10).unwrap();
    assert_eq!(found.iter().map(|(number, _)| *number).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    assert_eq!(found, scan_words(&captions, &terms, 10));
}

#[test]
fn a_term_that_mattered_no_more_matters_again_where_documents_have_it_often() {
    let often = "蓝".repeat(30);
    let parts = [("红蓝", 2_048), ("红天", 6_000), ("蓝黄黄黄", 2_048), (often.as_str(), 100)];
    let captions: Vec<String> =
        parts.iter().flat_map(|(text, count)| std::iter::repeat_n((*text).to_owned(), *count)).collect();
    let (_folder, index) = index(&captions);
    let terms = characters("红蓝");
    let found = index.search(&terms, &[], 0.0, 10).unwrap();
    assert_eq!(captions[found[0].0], often);
    assert_eq!(found, scan_words(&captions, &terms, 10));
}

#[test]
fn the_first_k_are_the_beginning_of_a_longer_list_and_ties_stand_in_document_order() {
    let captions: Vec<String> = (0..5_000).map(|row| ["红心", "红", "蓝天红"][row % 3].to_owned()).collect();
    let (_folder, index) = index(&captions);
    let terms = ["红".to_owned(), "蓝".to_owned()];
    let all = index.search(&terms, &[], 0.0, 5_000).unwrap();
    assert_eq!(all.len(), 5_000);
    assert!(all.windows(2).all(|pair| pair[0].1 > pair[1].1 || pair[0].1 == pair[1].1 && pair[0].0 < pair[1].0));
    for k in [0, 1, 10, 2_000] {
        assert_eq!(index.search(&terms, &[], 0.0, k).unwrap(), all[..k]);
    }
}

#[test]
fn a_term_that_no_document_has_finds_nothing_and_a_document_is_read_by_number() {
    let (_folder, index) = index(&["红心天".to_owned(), "蓝".to_owned()]);
    assert_eq!(index.search(&["绿".to_owned()], &[], 0.5, 10).unwrap(), []);
    assert_eq!(index.document(0).unwrap().captions, ["红心天"]);
    assert_eq!(index.document(1).unwrap().captions, ["蓝"]);
    assert!(index.document(2).is_err());
}

#[test]
fn bounds_or_an_order_of_another_index_are_refused() {
    for (file, bytes) in [("terms.bounds", vec![0; 4]), ("order", vec![0; 4]), ("order", vec![0; 8])] {
        let (folder, _) = index(&["红心".to_owned(), "蓝".to_owned()]);
        std::fs::write(folder.path().join(file), bytes).unwrap();
        let refused = KeywordIndex::open(folder.path()).err().unwrap().to_string();
        assert!(refused.contains(&format!("{file}: not an index of this version")), "{refused}");
    }
}
