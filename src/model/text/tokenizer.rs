//! The reference's `FullTokenizer`: clean-up, CJK splitting, lower case without accents, punctuation, WordPiece.
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_normalization::UnicodeNormalization;

/// Padding.
pub const PAD: u32 = 0;
/// A word outside the vocabulary.
pub const UNK: u32 = 100;
/// First token of every text.
pub const CLS: u32 = 101;
/// Last token of every text.
pub const SEP: u32 = 102;

/// Words of more characters than this are unknown.
const MAX_WORD_CHARS: usize = 200;
/// Of those that [`is_plain_ideograph`] knows.
const FIRST_IDEOGRAPH: char = '\u{3400}';
const LAST_IDEOGRAPH: char = '\u{9FFF}';
/// One entry a line.
pub(crate) const VOCABULARY: &str = include_str!("vocab.txt");

/// The WordPiece tokenizer over the 21,128 entries of bert-base-chinese; cheap to clone.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    vocabulary: Arc<Vocabulary>,
}

#[derive(Debug)]
struct Vocabulary {
    ids: HashMap<&'static str, u32>,
    /// Of every plain ideograph from [`FIRST_IDEOGRAPH`] on.
    ideographs: Vec<u16>,
}

/// A text as the model takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    /// Exactly `context_length` ids, padded with zeros.
    pub ids: Vec<u32>,
    /// Whether the text was cut to fit.
    pub truncated: bool,
    /// How many of the ids are `[UNK]`.
    pub unknown: usize,
}

impl Default for Tokenizer {
    fn default() -> Self {
        static READ: OnceLock<Arc<Vocabulary>> = OnceLock::new();
        Self { vocabulary: Arc::clone(READ.get_or_init(|| Arc::new(Vocabulary::read()))) }
    }
}

impl Vocabulary {
    fn read() -> Self {
        let mut ids = HashMap::with_capacity(Tokenizer::VOCABULARY_SIZE);
        ids.extend(VOCABULARY.lines().map(str::trim).zip(0..));
        let ideographs = FIRST_IDEOGRAPH..=LAST_IDEOGRAPH;
        let id = |c: char| ids.get(c.encode_utf8(&mut [0; 4]) as &str).copied().unwrap_or(UNK) as u16;
        let ideographs = ideographs.map(id).collect();
        Self { ids, ideographs }
    }
}

impl Tokenizer {
    /// Entries of the vocabulary.
    pub const VOCABULARY_SIZE: usize = 21_128;

    /// BLAKE3 of the vocabulary, 64 hexadecimal characters.
    pub fn digest(&self) -> String {
        blake3::hash(VOCABULARY.as_bytes()).to_hex().to_string()
    }

    /// `[CLS]`, at most `context_length - 2` word pieces, `[SEP]`, padding.
    pub fn encode(&self, text: &str, context_length: usize) -> Encoding {
        let pieces = self.pieces(text);
        let room = context_length.saturating_sub(2);
        let truncated = pieces.len() > room;
        let kept = pieces.get(..room.min(pieces.len())).unwrap_or(&pieces);
        let mut ids = Vec::with_capacity(context_length);
        ids.push(CLS);
        ids.extend_from_slice(kept);
        ids.push(SEP);
        ids.resize(context_length, PAD);
        Encoding { unknown: kept.iter().filter(|id| **id == UNK).count(), ids, truncated }
    }

    /// Tokens of a text with `[CLS]` and `[SEP]`, cut nowhere, and how many of them are `[UNK]`.
    pub fn count(&self, text: &str) -> (usize, usize) {
        let pieces = self.pieces(text);
        (pieces.len() + 2, pieces.iter().filter(|id| **id == UNK).count())
    }

    /// The word pieces of a text without special tokens. An ideograph or a mark between sentences is a word by itself that nothing
    /// folds, so that it is looked up where it stands; what lies between them goes the reference's way.
    pub fn pieces(&self, text: &str) -> Vec<u32> {
        let mut pieces = Vec::with_capacity(text.len() / 3 + 1);
        let mut rest = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| is_plain_ideograph(*c) || is_plain_mark(*c)) {
            self.pieces_between(&text[rest..at], &mut pieces);
            rest = at + c.len_utf8();
            let ideograph = (c as usize).checked_sub(FIRST_IDEOGRAPH as usize);
            pieces.push(match ideograph.and_then(|place| self.vocabulary.ideographs.get(place)) {
                Some(id) => u32::from(*id),
                None => self.vocabulary.ids.get(&text[at..rest]).copied().unwrap_or(UNK),
            });
        }
        self.pieces_between(&text[rest..], &mut pieces);
        pieces
    }

    /// The pieces of what lies between such characters. Of ASCII there is nothing to clean, to decompose or to take accents from.
    fn pieces_between(&self, text: &str, pieces: &mut Vec<u32>) {
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return self.mixed_pieces(text, pieces);
        }
        for word in text.to_ascii_lowercase().split_ascii_whitespace() {
            split_punctuation(word).into_iter().for_each(|part| self.word_pieces(part, pieces));
        }
    }

    /// The pieces of any text, by the reference's steps.
    fn mixed_pieces(&self, text: &str, pieces: &mut Vec<u32>) {
        if text.is_empty() {
            return;
        }
        for word in clean(text).split_whitespace() {
            let folded: String =
                word.to_lowercase().nfd().filter(|c| category(*c) != GeneralCategory::NonspacingMark).collect();
            // Folding can leave white space of its own behind, which the reference splits at once more.
            for part in split_punctuation(&folded).iter().flat_map(|part| part.split_whitespace()) {
                self.word_pieces(part, pieces);
            }
        }
    }

    /// Greedy longest match first.
    fn word_pieces(&self, word: &str, pieces: &mut Vec<u32>) {
        if word.chars().count() > MAX_WORD_CHARS {
            pieces.push(UNK);
            return;
        }
        let before = pieces.len();
        let mut start = 0;
        let mut candidate = String::with_capacity(word.len() + 2);
        while start < word.len() {
            let ends = word[start..].char_indices().map(|(at, c)| start + at + c.len_utf8());
            let found = ends.rev().find_map(|end| {
                candidate.clear();
                if start > 0 {
                    candidate.push_str("##");
                }
                candidate.push_str(&word[start..end]);
                self.vocabulary.ids.get(candidate.as_str()).map(|id| (*id, end))
            });
            let Some((id, end)) = found else {
                pieces.truncate(before);
                pieces.push(UNK);
                return;
            };
            pieces.push(id);
            start = end;
        }
    }
}

