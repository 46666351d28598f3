//! What do others call this? Features, truth and rankings in the formats of the reference and of TREC, in and out.

mod blocks;
mod error;
mod feature_block;
mod feature_line;
mod feature_table;
mod features;
mod fractions;
mod json_numbers;
mod lines;
mod names;
mod outcomes;
mod pieces;
mod plain_line;
mod plain_score;
mod predictions;
mod python_json;
mod python_string;
mod python_text;
mod reference_score;
mod trec_qrels;
mod trec_run;
mod truth;

pub use error::FileError;
pub use features::{Features, FoundList, Kept, read_features, write_features};
pub use lines::each_line;
pub use outcomes::{FoundRanks, JudgedQueries, Judgements, outcomes};
pub use plain_score::{PlainRank, PlainTruth};
pub use predictions::{parse_predictions, write_predictions};
pub use python_text::{float_text, json_text};
pub use reference_score::{ReferenceScore, reference_score, score_json};
pub use trec_qrels::{read_qrels, write_trec_qrels};
pub use trec_run::{read_run, write_run};
pub use truth::{parse_truth, transposed, write_transposed};
