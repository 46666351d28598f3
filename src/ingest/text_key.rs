//! What two spellings of one caption share.
use unicode_normalization::UnicodeNormalization;

use crate::data::short_hash;

/// A hash of the letters and digits of a text after NFKC and lower case: width, case, quotes, punctuation and white space do
/// not count. A text without any letter or digit is hashed as it is.
pub fn text_key(text: &str) -> u128 {
    let letters: String = text.nfkc().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect();
    short_hash(if letters.is_empty() { text.as_bytes() } else { letters.as_bytes() })
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
}