/// What the reference's training code does to a caption before it is tokenized: lower case, and curly double
/// quotes made straight.
pub fn normalize_caption(text: &str) -> String {
    let is_same = |c: char| is_plain_ideograph(c) || is_plain_mark(c) || c.is_ascii() && !c.is_ascii_uppercase();
    if text.chars().all(is_same) {
        return text.to_owned();
    }
    text.to_lowercase().replace(['\u{201c}', '\u{201d}'], "\"")
}

/// Drops control characters, makes every white space a blank, and puts blanks around CJK ideographs.
fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        if c == '\0' || c == '\u{fffd}' || is_control(c) {
            continue;
        }
        if is_white_space(c) {
            cleaned.push(' ');
        } else if is_ideograph(c) {
            cleaned.extend([' ', c, ' ']);
        } else {
            cleaned.push(c);
        }
    }
    cleaned
}

fn split_punctuation(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, c) in word.char_indices().filter(|(_, c)| is_punctuation(*c)) {
        parts.push(&word[start..at]);
        start = at + c.len_utf8();
        parts.push(&word[at..start]);
    }
    parts.push(&word[start..]);
    parts
}

fn category(c: char) -> GeneralCategory {
    get_general_category(c)
}

fn is_white_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r') || category(c) == GeneralCategory::SpaceSeparator
}

fn is_control(c: char) -> bool {
    !matches!(c, '\t' | '\n' | '\r') && matches!(category(c), GeneralCategory::Control | GeneralCategory::Format)
}

fn is_punctuation(c: char) -> bool {
    use GeneralCategory::{
        ClosePunctuation, ConnectorPunctuation, DashPunctuation, FinalPunctuation, InitialPunctuation, OpenPunctuation,
        OtherPunctuation,
    };
    c.is_ascii_punctuation()
        || matches!(
            category(c),
            ClosePunctuation
                | ConnectorPunctuation
                | DashPunctuation
                | FinalPunctuation
                | InitialPunctuation
                | OpenPunctuation
                | OtherPunctuation
        )
}

/// Ideographs that are the same after every step: they have no case, and nothing to decompose.
fn is_plain_ideograph(c: char) -> bool {
    matches!(c, '\u{4E00}'..='\u{9FFF}' | '\u{3400}'..='\u{4DBF}')
}

/// Punctuation that is the same after every step.
fn is_plain_mark(c: char) -> bool {
    matches!(c, '，' | '。' | '、' | '！' | '？' | '：' | '；' | '（' | '）' | '《' | '》' | '【' | '】' | '·' | '…')
}

/// The blocks that Google's BERT counts as Chinese characters.
fn is_ideograph(c: char) -> bool {
    matches!(u32::from(c),
        0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x20000..=0x2A6DF | 0x2A700..=0x2B73F | 0x2B740..=0x2B81F
        | 0x2B820..=0x2CEAF | 0xF900..=0xFAFF | 0x2F800..=0x2FA1F)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_ideographs_up_where_they_stand_changes_nothing() {
        let tokenizer = Tokenizer::default();
        let parts = [
            "红", "碳", "㐀", "\u{9ffe}", "豈", "Ａ", "a", "É", "e\u{301}", " ", "\u{200b}", "，", "1", "##",
            "\u{fffd}", "Tỷ", "ß", "\u{301}", "X-Ray 3", "~!", "。", "《", "】", "…", "·", "（", "、", "\t", "\u{7f}",
            "Q_",
        ];
        for seed in 0usize..4000 {
            let picked = (0..=(seed % 9)).map(|at| parts[(seed * 7919 + at * (seed / 3 + 31)) % parts.len()]);
            let text: String = picked.collect();
            let mut slow = Vec::new();
            tokenizer.mixed_pieces(&text, &mut slow);
            assert_eq!(tokenizer.pieces(&text), slow, "{text:?}");
            let lower = text.to_lowercase().replace(['\u{201c}', '\u{201d}'], "\"");
            assert_eq!(normalize_caption(&text), lower, "{text:?}");
        }
    }
}
