//! Base64 as the reference's decoder takes it.
use base64_simd::{Out, STANDARD_NO_PAD};

/// Bytes that a sound encoding decodes to.
pub fn decoded_bytes(encoded: &[u8]) -> usize {
    let digits = without_padding(encoded).len();
    digits / 4 * 3 + digits % 4 * 3 / 4
}

/// The standard and the URL-safe alphabet, also mixed, with or without padding.
pub fn decode_base64(encoded: &[u8]) -> Option<Vec<u8>> {
    let encoded = without_padding(encoded);
    STANDARD_NO_PAD.decode_to_vec(encoded).or_else(|_| STANDARD_NO_PAD.decode_to_vec(standard(encoded))).ok()
}

/// The same into memory of [`decoded_bytes`].
pub fn decode_base64_into(encoded: &[u8], decoded: &mut [u8]) -> Option<()> {
    let encoded = without_padding(encoded);
    let mut decode = |encoded: &[u8]| {
        let written = STANDARD_NO_PAD.decode(encoded, Out::from_slice(decoded)).ok()?.len();
        (written == decoded.len()).then_some(())
    };
    decode(encoded).or_else(|| decode(&standard(encoded)))
}

fn without_padding(encoded: &[u8]) -> &[u8] {
    let padding = encoded.iter().rev().take_while(|byte| **byte == b'=').count();
    &encoded[..encoded.len() - padding]
}

/// In the standard alphabet.
fn standard(encoded: &[u8]) -> Vec<u8> {
    let standard = |byte: &u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        byte => *byte,
    };
    encoded.iter().map(standard).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn into(encoded: &str) -> Option<Vec<u8>> {
        let mut decoded = vec![7; decoded_bytes(encoded.as_bytes())];
        decode_base64_into(encoded.as_bytes(), &mut decoded).map(|()| decoded)
    }

    #[test]
    fn both_alphabets_decode_to_the_same_bytes() {
        let bytes = [0xfb, 0xff, 0xfe, 0x01];
        for encoded in ["+//+AQ==", "-__-AQ==", "-__-AQ", "-/_+AQ"] {
            assert_eq!(decode_base64(encoded.as_bytes()).unwrap(), bytes, "{encoded}");
            assert_eq!(into(encoded).unwrap(), bytes, "{encoded}");
        }
        for wrong in ["+//+A!==", "+//+A", "+", "+//+AQ=A"] {
            assert!(decode_base64(wrong.as_bytes()).is_none() && into(wrong).is_none(), "{wrong}");
        }
        assert_eq!((decode_base64(b"").unwrap(), into("=").unwrap()), (Vec::new(), Vec::new()));
    }
}
