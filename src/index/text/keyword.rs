//! Searches the tantivy index that `writer` wrote.
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tantivy::schema::{Field, IndexRecordOption, STORED, Schema, TextFieldIndexing, TextOptions, Value};
use tantivy::{DocAddress, Index, Searcher, TantivyDocument, TantivyError};

use super::cursor::Cursor;
use super::field::{ScoredField, read_bounds};
use super::maxscore::best;
use super::order::DocumentOrder;
use crate::data::Split;
use crate::index::IndexError;
use crate::store::StoreError;

/// Name of the tokenizer of both fields.
pub(super) const JOINED: &str = "joined";

/// An indexed image or text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// `dataset/image_id` or `dataset/text_id`.
    pub id: String,
    /// Id of the data set's stage.
    pub data: String,
    /// The image, or the first image of a text, empty if it has none.
    pub image_id: String,
    pub split: Split,
    /// Where the image came from, e.g. `train_imgs.tsv:3` or a file name.
    pub source: String,
    /// Captions, the first one for display; of a text itself alone.
    pub captions: Vec<String>,
}

/// An open keyword index.
pub struct KeywordIndex {
    path: PathBuf,
    searcher: Searcher,
    fields: Fields,
    terms: ScoredField,
    grams: Option<ScoredField>,
    order: DocumentOrder,
}

/// The fields of a document.
pub(super) struct Fields {
    pub schema: Schema,
    pub terms: Field,
    /// Characters and pairs of neighbours.
    pub grams: Option<Field>,
    pub record: Field,
}

impl KeywordIndex {
    /// Opens by mmap.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let keyword = keyword_error(path);
        let index = Index::open_in_dir(path).map_err(&keyword)?;
        let searcher = index.reader().map_err(&keyword)?.searcher();
        let fields = Fields::new(index.schema().get_field("grams").is_ok());
        let [segment] = searcher.segment_readers() else {
            let reason = format!("{} segments, not 1", searcher.segment_readers().len());
            return Err(IndexError::Broken { path: path.to_owned(), reason });
        };
        let open = |field: Field| {
            let bounds_path = path.join(bounds_file(&fields.schema, field));
            let bounds = read_bounds(&bounds_path).map_err(StoreError::io(&bounds_path))?;
            let opened = ScoredField::open(segment, field, bounds).map_err(&keyword)?;
            if !opened.is_bounded() {
                let reason = "it does not belong to the terms".to_owned();
                return Err(IndexError::Broken { path: bounds_path, reason });
            }
            Ok(opened)
        };
        let terms = open(fields.terms)?;
        let grams = fields.grams.map(open).transpose()?;
        let order = DocumentOrder::open(path, segment.max_doc())?;
        Ok(Self { path: path.to_owned(), searcher, fields, terms, grams, order })
    }

    /// Document numbers and BM25 scores of the best `k`, best first, equal scores in document order. A document needs any
    /// of the `terms` or `grams`; scores of the latter are multiplied by `gram_weight`. One that comes twice counts twice.
    pub fn search(
        &self,
        terms: &[String],
        grams: &[String],
        gram_weight: f32,
        k: usize,
    ) -> Result<Vec<(usize, f32)>, IndexError> {
        if k == 0 {
            return Ok(Vec::new());
        }
        let mut cursors = Vec::with_capacity(terms.len() + grams.len());
        add_cursors(&mut cursors, &self.terms, terms, 1.0).map_err(keyword_error(&self.path))?;
        if let Some(field) = self.grams.as_ref().filter(|_| gram_weight > 0.0) {
            add_cursors(&mut cursors, field, grams, gram_weight).map_err(keyword_error(&self.path))?;
        }
        Ok(best(cursors, k, &self.order.numbers))
    }

    /// The document of a number.
    pub fn document(&self, number: usize) -> Result<Document, IndexError> {
        let broken = |reason: &str| IndexError::Broken { path: self.path.clone(), reason: reason.to_owned() };
        let place = self.order.place(number).ok_or_else(|| broken("it has fewer documents than the vectors"))?;
        let row: TantivyDocument = self.searcher.doc(DocAddress::new(0, place)).map_err(keyword_error(&self.path))?;
        let value = row.get_first(self.fields.record).ok_or_else(|| broken("a document has no record"))?;
        let json = value.as_str().ok_or_else(|| broken("a record is not text"))?;
        serde_json::from_str(json).map_err(|error| broken(&error.to_string()))
    }
}

