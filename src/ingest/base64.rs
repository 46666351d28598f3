//! Base64 as the reference's decoder takes it.

/// The standard and the URL-safe alphabet, with or without padding; decoded in place.
pub fn decode_base64(mut encoded: Vec<u8>) -> Option<Vec<u8>> {
    let padding = encoded.iter().rev().take_while(|byte| **byte == b'=').count();
    encoded.truncate(encoded.len() - padding);
    if memchr::memchr2(b'-', b'_', &encoded).is_some() {
        for byte in &mut encoded {
            match byte {
                b'-' => *byte = b'+',
                b'_' => *byte = b'/',
                _ => {}
            }
        }
    }
    let length = base64_simd::STANDARD_NO_PAD.decode_inplace(&mut encoded).ok()?.len();
    encoded.truncate(length);
    Some(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_decode_to_the_same_bytes() {
        let bytes = [0xfb, 0xff, 0xfe, 0x01];
        for encoded in ["+//+AQ==", "-__-AQ==", "-__-AQ"] {
            assert_eq!(decode_base64(encoded.into()).unwrap(), bytes, "{encoded}");
        }
        assert!(decode_base64("+//+A!==".into()).is_none());
        assert!(decode_base64("+//+A".into()).is_none());
    }
}
