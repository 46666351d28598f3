//! What two spellings of one caption share.
use unicode_normalization::UnicodeNormalization;

use crate::data::short_hash;

/// A hash of the letters and digits of a text after NFKC and lower case: width, case, quotes, punctuation and white space do
/// not count. A text without any letter or digit is hashed as it is.
pub fn text_key(text: &str) -> u128 {
    if let Some(letters) = plain_letters(text) {
        return short_hash(if letters.is_empty() { text.as_bytes() } else { &letters });
    }
    let letters: String = text.nfkc().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect();
    short_hash(if letters.is_empty() { text.as_bytes() } else { letters.as_bytes() })
}

/// The same letters where no character needs Unicode's tables: ASCII and ideographs.
fn plain_letters(text: &str) -> Option<Vec<u8>> {
    let mut letters = Vec::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match c {
            '\u{4E00}'..='\u{9FFF}' | '\u{3400}'..='\u{4DBF}' => {
                letters.extend_from_slice(&text.as_bytes()[at..at + c.len_utf8()]);
            }
            c if c.is_ascii_alphanumeric() => letters.push(c.to_ascii_lowercase() as u8),
            // What Chinese puts between words.
            '，' | '。' | '、' | '！' | '？' | '：' | '；' => {}
            c if c.is_ascii() => {}
            _ => return None,
        }
    }
    Some(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_caption_share_a_key() {
        assert_eq!(text_key("黑色 Ｔ恤，“新款”！"), text_key("黑色T恤,新款"));
        assert_ne!(text_key("黑色T恤"), text_key("白色T恤"));
        assert_ne!(text_key("！"), text_key("？"));
    }

    #[test]
    fn the_short_way_gives_the_letters_of_the_long_one() {
        for text in ["黑色 T恤，new。《a》", "！！", "Ab 12，。、！？：；", "第7号", "", "\u{4dbf}\u{3400}\u{9fff}"]
        {
            let long: String = text.nfkc().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect();
            if let Some(short) = plain_letters(text) {
                assert_eq!(short, long.as_bytes(), "{text}");
            }
        }
        assert!(plain_letters("Ｔ恤").is_none() && plain_letters("黑色，t").is_some());
    }
}
