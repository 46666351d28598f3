//! The normal form of a text: NFKC, then traditional to simplified characters, then lower case.
use std::borrow::Cow;
use std::sync::OnceLock;

use ferrous_opencc::OpenCC;
use ferrous_opencc::config::BuiltinConfig;
use unicode_normalization::UnicodeNormalization;

use crate::index::IndexError;

/// Characters whose image depends on nothing around them: ASCII, CJK punctuation, the main block of ideographs, full-width forms.
const RANGES: [std::ops::RangeInclusive<u32>; 4] = [0x20..=0x7E, 0x3000..=0x3029, 0x4E00..=0x9FFF, 0xFF01..=0xFF5E];

/// Characters that stay when they are alone and change inside phrases of which every other character stays (瞭解, 藉口, 回覆, 沈船, 牴牾, 衹得).
const IN_PHRASES: [char; 6] = ['瞭', '藉', '覆', '沈', '牴', '衹'];

/// Brings texts to their normal form.
pub struct Normalizer {
    simplify: OpenCC,
    /// By code point, the one character that a character becomes; NUL where the text must take the long way.
    images: Vec<char>,
}

/// A text after each step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalForms {
    pub nfkc: String,
    pub simplified: String,
    pub lower: String,
}

impl Normalizer {
    /// The one of this process.
    pub fn shared() -> Result<&'static Self, IndexError> {
        static SHARED: OnceLock<Result<Normalizer, String>> = OnceLock::new();
        let made =
            SHARED.get_or_init(|| OpenCC::from_config(BuiltinConfig::T2s).map(Self::new).map_err(|e| e.to_string()));
        made.as_ref().map_err(|reason| IndexError::Conversion { reason: reason.clone() })
    }

    fn new(simplify: OpenCC) -> Self {
        let mut normalizer = Self { simplify, images: vec!['\0'; 1 << 16] };
        let characters: Vec<char> = RANGES.into_iter().flatten().filter_map(char::from_u32).collect();
        let apart: String = characters.iter().flat_map(|character| [*character, '\n']).collect();
        let forms = normalizer.forms(&apart);
        let lines = forms.nfkc.lines().zip(forms.simplified.lines()).zip(forms.lower.lines());
        for (character, ((nfkc, simplified), lower)) in characters.into_iter().zip(lines) {
            let mut image = lower.chars();
            // A character that changes may be part of a phrase that is converted as a whole.
            let alone = nfkc == simplified && !IN_PHRASES.contains(&character);
            if alone && let (Some(image), None) = (image.next(), image.next()) {
                normalizer.images[character as usize] = image;
            }
        }
        normalizer
    }

    /// The normal form.
    pub fn normalize<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut changed = false;
        for character in text.chars() {
            match self.image(character) {
                '\0' => return Cow::Owned(self.forms(text).lower),
                image => changed |= image != character,
            }
        }
        if changed { text.chars().map(|character| self.image(character)).collect() } else { Cow::Borrowed(text) }
    }

    /// Every step on the way to the normal form.
    pub fn forms(&self, text: &str) -> NormalForms {
        let nfkc: String = text.nfkc().collect();
        let simplified = self.simplify.convert(&nfkc);
        NormalForms { lower: simplified.to_lowercase(), nfkc, simplified }
    }

    fn image(&self, character: char) -> char {
        self.images.get(character as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_ends_where_the_long_one_does() {
        let normalizer = Normalizer::shared().unwrap();
        for text in [
            "黑色碳纤维，表面！",
            "ＵＳＢ　Type-C",
            "一目瞭然",
            "乾隆乾燥",
            "cafe\u{301}",
            "ΟΔΥΣΣΕΥΣ",
            "…",
            "",
            "ｶﾞ㈱",
            "𠮷野家",
        ] {
            assert_eq!(normalizer.normalize(text), normalizer.forms(text).lower, "{text:?}");
        }
    }

    #[test]
    fn a_text_that_is_normal_is_not_copied() {
        assert!(matches!(Normalizer::shared().unwrap().normalize("黑色碳纤维材料表面 a1"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_phrase_is_simplified_as_a_whole() {
        assert_eq!(Normalizer::shared().unwrap().normalize("乾隆擦乾"), "乾隆擦干");
    }
}
