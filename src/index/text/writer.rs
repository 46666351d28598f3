//! Writes the tantivy index: one document per image or text, in one segment, short documents first.
use std::path::Path;

use rayon::prelude::*;
use tantivy::directory::MmapDirectory;
use tantivy::{Index, IndexBuilder, IndexSettings, TantivyDocument};

use super::analyzer::{Analyzer, count_letters, for_each_gram};
use super::field::{ScoredField, write_bounds};
use super::joined::{JoinedTerms, push_term};
use super::keyword::{Document, Fields, JOINED, bounds_file, keyword_error};
use super::order::DocumentOrder;
use crate::index::IndexError;
use crate::store::StoreError;

/// Room for terms and postings before tantivy complains; one segment takes what it takes.
const WRITER_BYTES: usize = 64 << 20;
/// Documents whose terms are cut while those before them are written.
const CHUNK: usize = 4_096;

/// A document as the writer takes it.
struct Row {
    terms: String,
    grams: String,
    record: Result<String, serde_json::Error>,
}

/// Writes `documents` below `path`; a document's number is its position in the slice. With `grams` there is a second field
/// of characters and pairs of neighbours.
pub fn write_keywords(path: &Path, analyzer: &Analyzer, grams: bool, documents: &[Document]) -> Result<(), IndexError> {
    let keyword = keyword_error(path);
    std::fs::create_dir_all(path).map_err(|error| keyword(error.into()))?;
    let fields = Fields::new(grams);
    let directory = MmapDirectory::open(path).map_err(|error| keyword(error.into()))?;
    let index = IndexBuilder::new().schema(fields.schema.clone()).settings(IndexSettings::default());
    let index = index.tokenizers({
        let tokenizers = tantivy::tokenizer::TokenizerManager::default();
        tokenizers.register(JOINED, JoinedTerms::default());
        tokenizers
    });
    let mut writer = index.single_segment_index_writer(directory, WRITER_BYTES).map_err(&keyword)?;
    let order = order(analyzer, documents);
    let mut chunks = order.numbers.chunks(CHUNK);
    let mut cut_next = || cut(analyzer, grams, documents, chunks.next().unwrap_or_default());
    let mut rows = cut_next();
    while !rows.is_empty() {
        let (written, next) = rayon::join(
            || -> Result<(), IndexError> {
                for row in rows {
                    let mut document = TantivyDocument::new();
                    document.add_text(fields.terms, row.terms);
                    if let Some(field) = fields.grams {
                        document.add_text(field, row.grams);
                    }
                    let broken = |error: serde_json::Error| IndexError::Broken {
                        path: path.to_owned(),
                        reason: error.to_string(),
                    };
                    document.add_text(fields.record, row.record.map_err(broken)?);
                    writer.add_document(document).map_err(&keyword)?;
                }
                Ok(())
            },
            &mut cut_next,
        );
        written?;
        rows = next;
    }
    let index = writer.finalize().map_err(&keyword)?;
    write_bounds_of(path, &index, &fields)?;
    order.save(path)
}

/// What the search needs to pass over documents: the most that each term can give.
fn write_bounds_of(path: &Path, index: &Index, fields: &Fields) -> Result<(), IndexError> {
    let keyword = keyword_error(path);
    let searcher = index.reader().map_err(&keyword)?.searcher();
    for field in [Some(fields.terms), fields.grams].into_iter().flatten() {
        let opened = ScoredField::open(searcher.segment_reader(0), field, Vec::new()).map_err(&keyword)?;
        let bounds = opened.measure_bounds().map_err(&keyword)?;
        let file = path.join(bounds_file(&fields.schema, field));
        write_bounds(&file, &bounds).map_err(StoreError::io(&file))?;
    }
    Ok(())
}

/// Short documents first; letters and digits are counted sooner than terms and come to nearly the same order.
fn order(analyzer: &Analyzer, documents: &[Document]) -> DocumentOrder {
    let letters = |document: &Document| -> usize {
        document.captions.iter().map(|caption| count_letters(&analyzer.normalize(caption))).sum()
    };
    let lengths: Vec<usize> = documents.par_iter().with_min_len(64).map(letters).collect();
    DocumentOrder::by_length(&lengths)
}

fn cut(analyzer: &Analyzer, grams: bool, documents: &[Document], numbers: &[u32]) -> Vec<Row> {
    numbers.par_iter().with_min_len(64).map(|number| row(analyzer, grams, &documents[*number as usize])).collect()
}

fn row(analyzer: &Analyzer, grams: bool, document: &Document) -> Row {
    let mut row = Row { terms: String::new(), grams: String::new(), record: serde_json::to_string(document) };
    for caption in &document.captions {
        let normal = analyzer.normalize(caption);
        analyzer.for_each_term(&normal, |term| push_term(&mut row.terms, term));
        if grams {
            for_each_gram(&normal, |gram| push_term(&mut row.grams, gram));
        }
    }
    row
}
