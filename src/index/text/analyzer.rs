//! A caption as terms: NFKC, traditional to simplified, lower case, words, no punctuation.
use std::sync::OnceLock;

use ferrous_opencc::OpenCC;
use ferrous_opencc::config::BuiltinConfig;
use jieba_rs::Jieba;
use unicode_normalization::UnicodeNormalization;

use crate::index::{AnalyzerKind, IndexError};

/// Cuts text into terms; documents and queries go through the same one.
pub struct Analyzer {
    simplify: &'static OpenCC,
    cut: Cut,
}

enum Cut {
    Jieba(Box<Jieba>),
    Bigram,
}

impl Analyzer {
    /// `dictionary` holds words that jieba shall keep whole, one a line.
    pub fn new(kind: AnalyzerKind, dictionary: Option<&str>) -> Result<Self, IndexError> {
        let simplify = simplifier()?;
        let cut = match kind {
            AnalyzerKind::Bigram => Cut::Bigram,
            AnalyzerKind::Jieba => {
                let mut jieba = Jieba::new();
                for word in dictionary.unwrap_or_default().lines().map(str::trim).filter(|w| !w.is_empty()) {
                    jieba.add_word(&normalize(simplify, word), None, None);
                }
                Cut::Jieba(Box::new(jieba))
            }
        };
        Ok(Self { simplify, cut })
    }

    /// The terms of a text, in order.
    pub fn terms(&self, text: &str) -> Vec<String> {
        let text = normalize(self.simplify, text);
        match &self.cut {
            Cut::Jieba(jieba) => {
                let words = jieba.cut_for_search(&text, true);
                words.iter().filter(|token| is_word(token.word)).map(|token| token.word.to_owned()).collect()
            }
            Cut::Bigram => bigrams(&text),
        }
    }
}

fn simplifier() -> Result<&'static OpenCC, IndexError> {
    static SIMPLIFY: OnceLock<Result<OpenCC, String>> = OnceLock::new();
    let opened = SIMPLIFY.get_or_init(|| OpenCC::from_config(BuiltinConfig::T2s).map_err(|error| error.to_string()));
    opened.as_ref().map_err(|reason| IndexError::Conversion { reason: reason.clone() })
}

fn normalize(simplify: &OpenCC, text: &str) -> String {
    simplify.convert(&text.nfkc().collect::<String>()).to_lowercase()
}

fn is_word(word: &str) -> bool {
    word.chars().any(char::is_alphanumeric)
}

/// Runs of letters and digits: every character, and every pair of neighbours.
fn bigrams(text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    for run in text.split(|c: char| !c.is_alphanumeric()) {
        let characters: Vec<char> = run.chars().collect();
        terms.extend(characters.iter().map(char::to_string));
        terms.extend(characters.windows(2).map(|pair| pair.iter().collect::<String>()));
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traditional_full_width_and_upper_case_fold_to_one_form() {
        let analyzer = Analyzer::new(AnalyzerKind::Jieba, None).unwrap();
        assert_eq!(analyzer.terms("碳纖維自行車"), analyzer.terms("碳纤维自行车"));
        assert_eq!(analyzer.terms("ＣＦＲＰ，表面！"), ["cfrp", "表面"]);
    }

    #[test]
    fn a_word_of_the_dictionary_stays_whole() {
        let plain = Analyzer::new(AnalyzerKind::Jieba, None).unwrap();
        let domain = Analyzer::new(AnalyzerKind::Jieba, Some("黑色碳纤维\n")).unwrap();
        assert!(!plain.terms("黑色碳纤维表面").contains(&"黑色碳纤维".to_owned()));
        assert!(domain.terms("黑色碳纤维表面").contains(&"黑色碳纤维".to_owned()));
    }

    #[test]
    fn bigrams_do_not_cross_punctuation() {
        let analyzer = Analyzer::new(AnalyzerKind::Bigram, None).unwrap();
        assert_eq!(analyzer.terms("红心，蓝"), ["红", "心", "红心", "蓝"]);
    }
}
