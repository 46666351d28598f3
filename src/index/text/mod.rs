//! The keyword side: captions cut into terms, in tantivy.

mod analyzer;
mod keyword;

pub use analyzer::Analyzer;
pub use keyword::{Document, KeywordIndex, write_keywords};