impl Fields {
    pub fn new(grams: bool) -> Self {
        let mut builder = Schema::builder();
        let indexing =
            TextFieldIndexing::default().set_tokenizer(JOINED).set_index_option(IndexRecordOption::WithFreqs);
        let indexed = TextOptions::default().set_indexing_options(indexing);
        let terms = builder.add_text_field("terms", indexed.clone());
        let record = builder.add_text_field("document", TextOptions::default() | STORED);
        let grams = grams.then(|| builder.add_text_field("grams", indexed));
        Self { schema: builder.build(), terms, grams, record }
    }
}

/// Name of the file with the bounds of a field.
pub(super) fn bounds_file(schema: &Schema, field: Field) -> String {
    format!("{}.bounds", schema.get_field_name(field))
}

/// One cursor for every term that some document has.
fn add_cursors<'a>(
    cursors: &mut Vec<Cursor<'a>>,
    field: &'a ScoredField,
    terms: &[String],
    weight: f32,
) -> Result<(), TantivyError> {
    let mut sorted: Vec<&String> = terms.iter().collect();
    sorted.sort_unstable();
    for same in sorted.chunk_by(|a, b| a == b) {
        cursors.extend(field.cursor(same[0], weight * same.len() as f32)?);
    }
    Ok(())
}

pub(super) fn keyword_error(path: &Path) -> impl Fn(TantivyError) -> IndexError {
    move |source| IndexError::Keyword { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use tantivy::Term;
    use tantivy::collector::TopDocs;
    use tantivy::query::{BooleanQuery, BoostQuery, Occur, Query, TermQuery};

    use super::super::tests::{captions, index};
    use super::*;
    use crate::index::grams;

    fn tantivy_finds(index: &KeywordIndex, terms: &[String], grams: &[String], weight: f32) -> Vec<(usize, f32)> {
        let (mine, second) = (index.fields.terms, index.fields.grams.unwrap());
        let fields = terms.iter().map(|term| (mine, term, 1.0)).chain(grams.iter().map(|gram| (second, gram, weight)));
        let clauses = fields.map(|(field, term, boost)| {
            let term = TermQuery::new(Term::from_field_text(field, term), IndexRecordOption::WithFreqs);
            (Occur::Should, Box::new(BoostQuery::new(Box::new(term), boost)) as Box<dyn Query>)
        });
        let query = BooleanQuery::new(clauses.collect());
        let found = index.searcher.search(&query, &TopDocs::with_limit(20).order_by_score()).unwrap();
        found
            .into_iter()
            .map(|(score, address)| (index.order.numbers[address.doc_id as usize] as usize, score))
            .collect()
    }

    #[test]
    fn lists_are_those_of_tantivy_but_for_rounding() {
        let captions = captions(3_000);
        let (_folder, index) = index(&captions);
        for query in captions.iter().step_by(37) {
            let (terms, grams) = (query.chars().map(String::from).collect::<Vec<_>>(), grams(query));
            for weight in [0.3, 2.0] {
                let ours = index.search(&terms, &grams, weight, 20).unwrap();
                let theirs = tantivy_finds(&index, &terms, &grams, weight);
                assert_eq!(ours.len(), theirs.len());
                for ((document, score), (other, expected)) in ours.iter().zip(&theirs) {
                    assert!(
                        (score - expected).abs() <= expected * 1e-5,
                        "{query}: {document} {score}, {other} {expected}"
                    );
                }
            }
        }
    }
}
