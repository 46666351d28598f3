//! Pillow's `autocontrast` and `equalize`: curves that each channel's histogram decides.
use std::array;

use crate::ingest::Picture;

/// How many pixels have each value.
type Histogram = [usize; 256];

/// The new value of each value.
type Curve = [u8; 256];

/// Stretches every channel to 0..=255, or 254 where the product falls short of 255 by a bit.
pub fn auto_contrast(rgb: &mut Picture) {
    map_channels(rgb, stretching);
}

/// Spreads every channel's values evenly.
pub fn equalize(rgb: &mut Picture) {
    map_channels(rgb, equalizing);
}

fn map_channels(rgb: &mut Picture, curve: fn(&Histogram) -> Curve) {
    let mut histograms = [[0; 256]; 3];
    for pixel in rgb.pixels.as_chunks::<3>().0 {
        for (histogram, value) in histograms.iter_mut().zip(pixel) {
            if let Some(count) = histogram.get_mut(usize::from(*value)) {
                *count += 1;
            }
        }
    }
    let curves = histograms.each_ref().map(curve);
    for pixel in rgb.pixels.as_chunks_mut::<3>().0 {
        for (value, curve) in pixel.iter_mut().zip(&curves) {
            *value = curve.get(usize::from(*value)).copied().unwrap_or(*value);
        }
    }
}

/// A line from the lowest to the highest value that occurs; a channel of one value stays.
fn stretching(histogram: &Histogram) -> Curve {
    let lowest = histogram.iter().position(|count| *count > 0).unwrap_or(0);
    let highest = histogram.iter().rposition(|count| *count > 0).unwrap_or(0);
    if highest <= lowest {
        return array::from_fn(|value| value as u8);
    }
    let scale = 255.0 / (highest - lowest) as f64;
    let offset = -(lowest as f64) * scale;
    array::from_fn(|value| (value as f64 * scale + offset) as u8)
}

/// 255 steps of equally many pixels, those of the highest value not counted; a channel with too few for that stays.
fn equalizing(histogram: &Histogram) -> Curve {
    let highest = histogram.iter().rfind(|count| **count > 0).copied().unwrap_or(0);
    let step = (histogram.iter().sum::<usize>() - highest) / 255;
    if step == 0 {
        return array::from_fn(|value| value as u8);
    }
    let mut below = step / 2;
    histogram.map(|count| {
        let value = (below / step).min(255) as u8;
        below += count;
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Mode;

    fn grey(values: impl Iterator<Item = u8>) -> Picture {
        let pixels: Vec<u8> = values.flat_map(|value| [value, 7, value]).collect();
        Picture { width: pixels.len() as u32 / 3, height: 1, mode: Mode::Rgb, pixels }
    }

    #[test]
    fn contrast_is_stretched_per_channel() {
        let mut found = grey([50, 75, 100].into_iter());
        auto_contrast(&mut found);
        assert_eq!(found.pixels, [0, 7, 0, 127, 7, 127, 254, 7, 254]);
    }

    #[test]
    fn equalizing_evens_the_histogram_out() {
        let mut found = grey((0..=255).flat_map(|value| [value / 8; 4]));
        equalize(&mut found);
        let red: Vec<u8> = found.pixels.iter().step_by(3).copied().collect();
        assert_eq!(red.first(), Some(&0));
        assert_eq!(red.last(), Some(&255));
        assert!(red.windows(2).all(|pair| pair[1] == pair[0] || (8..12).contains(&(pair[1] - pair[0]))));
        assert!(found.pixels.iter().skip(1).step_by(3).all(|value| *value == 7));
    }

    #[test]
    fn a_picture_of_fewer_than_255_pixels_is_not_equalized() {
        let few = grey(0..200);
        let mut found = few.clone();
        equalize(&mut found);
        assert_eq!(found, few);
    }
}
