//! Numbers between 1e-4 and 1 as Python writes them, which most of an embedding are, as f32 from their first sixteen digits.
//! Where the processor reads eight at a time, this reads only the last of an array. For whatever else stands in an array there is [`super::json_numbers`].

use crate::model::fraction_f32;

/// The low half of every byte: the value of a digit.
pub(super) const LOW: u64 = 0x0F0F_0F0F_0F0F_0F0F;
/// Bytes that one such number is looked for in: `-0.`, 24 digits and what stands behind.
const WINDOW: usize = 32;

/// Appends numbers from `at` on as long as they are fractions as Python writes most of an embedding and `out` holds fewer
/// than `most`, and returns where the first other one starts.
pub(super) fn fractions(bytes: &[u8], mut at: usize, out: &mut Vec<f32>, most: usize) -> usize {
    while out.len() < most
        && let Some((value, length)) = bytes.get(at..).and_then(|rest| rest.first_chunk()).and_then(fraction)
    {
        out.push(value);
        at += length;
    }
    at
}

/// `0.` and 16 to 22 digits, or `-0.` and 16 to 21, then `, `: the value, and the length of all of it. `None` where it is
/// written in another way, or where the digits after the sixteenth might decide how it is rounded.
#[inline]
fn fraction(window: &[u8; WINDOW]) -> Option<(f32, usize)> {
    let word = |at: usize| window[at..].first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk));
    // Where it ends does not wait for whether it has a sign: the next number can be begun at once.
    let last = word(18);
    let bits = no_digits(last).trailing_zeros() & !7;
    let behind = last.checked_shr(bits)?;
    let negative = window[0] == b'-';
    let sign = usize::from(negative);
    let (first, second) = (word(sign + 2), word(sign + 10));
    let plain = window[sign..sign + 2] == *b"0." && no_digits(first) | no_digits(second) == 0;
    if !plain || behind as u16 != u16::from_le_bytes(*b", ") {
        return None;
    }
    let units = eight_digits(first & LOW) * 100_000_000 + eight_digits(second & LOW);
    let signed = f32::from_bits(fraction_f32(units)?.to_bits() | u32::from(negative) << 31);
    Some((signed, 20 + bits as usize / 8))
}

/// Zero where all eight characters are digits; else the lowest bit that is set is in the first that is none.
#[inline]
pub(super) fn no_digits(word: u64) -> u64 {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    // A digit is 0x30 to 0x39: its high half is 3, and adding 6 does not change that.
    ((word & !LOW) ^ ZEROS) | ((word.wrapping_add(0x0606_0606_0606_0606) & !LOW) ^ ZEROS)
}

/// The number that eight digits make, the first in the lowest byte.
#[inline]
pub(super) fn eight_digits(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let low = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let high = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    low.wrapping_add(high) >> 32
}

#[cfg(test)]
mod tests {
    use super::super::json_numbers::read;
    use super::*;

    #[test]
    fn what_python_writes_of_most_singles_is_read_here() {
        let texts: Vec<String> = (1..10_000).map(|i| f64::from(i as f32 / 9_999.9).to_string()).collect();
        let mut out = Vec::new();
        let short = texts
            .iter()
            .filter(|text| {
                fractions(format!("{text}, {text}, 0.0 of 32 bytes").as_bytes(), 0, &mut out, usize::MAX) == 0
            })
            .count();
        assert!(short < 1_000, "{short} of 9,999 are left to the slower way");
    }

    /// What `numpy.float32(float(text))` gives, for many numbers in one array, as embeddings stand in a file.
    fn assert_all(texts: &[String]) {
        let found = read(&format!("[{}]", texts.join(", "))).unwrap();
        assert_eq!(found.len(), texts.len());
        for (text, found) in texts.iter().zip(found) {
            let expected = text.parse::<f64>().unwrap() as f32;
            assert_eq!(found.to_bits(), expected.to_bits(), "{text}");
        }
    }

    #[test]
    fn fractions_of_any_length_one_digit_from_a_halfway_case_are_rounded_right() {
        let mut state = 7u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 11
        };
        let mut texts = Vec::new();
        for _ in 0..30_000 {
            // From 2^-16 to 1: below and above where the fast ways begin and end.
            let single = f32::from_bits((0x3780_0000 + next() % 0x0800_0000) as u32);
            let middle = f64::midpoint(f64::from(single), f64::from(single.next_up()));
            for exact in [f64::from(single), middle, middle.next_up(), middle.next_down()] {
                let sign = if next() % 2 == 0 { "" } else { "-" };
                // The digits of the f64 to the last; cut anywhere, and with another digit or many behind.
                let digits = format!("{exact:.60}");
                let cut = &digits[..3 + (next() % 30) as usize];
                texts.push(format!("{sign}{digits}"));
                texts.push(format!("{sign}{cut}"));
                texts.push(format!("{sign}{cut}{}", next() % 10));
                texts.push(format!("{sign}{cut}{:017}", next() % 100_000_000_000_000_000));
                texts.push(format!("{sign}{exact}"));
                texts.push(format!("{sign}{exact:e}"));
            }
        }
        assert_all(&texts);
    }

    #[test]
    fn the_smallest_the_largest_and_what_fills_every_width_are_read_right() {
        let mut texts: Vec<String> =
            ["0", "-0", "-0.0", "0.0", "-1e-400", "1.0", "1e-45", "7e-46", "7.1e-46", "1.1754943e-38", "1e-400"]
                .map(str::to_owned)
                .to_vec();
        texts.extend(
            ["340282346638528859811704183484516925440.0", "1e22", "123456789012345678901234567890"].map(str::to_owned),
        );
        for count in 1..40 {
            for digit in ["0", "1", "5", "9"] {
                let digits = digit.repeat(count);
                texts.extend([format!("0.{digits}"), format!("-0.{digits}7"), format!("0.0001{digits}")]);
                texts.extend([format!("0.00009{digits}"), format!("0.{digits}e-3"), format!("3.{digits}E+2")]);
            }
        }
        assert_all(&texts);
        assert!(read("[0.1234567890123456, 0.12345678901234567.1]").is_none());
        assert!(read("[00.123456789012345678, 0.1]").is_none());
        for not_json in ["NaN", "Infinity", "-Infinity", "0.12345678901234567a", "0.1234567890123456,,"] {
            assert!(read(&format!("[0.1234567890123456, {not_json}, 0.12345678901234567]")).is_none(), "{not_json}");
        }
    }
}
