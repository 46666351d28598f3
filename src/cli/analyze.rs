//! `tuwen analyze`.
use std::fmt::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{Failure, Output};
use crate::data::ErrorClass;
use crate::index::{Analysis, Analyzer, AnalyzerKind, UserDictionary};
use crate::stage::StageError;
use crate::store::StoreError;

#[derive(Debug, Args)]
pub struct AnalyzeArgs {
    /// A caption or a query.
    text: String,
    /// How text is cut into terms.
    #[arg(long, value_enum, default_value_t = Kind::Jieba)]
    analyzer: Kind,
    /// Words that jieba shall keep whole: one a line, then optionally frequency and tag.
    #[arg(long, value_name = "FILE")]
    dictionary: Option<PathBuf>,
    /// Let jieba guess no words that no dictionary has.
    #[arg(long)]
    no_hmm: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// jieba's search mode.
    Jieba,
    /// Single characters and pairs of neighbours.
    Bigram,
    /// Single characters.
    Unigram,
}

pub fn run(args: &AnalyzeArgs) -> Result<Output, Failure> {
    let kind = match args.analyzer {
        Kind::Jieba => AnalyzerKind::Jieba,
        Kind::Bigram => AnalyzerKind::Bigram,
        Kind::Unigram => AnalyzerKind::Unigram,
    };
    let dictionary = match &args.dictionary {
        None => None,
        Some(path) => {
            let words = std::fs::read_to_string(path).map_err(StoreError::io(path))?;
            let parsed = UserDictionary::parse(&words);
            Some(parsed.map_err(|error| Failure::new(ErrorClass::BadInput, format!("{}: {error}", path.display())))?)
        }
    };
    let analyzer = Analyzer::new(kind, !args.no_hmm, dictionary.as_ref()).map_err(StageError::from)?;
    let analysis = analyzer.analyze(&args.text);
    Ok(Output { text: table(&analysis), json: to_json(&analysis, dictionary.as_ref()) })
}

fn table(analysis: &Analysis) -> String {
    let mut text = String::new();
    let forms = &analysis.forms;
    for (step, result) in [("NFKC", &forms.nfkc), ("simplified", &forms.simplified), ("lower case", &forms.lower)] {
        let _ = writeln!(text, "{step:<11} {result}");
    }
    for (field, terms) in [("terms", &analysis.terms), ("grams", &analysis.grams)] {
        let _ = writeln!(text, "{field:<11} {}", terms.join(" | "));
    }
    text
}

fn to_json(analysis: &Analysis, dictionary: Option<&UserDictionary>) -> Value {
    let forms = &analysis.forms;
    json!({
        "nfkc": forms.nfkc, "simplified": forms.simplified, "lower": forms.lower,
        "terms": analysis.terms, "grams": analysis.grams,
        "dictionary": dictionary.map(|used| json!({
            "version": used.version, "digest": used.digest, "words": used.words.len(),
        })),
    })
}
