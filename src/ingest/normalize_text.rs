//! Spellings of one text made equal, where the data set asks for it.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_general_category::{GeneralCategory, get_general_category};

/// One kind of normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TextNormalization {
    /// Full-width Latin letters, digits, punctuation and blanks become the usual ones; Chinese punctuation stays.
    FullWidth,
    /// Curly and corner quotes become straight ones; the vocabulary knows no others.
    Quotes,
    /// Control and formatting characters go, such as NUL, zero-width blanks and byte order marks.
    ControlCharacters,
    /// Runs of white space become one blank.
    WhiteSpace,
}

/// A text after all normalisations, whatever order they are named in.
pub fn normalize_text(text: &str, steps: &[TextNormalization]) -> String {
    let has = |step| steps.contains(&step);
    let mut normal = String::with_capacity(text.len());
    for c in text.chars() {
        let c = if has(TextNormalization::FullWidth) { half_width(c) } else { c };
        let c = if has(TextNormalization::Quotes) { straight_quote(c) } else { c };
        if has(TextNormalization::WhiteSpace) && c.is_whitespace() {
            if !normal.ends_with(' ') {
                normal.push(' ');
            }
        } else if !(has(TextNormalization::ControlCharacters) && is_control(c)) {
            normal.push(c);
        }
    }
    normal.trim().to_owned()
}

/// U+FF01 to U+FF5E are ASCII, 65,248 code points further on. The marks that Chinese writes in full width stay.
fn half_width(c: char) -> char {
    match c {
        '\u{3000}' => ' ',
        '，' | '！' | '？' | '：' | '；' | '（' | '）' => c,
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

fn straight_quote(c: char) -> char {
    match c {
        '\u{201c}'..='\u{201f}' | '「' | '」' | '『' | '』' | '〝' | '〞' | '＂' => '"',
        '\u{2018}'..='\u{201b}' | '＇' => '\'',
        _ => c,
    }
}

fn is_control(c: char) -> bool {
    let kind = get_general_category(c);
    !matches!(c, '\t' | '\n' | '\r') && matches!(kind, GeneralCategory::Control | GeneralCategory::Format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_does_only_its_own() {
        use TextNormalization::{ControlCharacters, FullWidth, Quotes, WhiteSpace};
        let text = "ＡＢＣ１２３，“碳纤维”\u{200b}\u{0}\t 表面\u{3000}";
        assert_eq!(normalize_text(text, &[]), "ＡＢＣ１２３，“碳纤维”\u{200b}\u{0}\t 表面");
        assert_eq!(normalize_text(text, &[FullWidth]), "ABC123，“碳纤维”\u{200b}\u{0}\t 表面");
        assert_eq!(normalize_text(text, &[Quotes]), "ＡＢＣ１２３，\"碳纤维\"\u{200b}\u{0}\t 表面");
        assert_eq!(normalize_text(text, &[ControlCharacters]), "ＡＢＣ１２３，“碳纤维”\t 表面");
        let all = [WhiteSpace, ControlCharacters, Quotes, FullWidth];
        assert_eq!(normalize_text(text, &all), "ABC123，\"碳纤维\" 表面");
        assert_eq!(normalize_text(&normalize_text(text, &all), &all), normalize_text(text, &all));
    }
}
