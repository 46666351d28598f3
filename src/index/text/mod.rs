//! The keyword side: captions cut into terms, in tantivy.

mod analyzer;
mod cursor;
mod dictionary;
mod field;
mod frequent;
mod joined;
mod keyword;
mod keyword_leg;
mod maxscore;
mod normal;
mod order;
#[cfg(test)]
mod tests;
mod writer;

pub use analyzer::{Analysis, Analyzer, grams};
pub use dictionary::{UserDictionary, UserWord};
pub use keyword::{Document, KeywordIndex};
pub use keyword_leg::KeywordLeg;
pub use normal::NormalForms;
pub use writer::write_keywords;
