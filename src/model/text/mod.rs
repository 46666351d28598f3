//! Text towers and the tokenizer they share.

mod bert;
pub mod tokenizer;

pub use bert::Bert;
