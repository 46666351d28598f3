//! One indexed field for scoring: its dictionary and postings, the lengths of the documents, and BM25 as tantivy and Lucene compute it.
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, RwLock};

use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::{BlockSegmentPostings, TermInfo};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{InvertedIndexReader, SegmentReader, TantivyError};

use super::cursor::Cursor;
use super::frequent::{FREQUENT_ONE_IN, FrequentTerm};

const K1: f32 = 1.2;
const B: f32 = 0.75;

/// BM25 of Robertson and Zaragoza (2009) with k1 = 1.2, b = 0.75 and lengths rounded to one byte.
pub struct ScoredField {
    postings: Arc<InvertedIndexReader>,
    /// By document, the code of its length.
    lengths: Vec<u8>,
    saturation: Saturation,
    /// By ordinal of the term, the largest saturation among its postings.
    bounds: Vec<f32>,
    /// By ordinal, the frequent terms that were asked for so far.
    frequent: RwLock<HashMap<u64, Arc<FrequentTerm>>>,
}

/// How much of a term's weight a document gets.
pub struct Saturation {
    /// By code of a length, what is added to the frequency in the denominator.
    norms: [f32; 256],
    /// By code of a length, the saturation of a term that occurs once, as most do.
    once: [f32; 256],
}

impl ScoredField {
    /// Opens a field of the only segment; `bounds` are what [`measure_bounds`](Self::measure_bounds) found.
    pub fn open(segment: &SegmentReader, field: Field, bounds: Vec<f32>) -> Result<Self, TantivyError> {
        let postings = segment.inverted_index(field)?;
        let lengths = segment.get_fieldnorms_reader(field)?;
        let average = postings.total_num_tokens() as f32 / segment.max_doc() as f32;
        let lengths = (0..segment.max_doc()).map(|document| lengths.fieldnorm_id(document)).collect();
        Ok(Self { postings, lengths, saturation: Saturation::new(average), bounds, frequent: RwLock::default() })
    }

    /// Reads every posting; by ordinal of the term, the largest saturation.
    pub fn measure_bounds(&self) -> Result<Vec<f32>, TantivyError> {
        let mut bounds = Vec::with_capacity(self.postings.terms().num_terms());
        let mut terms = self.postings.terms().stream()?;
        while terms.advance() {
            let mut bound = 0.0f32;
            let mut block = self.block_postings(terms.value())?;
            while block.block_len() > 0 {
                for (document, frequency) in block.docs().iter().zip(block.freqs()) {
                    bound = bound.max(self.saturation.of(self.lengths[*document as usize], *frequency));
                }
                block.advance();
            }
            bounds.push(bound);
        }
        Ok(bounds)
    }

    /// Whether every term has a bound.
    pub fn is_bounded(&self) -> bool {
        self.bounds.len() == self.postings.terms().num_terms()
    }

    /// The postings of a term whose weight is multiplied by `boost`; none where no document has it.
    pub fn cursor(&self, term: &str, boost: f32) -> Result<Option<Cursor<'_>>, TantivyError> {
        let terms = self.postings.terms();
        let (Some(ordinal), Some(info)) = (terms.term_ord(term)?, terms.get(term)?) else {
            return Ok(None);
        };
        let weight = inverse_frequency(info.doc_freq, self.lengths.len()) * (1.0 + K1) * boost;
        let bound = weight * self.bounds.get(ordinal as usize).copied().unwrap_or(1.0);
        let postings = self.block_postings(&info)?;
        let frequent = self.frequent(ordinal, &info)?;
        Ok(Some(Cursor::new(postings, &self.lengths, &self.saturation, weight, bound, frequent)))
    }

    /// The term's documents as bits, if they are many.
    fn frequent(&self, ordinal: u64, info: &TermInfo) -> Result<Option<Arc<FrequentTerm>>, TantivyError> {
        if (info.doc_freq as usize) < self.lengths.len() / FREQUENT_ONE_IN {
            return Ok(None);
        }
        let known = self.frequent.read().ok().and_then(|terms| terms.get(&ordinal).cloned());
        if known.is_some() {
            return Ok(known);
        }
        let read = Arc::new(FrequentTerm::read(self.block_postings(info)?, &self.lengths, &self.saturation));
        if let Ok(mut terms) = self.frequent.write() {
            terms.insert(ordinal, read.clone());
        }
        Ok(Some(read))
    }

    fn block_postings(&self, info: &TermInfo) -> Result<BlockSegmentPostings, TantivyError> {
        Ok(self.postings.read_block_postings_from_terminfo(info, IndexRecordOption::WithFreqs)?)
    }
}

impl Saturation {
    fn new(average: f32) -> Self {
        let norms = std::array::from_fn(|code| {
            let length = FieldNormReader::id_to_fieldnorm(code as u8) as f32;
            K1 * (1.0 - B + B * length / average)
        });
        Self { norms, once: norms.map(|norm| 1.0 / (1.0 + norm)) }
    }

    /// Fraction of the weight, in 0..1.
    pub fn of(&self, length: u8, frequency: u32) -> f32 {
        if frequency == 1 {
            return self.once[usize::from(length)];
        }
        let frequency = frequency as f32;
        frequency / (frequency + self.norms[usize::from(length)])
    }
}

/// Natural logarithm of 1 + (N - n + 0.5) / (n + 0.5).
fn inverse_frequency(containing: u32, documents: usize) -> f32 {
    let rest = (documents as u64).saturating_sub(u64::from(containing)) as f32;
    (1.0 + (rest + 0.5) / (containing as f32 + 0.5)).ln()
}

/// Bounds as a file holds them: little-endian 32-bit floats.
pub fn write_bounds(path: &Path, bounds: &[f32]) -> std::io::Result<()> {
    std::fs::write(path, bounds.iter().flat_map(|bound| bound.to_le_bytes()).collect::<Vec<u8>>())
}

/// Reads what [`write_bounds`] wrote.
pub fn read_bounds(path: &Path) -> std::io::Result<Vec<f32>> {
    Ok(std::fs::read(path)?.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}
