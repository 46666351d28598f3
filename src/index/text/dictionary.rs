//! Words of a domain that jieba shall keep whole, from a file in jieba's own format.
use std::collections::BTreeMap;

use super::normal::Normalizer;
use crate::index::IndexError;

/// A parsed user dictionary: one word a line, then optionally its frequency and tag; `#` begins a comment, `# version: …` names the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserDictionary {
    pub version: Option<String>,
    /// Digest of the file, hexadecimal BLAKE3.
    pub digest: String,
    pub words: Vec<UserWord>,
}

/// A word in its normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserWord {
    pub word: String,
    /// Occurrences among about 60 million in jieba's own dictionary; without it jieba takes the smallest that keeps the word whole.
    pub frequency: Option<usize>,
    pub tag: Option<String>,
}

impl UserDictionary {
    /// Parses the text of a file; errors name the line.
    pub fn parse(text: &str) -> Result<Self, IndexError> {
        let normalizer = Normalizer::shared()?;
        let mut version = None;
        let mut words: BTreeMap<String, (usize, UserWord)> = BTreeMap::new();
        for (line, number) in text.trim_start_matches('\u{feff}').lines().zip(1..) {
            let (entry, comment) = line.split_once('#').map_or((line, ""), |(entry, comment)| (entry, comment.trim()));
            if let Some(named) = comment.strip_prefix("version:").filter(|_| entry.trim().is_empty()) {
                version.get_or_insert_with(|| named.trim().to_owned());
            }
            if entry.trim().is_empty() {
                continue;
            }
            let failed = |reason: String| IndexError::Dictionary { line: number, reason };
            let word = parse_entry(normalizer, entry).map_err(failed)?;
            match words.get(&word.word) {
                Some((first, known)) if known.frequency != word.frequency => {
                    return Err(failed(format!("line {first} gives `{}` another frequency", word.word)));
                }
                Some(_) => {}
                None => drop(words.insert(word.word.clone(), (number, word))),
            }
        }
        let mut words: Vec<(usize, UserWord)> = words.into_values().collect();
        words.sort_by_key(|(line, _)| *line);
        let digest = blake3::hash(text.as_bytes()).to_hex().to_string();
        Ok(Self { version, digest, words: words.into_iter().map(|(_, word)| word).collect() })
    }
}

fn parse_entry(normalizer: &Normalizer, entry: &str) -> Result<UserWord, String> {
    let mut fields = entry.split_whitespace();
    let word = normalizer.normalize(fields.next().unwrap_or_default()).into_owned();
    if let Some(character) = word.chars().find(|character| !is_inside_a_word(*character)) {
        return Err(format!("`{word}` holds `{character}`, at which jieba always cuts"));
    }
    let mut next = fields.next();
    let mut frequency = None;
    if let Some(digits) = next.filter(|field| field.bytes().all(|byte| byte.is_ascii_digit())) {
        // jieba adds frequencies up; 32 bits leave room for every dictionary.
        let parsed = digits.parse::<u32>().ok().filter(|frequency| *frequency > 0);
        frequency = Some(parsed.ok_or_else(|| format!("frequency {digits} is not in 1..=4294967295"))? as usize);
        next = fields.next();
    }
    let tag = next.map(str::to_owned);
    if let Some(tag) = tag.as_ref().filter(|tag| !tag.bytes().all(|byte| byte.is_ascii_alphabetic())) {
        return Err(format!("`{tag}` is neither a frequency nor a tag; a line is: word, frequency, tag"));
    }
    match fields.next() {
        Some(more) => Err(format!("`{more}` is too much; a line is: word, frequency, tag")),
        None => Ok(UserWord { word, frequency, tag }),
    }
}

/// Characters of the blocks that jieba cuts into words (`re_han_default` of jieba 0.42, with the ideographs beyond U+FFFF).
fn is_inside_a_word(character: char) -> bool {
    match character {
        '+' | '#' | '&' | '.' | '_' | '%' | '-' => true,
        '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{2FA1F}' => true,
        _ => character.is_ascii_alphanumeric(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> String {
        UserDictionary::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn words_frequencies_tags_comments_and_the_version_are_read() {
        let parsed = UserDictionary::parse("# version: 2024.2\n\n碳纖維 300 n # 材料\n预浸料 n\nＣＦＲＰ\n").unwrap();
        assert_eq!(parsed.version.as_deref(), Some("2024.2"));
        let rows: Vec<_> = parsed.words.iter().map(|w| (w.word.as_str(), w.frequency, w.tag.as_deref())).collect();
        assert_eq!(rows, [("碳纤维", Some(300), Some("n")), ("预浸料", None, Some("n")), ("cfrp", None, None)]);
    }

    #[test]
    fn an_error_names_the_line() {
        assert!(reason("碳纤维\n预浸料 多\n").starts_with("user dictionary, line 2: `多` is neither"));
        assert!(reason("碳纤维 0").contains("line 1: frequency 0"));
        assert!(reason("碳·纤维").contains("holds `·`"));
        assert!(reason("碳纤维 3 n 4").contains("`4` is too much"));
        assert!(reason("碳纤维 3\n碳纖維 4").contains("line 2: line 1 gives"));
    }

    #[test]
    fn the_same_words_under_another_version_have_another_digest() {
        let digest = |text| UserDictionary::parse(text).unwrap().digest;
        assert_ne!(digest("# version: 1\n碳纤维\n"), digest("# version: 2\n碳纤维\n"));
    }
}
