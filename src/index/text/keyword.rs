//! The tantivy index: one document per image, in one segment, so that ties fall to document order.
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tantivy::collector::TopDocs;
use tantivy::directory::MmapDirectory;
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, STORED, Schema, TextFieldIndexing, TextOptions, Value};
use tantivy::tokenizer::{PreTokenizedString, Token};
use tantivy::{DocAddress, Index, IndexBuilder, IndexSettings, Searcher, TantivyDocument, TantivyError, Term};

use super::Analyzer;
use crate::data::Split;
use crate::index::IndexError;

const WRITER_BYTES: usize = 64 << 20;

/// An indexed image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// `dataset/image_id`.
    pub id: String,
    /// Id of the data set's stage.
    pub data: String,
    pub image_id: String,
    pub split: Split,
    /// Where the image came from, e.g. `train_imgs.tsv:3` or a file name.
    pub source: String,
    /// Captions, the first one for display.
    pub captions: Vec<String>,
}

/// An open keyword index.
pub struct KeywordIndex {
    path: PathBuf,
    searcher: Searcher,
    terms: Field,
    document: Field,
}

/// Writes `documents` in order below `path`; a document's number is its position.
pub fn write_keywords(path: &Path, analyzer: &Analyzer, documents: &[Document]) -> Result<(), IndexError> {
    let keyword = keyword_error(path);
    std::fs::create_dir_all(path).map_err(|error| keyword(error.into()))?;
    let (schema, terms, stored) = schema();
    let directory = MmapDirectory::open(path).map_err(|error| keyword(error.into()))?;
    let mut writer = IndexBuilder::new()
        .schema(schema)
        .settings(IndexSettings::default())
        .single_segment_index_writer(directory, WRITER_BYTES)
        .map_err(&keyword)?;
    for document in documents {
        let mut row = TantivyDocument::new();
        row.add_pre_tokenized_text(terms, pre_tokenized(analyzer, &document.captions));
        let json = serde_json::to_string(document)
            .map_err(|error| IndexError::Broken { path: path.to_owned(), reason: error.to_string() })?;
        row.add_text(stored, json);
        writer.add_document(row).map_err(&keyword)?;
    }
    writer.finalize().map_err(&keyword)?;
    Ok(())
}

impl KeywordIndex {
    /// Opens by mmap.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let keyword = keyword_error(path);
        let index = Index::open_in_dir(path).map_err(&keyword)?;
        let searcher = index.reader().map_err(&keyword)?.searcher();
        let (_, terms, document) = schema();
        Ok(Self { path: path.to_owned(), searcher, terms, document })
    }

    /// Document numbers and BM25 scores of the best `k`, best first. A document needs any of the terms.
    pub fn search(&self, terms: &[String], k: usize) -> Result<Vec<(usize, f32)>, IndexError> {
        if terms.is_empty() || k == 0 {
            return Ok(Vec::new());
        }
        let clauses = terms.iter().map(|term| {
            let term = Term::from_field_text(self.terms, term);
            let query: Box<dyn Query> = Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs));
            (Occur::Should, query)
        });
        let query = BooleanQuery::new(clauses.collect());
        let collector = TopDocs::with_limit(k).order_by_score();
        let found = self.searcher.search(&query, &collector).map_err(keyword_error(&self.path))?;
        Ok(found.into_iter().map(|(score, address)| (address.doc_id as usize, score)).collect())
    }

    /// The document of a number.
    pub fn document(&self, number: usize) -> Result<Document, IndexError> {
        let address = DocAddress::new(0, u32::try_from(number).unwrap_or(u32::MAX));
        let row: TantivyDocument = self.searcher.doc(address).map_err(keyword_error(&self.path))?;
        let broken = |reason: &str| IndexError::Broken { path: self.path.clone(), reason: reason.to_owned() };
        let value = row.get_first(self.document).ok_or_else(|| broken("a document has no record"))?;
        let json = value.as_str().ok_or_else(|| broken("a record is not text"))?;
        serde_json::from_str(json).map_err(|error| broken(&error.to_string()))
    }
}

fn schema() -> (Schema, Field, Field) {
    let mut builder = Schema::builder();
    // Terms arrive cut already; the tokenizer's name is never looked up.
    let indexing = TextFieldIndexing::default().set_tokenizer("raw").set_index_option(IndexRecordOption::WithFreqs);
    let terms = builder.add_text_field("terms", TextOptions::default().set_indexing_options(indexing));
    let document = builder.add_text_field("document", TextOptions::default() | STORED);
    (builder.build(), terms, document)
}

fn pre_tokenized(analyzer: &Analyzer, captions: &[String]) -> PreTokenizedString {
    let terms = captions.iter().flat_map(|caption| analyzer.terms(caption));
    let tokens = terms.enumerate().map(|(position, text)| Token {
        offset_from: 0,
        offset_to: 0,
        position,
        text,
        position_length: 1,
    });
    PreTokenizedString { text: captions.join("\n"), tokens: tokens.collect() }
}

fn keyword_error(path: &Path) -> impl Fn(TantivyError) -> IndexError {
    move |source| IndexError::Keyword { path: path.to_owned(), source }
}
