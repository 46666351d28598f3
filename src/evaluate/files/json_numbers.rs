//! Arrays of JSON numbers as f32, fast: what `float(text)` rounded to f32 gives, eight digits at a step.
use super::fractions::{LOW, eight_digits, fractions, no_digits};
use crate::model::{fractions_f32, has_fast_fractions, rounds_alike};

/// Powers of ten from 10^-45 to 10^45, each the nearest f64.
#[rustfmt::skip]
const POWERS: [f64; 91] = [
    1e-45, 1e-44, 1e-43, 1e-42, 1e-41, 1e-40, 1e-39, 1e-38, 1e-37, 1e-36, 1e-35, 1e-34, 1e-33,
    1e-32, 1e-31, 1e-30, 1e-29, 1e-28, 1e-27, 1e-26, 1e-25, 1e-24, 1e-23, 1e-22, 1e-21, 1e-20,
    1e-19, 1e-18, 1e-17, 1e-16, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7,
    1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6,
    1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
    1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30, 1e31, 1e32,
    1e33, 1e34, 1e35, 1e36, 1e37, 1e38, 1e39, 1e40, 1e41, 1e42, 1e43, 1e44, 1e45,
];
/// Place of 1 among them.
const ONE: i32 = 45;
const SHIFTS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
/// As many digits fit a u64.
const MAX_DIGITS: usize = 19;
/// An exponent past all that are looked up.
const FAR: i32 = 1_000_000;
/// The fast way is off by less than this many units in the last place of an f64.
const SLACK: u64 = 8;
/// Where fewer numbers than this are read eight at a time, twice as many go by before that is tried again.
const WORTH_IT: usize = 16;

/// Appends the numbers of a JSON array to `out`; `bytes` start at its `[`. Returns the length of the array, or `None`
/// where it is no array of numbers.
pub fn read_numbers(bytes: &[u8], out: &mut Vec<f32>) -> Option<usize> {
    let mut at = skip_space(bytes, bytes.first().filter(|byte| **byte == b'[').map(|_| 1)?);
    if bytes.get(at) == Some(&b']') {
        return Some(at + 1);
    }
    // Values in `out` from which on eight are tried at a time.
    let mut next_try = if has_fast_fractions() { 0 } else { usize::MAX };
    loop {
        if out.len() >= next_try {
            let had = out.len();
            at = fractions_f32(bytes, at, out);
            if out.len() - had < WORTH_IT {
                next_try = out.len() + 2 * WORTH_IT;
            }
        }
        // More than one space may stand behind the comma of a fraction.
        let most = next_try.max(out.len() + 2);
        at = skip_space(bytes, fractions(bytes, at, out, most));
        let (value, length) = number(bytes.get(at..)?)?;
        out.push(value);
        at += length;
        // `, ` is what Python's json puts between two values.
        if bytes.get(at..at + 2) == Some(b", ") && bytes.get(at + 2) != Some(&b' ') {
            at += 2;
            continue;
        }
        at = skip_space(bytes, at);
        match bytes.get(at)? {
            b',' => at = skip_space(bytes, at + 1),
            b']' => return Some(at + 1),
            _ => return None,
        }
    }
}

/// First position from `at` on that holds no white space of JSON.
pub fn skip_space(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count()
}

/// A JSON number at the start of `bytes`, and its length.
fn number(bytes: &[u8]) -> Option<(f32, usize)> {
    let negative = bytes.first() == Some(&b'-');
    let start = usize::from(negative);
    let mut mantissa = 0;
    let mut at = digits(bytes, start, &mut mantissa);
    if at == start || (bytes[start] == b'0' && at > start + 1) {
        return None;
    }
    let mut count = at - start;
    let mut exponent = 0i32;
    if bytes.get(at) == Some(&b'.') {
        let end = digits(bytes, at + 1, &mut mantissa);
        if end == at + 1 {
            return None;
        }
        count += end - at - 1;
        exponent = -((end - at - 1) as i32);
        at = end;
    }
    // Zeros in front make no mantissa larger.
    if count > MAX_DIGITS {
        count -= bytes[start..at].iter().take_while(|byte| matches!(byte, b'0' | b'.')).count() - 1;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = bytes.get(at + 1).copied();
        let first = at + 1 + usize::from(matches!(sign, Some(b'+' | b'-')));
        let mut power = 0;
        let end = digits(bytes, first, &mut power);
        if end == first {
            return None;
        }
        let power = if end - first > 8 { FAR } else { power as i32 };
        exponent = exponent.saturating_add(if sign == Some(b'-') { -power } else { power });
        at = end;
    }
    let magnitude = if count <= MAX_DIGITS { scaled(mantissa, exponent) } else { None };
    let value = match magnitude {
        Some(magnitude) if negative => -magnitude,
        Some(magnitude) => magnitude,
        None => str::from_utf8(&bytes[..at]).ok()?.parse::<f64>().ok()? as f32,
    };
    Some((value, at))
}

