//! A caption as terms: its normal form, cut into words or characters, without punctuation.
use jieba_rs::Jieba;

use super::dictionary::UserDictionary;
use super::normal::{NormalForms, Normalizer};
use crate::index::{AnalyzerKind, IndexError};

/// Cuts text into terms; documents and queries go through the same one.
pub struct Analyzer {
    normalizer: &'static Normalizer,
    cut: Cut,
}

enum Cut {
    Jieba { jieba: Box<Jieba>, hmm: bool },
    Bigram,
    Unigram,
}

/// What becomes of a text on its way into the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    pub forms: NormalForms,
    /// Terms of the analyzer's own field.
    pub terms: Vec<String>,
    /// Terms of the second field: characters and pairs of neighbours.
    pub grams: Vec<String>,
}

impl Analyzer {
    /// `hmm` and `dictionary` matter to jieba only: whether words that no dictionary has are guessed, and words to be kept whole.
    pub fn new(kind: AnalyzerKind, hmm: bool, dictionary: Option<&UserDictionary>) -> Result<Self, IndexError> {
        let cut = match kind {
            AnalyzerKind::Bigram => Cut::Bigram,
            AnalyzerKind::Unigram => Cut::Unigram,
            AnalyzerKind::Jieba => {
                let mut jieba = Jieba::new();
                for word in dictionary.iter().flat_map(|dictionary| &dictionary.words) {
                    jieba.add_word(&word.word, word.frequency, word.tag.as_deref());
                }
                Cut::Jieba { jieba: Box::new(jieba), hmm }
            }
        };
        Ok(Self { normalizer: Normalizer::shared()?, cut })
    }

    /// The normal form that terms are cut from.
    pub fn normalize<'a>(&self, text: &'a str) -> std::borrow::Cow<'a, str> {
        self.normalizer.normalize(text)
    }

    /// Calls `take` with every term of a text in its normal form, in order.
    pub fn for_each_term(&self, normal: &str, mut take: impl FnMut(&str)) {
        match &self.cut {
            Cut::Bigram => for_each_gram(normal, take),
            Cut::Unigram => for_each_character(normal, |start, end| take(&normal[start..end])),
            Cut::Jieba { jieba, hmm } => {
                let words = jieba.cut_for_search(normal, *hmm);
                words.iter().filter(|token| is_word(token.word)).for_each(|token| take(token.word));
            }
        }
    }

    /// The terms of a text, in order.
    pub fn terms(&self, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        self.for_each_term(&self.normalize(text), |term| terms.push(term.to_owned()));
        terms
    }

    /// Every step from a text to its terms.
    pub fn analyze(&self, text: &str) -> Analysis {
        let forms = self.normalizer.forms(text);
        Analysis { terms: self.terms(text), grams: grams(&forms.lower), forms }
    }
}

/// Characters and pairs of neighbours of a text in its normal form, in order of their last character.
pub fn grams(normal: &str) -> Vec<String> {
    let mut grams = Vec::new();
    for_each_gram(normal, |gram| grams.push(gram.to_owned()));
    grams
}

/// Calls `take` with every letter or digit and every pair of them that stand side by side.
pub fn for_each_gram(normal: &str, mut take: impl FnMut(&str)) {
    let mut before: Option<(usize, usize)> = None;
    for_each_character(normal, |start, end| {
        take(&normal[start..end]);
        if let Some((first, _)) = before.filter(|(_, last)| *last == start) {
            take(&normal[first..end]);
        }
        before = Some((start, end));
    });
}

/// How many letters and digits a text in its normal form has.
pub fn count_letters(normal: &str) -> usize {
    normal.chars().filter(|character| is_letter_or_digit(*character)).count()
}

/// Calls `take` with the byte range of every letter or digit.
fn for_each_character(normal: &str, mut take: impl FnMut(usize, usize)) {
    for (start, character) in normal.char_indices() {
        if is_letter_or_digit(character) {
            take(start, start + character.len_utf8());
        }
    }
}

fn is_word(word: &str) -> bool {
    word.chars().any(is_letter_or_digit)
}

fn is_letter_or_digit(character: char) -> bool {
    // Most characters are of this block, and the standard's tables are searched more slowly.
    matches!(character, '\u{4E00}'..='\u{9FFF}') || character.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn analyzer(kind: AnalyzerKind) -> Analyzer {
        Analyzer::new(kind, true, None).unwrap()
    }

    #[test]
    fn traditional_full_width_and_upper_case_fold_to_one_form() {
        let analyzer = analyzer(AnalyzerKind::Jieba);
        assert_eq!(analyzer.terms("碳纖維自行車"), analyzer.terms("碳纤维自行车"));
        assert_eq!(analyzer.terms("ＣＦＲＰ，表面！"), ["cfrp", "表面"]);
    }

    #[test]
    fn a_word_of_the_dictionary_stays_whole() {
        let dictionary = UserDictionary::parse("黑色碳纤维\n").unwrap();
        let domain = Analyzer::new(AnalyzerKind::Jieba, true, Some(&dictionary)).unwrap();
        let word = "黑色碳纤维".to_owned();
        assert!(!analyzer(AnalyzerKind::Jieba).terms("黑色碳纤维表面").contains(&word));
        assert!(domain.terms("黑色碳纤维表面").contains(&word));
    }

    #[test]
    fn without_hmm_unknown_words_fall_into_characters() {
        let plain = Analyzer::new(AnalyzerKind::Jieba, false, None).unwrap();
        assert_eq!(plain.terms("杭研大厦"), ["杭", "研", "大厦"]);
        assert_eq!(analyzer(AnalyzerKind::Jieba).terms("杭研大厦"), ["杭研", "大厦"]);
    }

    #[test]
    fn pairs_do_not_cross_punctuation() {
        assert_eq!(analyzer(AnalyzerKind::Bigram).terms("红心，蓝"), ["红", "心", "红心", "蓝"]);
        assert_eq!(analyzer(AnalyzerKind::Unigram).terms("红心，蓝a1"), ["红", "心", "蓝", "a", "1"]);
    }

    #[test]
    fn an_analysis_shows_every_step() {
        let analysis = analyzer(AnalyzerKind::Jieba).analyze("紅色ＳＵＶ");
        let NormalForms { nfkc, simplified, lower } = analysis.forms;
        assert_eq!((nfkc.as_str(), simplified.as_str(), lower.as_str()), ("紅色SUV", "红色SUV", "红色suv"));
        assert_eq!(analysis.terms, ["红色", "suv"]);
        assert_eq!(analysis.grams, ["红", "色", "红色", "s", "色s", "u", "su", "v", "uv"]);
    }
}
