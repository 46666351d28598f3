//! Numbers and texts as the pages write them.
use super::super::svg::escape;

/// A fraction in percent with one digit, or a dash.
pub fn percent(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{:.1}", 100.0 * value))
}

/// A difference of fractions in points with its sign.
pub(in super::super) fn points(change: f64) -> String {
    let points = 100.0 * change;
    match points {
        _ if points.abs() < 0.05 => "0.0".to_owned(),
        _ if points < 0.0 => format!("−{:.1}", -points),
        _ => format!("+{points:.1}"),
    }
}

/// A p value as papers give it.
pub(in super::super) fn p_value(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") }
}

/// An interval of fractions in whole percent, `47–55`.
pub(super) fn interval(lower: Option<f64>, upper: Option<f64>) -> Option<String> {
    let (lower, upper) = (lower?, upper?);
    Some(format!("{:.0}–{:.0}", 100.0 * lower, 100.0 * upper))
}

/// Escaped text, marked as Chinese where it holds Han characters.
pub fn chinese(text: &str) -> String {
    let han = |c: char| matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}');
    if text.chars().any(han) { format!("<span lang=\"zh\">{}</span>", escape(text)) } else { escape(text) }
}

pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        assert_eq!((percent(Some(0.5104)), percent(None)), ("51.0".to_owned(), "–".to_owned()));
        assert_eq!(
            (points(-0.098), points(0.2), points(-0.0001)),
            ("−9.8".to_owned(), "+20.0".to_owned(), "0.0".to_owned())
        );
        assert_eq!((thousands(1_234_567), thousands(999)), ("1,234,567".to_owned(), "999".to_owned()));
        assert_eq!((p_value(0.0002), p_value(0.04)), ("p < 0.001".to_owned(), "p = 0.040".to_owned()));
        assert_eq!(interval(Some(0.47), Some(0.551)), Some("47–55".to_owned()));
    }

    #[test]
    fn only_chinese_is_marked_as_chinese() {
        assert_eq!(chinese("红心 <b>"), "<span lang=\"zh\">红心 &lt;b&gt;</span>");
        assert_eq!(chinese("red & heart"), "red &amp; heart");
    }
}
