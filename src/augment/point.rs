//! Pillow's `invert`, `posterize` and `solarize`: every value on its own, whatever the rest of the picture holds.
use crate::ingest::Picture;

/// The negative.
pub fn invert(rgb: &mut Picture) {
    rgb.pixels.iter_mut().for_each(|value| *value = 255 - *value);
}

/// Keeps the `bits` highest bits of every value; 8 or more change nothing.
pub fn posterize(rgb: &mut Picture, bits: u32) {
    let mask = u8::MAX.checked_shl(8u32.saturating_sub(bits)).unwrap_or(0);
    rgb.pixels.iter_mut().for_each(|value| *value &= mask);
}

/// Inverts the values from `threshold` on; 256 changes nothing.
pub fn solarize(rgb: &mut Picture, threshold: u32) {
    for value in &mut rgb.pixels {
        if u32::from(*value) >= threshold {
            *value = 255 - *value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Mode;

    fn pixel(value: [u8; 3]) -> Picture {
        Picture { width: 1, height: 1, mode: Mode::Rgb, pixels: value.to_vec() }
    }

    #[test]
    fn bits_from_none_to_all_are_kept() {
        for (bits, expected) in [(0, 0), (1, 128), (6, 252), (8, 255), (9, 255)] {
            let mut found = pixel([255; 3]);
            posterize(&mut found, bits);
            assert_eq!(found.pixels, [expected; 3], "{bits} bits");
        }
    }

    #[test]
    fn only_values_below_the_threshold_survive_solarizing() {
        let mut found = pixel([101, 102, 255]);
        solarize(&mut found, 102);
        assert_eq!(found.pixels, [101, 153, 0]);
        solarize(&mut found, 256);
        assert_eq!(found.pixels, [101, 153, 0]);
        solarize(&mut found, 0);
        let mut inverted = pixel([101, 153, 0]);
        invert(&mut inverted);
        assert_eq!(found, inverted);
    }
}
