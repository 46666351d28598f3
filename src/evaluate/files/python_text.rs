//! Text as Python writes it: `json.dumps` with its separators and escapes, `repr` of a float, `str` of a JSON value.
use std::borrow::Cow;
use std::fmt::Write;

use super::python_json::PyValue;

/// `repr(value)` of a finite float: the shortest digits that read back the same, `e` below 1e-4 and from 1e16 on.
pub fn float_text(value: f64) -> String {
    let scientific = format!("{value:e}");
    let Some((digits, power)) = scientific.split_once('e').and_then(|(d, p)| Some((d, p.parse::<i32>().ok()?))) else {
        return match value {
            _ if value.is_nan() => "NaN",
            _ if value > 0.0 => "Infinity",
            _ => "-Infinity",
        }
        .to_owned();
    };
    if (-4..16).contains(&power) {
        let plain = value.to_string();
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if power < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", power.unsigned_abs())
}

/// A JSON string in ASCII.
pub fn json_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for unit in text.encode_utf16() {
        match char::from_u32(u32::from(unit)) {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\u{c}') => out.push_str("\\f"),
            Some(plain @ ' '..='~') => out.push(plain),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out.push('"');
    out
}

/// An id that is written as an integer is one, as the reference's evaluation wants it; others are strings.
pub fn id_json(id: &str) -> Cow<'_, str> {
    let digits = id.strip_prefix('-').unwrap_or(id);
    let integer = digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.is_empty()
        && (!digits.starts_with('0') || id == "0");
    if integer { id.into() } else { json_text(id).into() }
}

/// Ids as the items of a JSON list.
pub fn id_list<'a>(ids: impl IntoIterator<Item = &'a str>) -> String {
    let mut list = String::new();
    for id in ids {
        list.push_str(if list.is_empty() { "" } else { ", " });
        push_id(&mut list, id);
    }
    list
}

/// Appends what [`id_json`] gives.
pub fn push_id(out: &mut String, id: &str) {
    out.push_str(&id_json(id));
}

/// `str(value)`.
pub fn python_str(value: &PyValue) -> String {
    match value {
        PyValue::Text(text) => text.clone(),
        other => python_repr(other),
    }
}

/// `repr(value)`; of the characters that Python escapes, only control characters are.
fn python_repr(value: &PyValue) -> String {
    let list = |values: Vec<String>| values.join(", ");
    match value {
        PyValue::None => "None".to_owned(),
        PyValue::Bool(true) => "True".to_owned(),
        PyValue::Bool(false) => "False".to_owned(),
        PyValue::Int(digits) => digits.clone(),
        PyValue::Float(value) if value.is_finite() => float_text(*value),
        PyValue::Float(value) => value.to_string().to_lowercase(),
        PyValue::Text(text) => quoted(text),
        PyValue::List(values) => format!("[{}]", list(values.iter().map(python_repr).collect())),
        PyValue::Dict(entries) => {
            let entry = |(key, value): &(String, PyValue)| format!("{}: {}", quoted(key), python_repr(value));
            format!("{{{}}}", list(entries.iter().map(entry).collect()))
        }
    }
}

fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if character == quote => {
                out.push('\\');
                out.push(quote);
            }
            _ if character.is_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(character));
            }
            plain => out.push(plain),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_and_strings_look_as_python_writes_them() {
        let cases = [
            (0.0, "0.0"),
            (100.0, "100.0"),
            (-0.0, "-0.0"),
            (66.666_666_666_666_66, "66.66666666666666"),
            (1e-5, "1e-05"),
            (1.5e-4, "0.00015"),
            (1e16, "1e+16"),
            (1.25e-7, "1.25e-07"),
            (9_007_199_254_740_993.0, "9007199254740992.0"),
        ];
        for (value, text) in cases {
            assert_eq!(float_text(value), text);
        }
        assert_eq!(json_text("图 \"a\"\u{7f}\u{1f600}"), "\"\\u56fe \\\"a\\\"\\u007f\\ud83d\\ude00\"");
    }

    #[test]
    fn only_integers_as_json_writes_them_stay_integers() {
        assert_eq!(
            id_list(["0", "-3", "7", "007", "-0", "1.5", "", "a"]),
            "0, -3, 7, \"007\", \"-0\", \"1.5\", \"\", \"a\""
        );
    }
}
