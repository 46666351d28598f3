//! A hash that near-identical pictures share.
use super::{Mode, Picture};

/// Difference hash: 9 × 8 cells of mean luminance, one bit for each falling step in a row.
pub fn perceptual_hash(picture: &Picture) -> u64 {
    let expanded;
    let picture = match picture.mode {
        Mode::Luma16 | Mode::Cmyk => {
            expanded = picture.clone().into_rgb();
            &expanded
        }
        _ => picture,
    };
    let mut hash = 0;
    for row in 0..8 {
        let cells: Vec<f64> = (0..9).map(|column| mean_luminance(picture, row, column)).collect();
        for (left, right) in cells.iter().zip(cells.iter().skip(1)) {
            hash = (hash << 1) | u64::from(left > right);
        }
    }
    hash
}

fn mean_luminance(picture: &Picture, row: u32, column: u32) -> f64 {
    let span = |index: u32, cells: u32, size: u32| {
        let start = (u64::from(index) * u64::from(size) / u64::from(cells)) as u32;
        let end = (u64::from(index + 1) * u64::from(size) / u64::from(cells)) as u32;
        start..end.clamp(start + 1, size.max(start + 1))
    };
    let bytes = picture.mode.bytes();
    let (mut sum, mut count) = (0.0, 0.0);
    for y in span(row, 8, picture.height) {
        for x in span(column, 9, picture.width) {
            let at = (y as usize * picture.width as usize + x as usize) * bytes;
            let value = match picture.pixels.get(at..at + bytes) {
                Some([r, g, b, ..]) => 0.299 * f64::from(*r) + 0.587 * f64::from(*g) + 0.114 * f64::from(*b),
                Some([luma, ..]) => f64::from(*luma),
                _ => continue,
            };
            sum += value;
            count += 1.0;
        }
    }
    if count > 0.0 { sum / count } else { 0.0 }
}