/// `mantissa * 10^exponent` as f32, where the rounding of the way there cannot change the result.
fn scaled(mantissa: u64, exponent: i32) -> Option<f32> {
    if mantissa == 0 {
        return Some(0.0);
    }
    // A signed number takes one instruction to convert.
    let whole = i64::try_from(mantissa).ok()? as f64;
    let value = whole * POWERS.get(usize::try_from(exponent + ONE).ok()?)?;
    let normal = value >= 2.0 * f64::from(f32::MIN_POSITIVE) && value <= 0.5 * f64::from(f32::MAX);
    (normal && rounds_alike(value, SLACK)).then_some(value as f32)
}

/// Appends the digits from `at` on to `mantissa`, which wraps where they are too many, and returns where they end.
#[inline]
fn digits(bytes: &[u8], mut at: usize, mantissa: &mut u64) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let (count, value) = leading_digits(u64::from_le_bytes(*chunk));
        *mantissa = mantissa.wrapping_mul(SHIFTS[count]).wrapping_add(value);
        at += count;
        if count < 8 {
            return at;
        }
    }
    while let Some(digit) = bytes.get(at).filter(|byte| byte.is_ascii_digit()) {
        *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        at += 1;
    }
    at
}

/// How many of eight characters, the first in the lowest byte, are digits before anything else, and their value.
#[inline]
fn leading_digits(word: u64) -> (usize, u64) {
    let count = (no_digits(word).trailing_zeros() / 8) as usize;
    // Zeros come in front of fewer than eight; two shifts, because none may be by 64.
    let digits = (word & LOW) << (8 * (8 - count).min(7)) << (8 * usize::from(count == 0));
    (count, eight_digits(digits))
}

/// A text that is one array of numbers, for tests.
#[cfg(test)]
pub(super) fn read(text: &str) -> Option<Vec<f32>> {
    let mut out = Vec::new();
    let length = read_numbers(text.as_bytes(), &mut out)?;
    (length == text.len()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_number_gives_what_the_standard_parser_gives() {
        let mut state = 1u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 11
        };
        for _ in 0..200_000 {
            let single = f32::from_bits((next() >> 5) as u32);
            let double = f64::from_bits(next() << 11 ^ next());
            let halfway = f64::from_bits(f64::from(single).to_bits() | 1 << 28);
            for text in [
                format!("{}", f64::from(single)),
                format!("{single:e}"),
                format!("{double:e}"),
                format!("{halfway:e}"),
                format!("{}", (next() % 2_000_003) as f64 / 1e6),
                format!("{}.{:04}e-{}", next() % 100, next() % 9999, next() % 50),
                format!("0.000{}{:018}", next() % 9 + 1, next()),
                format!("{}{:019}.5", next() % 9 + 1, next()),
            ] {
                let expected = text.parse::<f64>().unwrap() as f32;
                if expected.is_finite() {
                    assert_eq!(read(&format!("[{text}]")).unwrap()[0].to_bits(), expected.to_bits(), "{text}");
                }
            }
        }
    }

    #[test]
    fn white_space_is_allowed_where_json_allows_it_and_no_other_grammar_is_read() {
        assert_eq!(read("[]"), Some(vec![]));
        assert_eq!(read("[ 1 ,\t-2.5e1,0,  -0.0 ]").unwrap(), [1.0, -25.0, 0.0, 0.0]);
        assert_eq!(read("[0.12345678901234567890123456789]").unwrap(), [0.123_456_79]);
        let spaced = format!("[{}  0.5 ,  2]", "0.1234567890123456, ".repeat(40));
        assert_eq!(read(&spaced).unwrap()[39..], [0.123_456_79, 0.5, 2.0]);
        assert_eq!(read("[1e400]").unwrap(), [f32::INFINITY]);
        for bad in [
            "", "[", "[1", "[1,]", "[,1]", "[01]", "[1.]", "[.5]", "[+1]", "[1e]", "[--1]", "[NaN]", "[\"1\"]",
            "[1 2]", "[1,  ]",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
