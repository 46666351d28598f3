//! Base64 as the reference's decoder takes it.

/// The standard and the URL-safe alphabet, also mixed, with or without padding.
pub fn decode_base64(encoded: &[u8]) -> Option<Vec<u8>> {
    let padding = encoded.iter().rev().take_while(|byte| **byte == b'=').count();
    let encoded = &encoded[..encoded.len() - padding];
    let decode = |encoded: &[u8]| base64_simd::STANDARD_NO_PAD.decode_to_vec(encoded).ok();
    if let Some(decoded) = decode(encoded) {
        return Some(decoded);
    }
    let standard = |byte: &u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        byte => *byte,
    };
    decode(&encoded.iter().map(standard).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_decode_to_the_same_bytes() {
        let bytes = [0xfb, 0xff, 0xfe, 0x01];
        for encoded in ["+//+AQ==", "-__-AQ==", "-__-AQ", "-/_+AQ"] {
            assert_eq!(decode_base64(encoded.as_bytes()).unwrap(), bytes, "{encoded}");
        }
        assert!(decode_base64(b"+//+A!==").is_none());
        assert!(decode_base64(b"+//+A").is_none());
    }
}
