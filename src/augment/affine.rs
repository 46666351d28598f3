//! Pillow's `Image.transform` by an affine map with bicubic interpolation: rotations and shears of RGB pictures. It reads
//! 4 × 4 pixels around each place, so it is not for making pictures smaller; `resize.rs` is.
use crate::ingest::Picture;

/// Turns counter-clockwise by `degrees` around the centre; the size stays, corners that come from outside get `fill`.
pub fn rotate(rgb: &Picture, degrees: f64, fill: [u8; 3]) -> Picture {
    let angle = -degrees.rem_euclid(360.0).to_radians();
    let (sin, cos) = (round_to_15_decimals(angle.sin()), round_to_15_decimals(angle.cos()));
    let (x, y) = (f64::from(rgb.width) / 2.0, f64::from(rgb.height) / 2.0);
    let across = [cos, sin, cos * -x + sin * -y + x];
    let down = [-sin, cos, -sin * -x + cos * -y + y];
    transform(rgb, [across, down], fill)
}

/// Row y takes its pixels from `factor · (y + 0.5)` further right; those from outside get `fill`.
pub fn shear_x(rgb: &Picture, factor: f64, fill: [u8; 3]) -> Picture {
    transform(rgb, [[1.0, factor, 0.0], [0.0, 1.0, 0.0]], fill)
}

/// `matrix` leads from the centre of a pixel of the result to its place in `rgb`.
fn transform(rgb: &Picture, matrix: [[f64; 3]; 2], fill: [u8; 3]) -> Picture {
    let source = Padded::new(rgb);
    let mut pixels = Vec::with_capacity(rgb.pixels.len());
    for row in 0..rgb.height {
        let y = f64::from(row) + 0.5;
        for column in 0..rgb.width {
            let x = f64::from(column) + 0.5;
            let place = matrix.map(|[a, b, c]| a * x + b * y + c);
            pixels.extend(source.at(place).unwrap_or(fill));
        }
    }
    Picture { pixels, ..*rgb }
}

/// A picture whose border is repeated twice on every side, so that 4 × 4 pixels lie around every place in it.
struct Padded {
    width: f64,
    height: f64,
    /// Converted once, as each takes part in sixteen places; with a fourth value that means nothing, because four lanes are
    /// faster than three.
    pixels: Vec<[f64; 4]>,
    stride: usize,
}

impl Padded {
    const MARGIN: usize = 2;

    fn new(rgb: &Picture) -> Self {
        let (width, height) = (rgb.width as usize, rgb.height as usize);
        let stride = width + 2 * Self::MARGIN;
        let mut pixels = Vec::with_capacity(stride * (height + 2 * Self::MARGIN));
        let rows: Vec<&[[u8; 3]]> = rgb.pixels.as_chunks::<3>().0.chunks_exact(width.max(1)).collect();
        for row in repeat_ends(&rows) {
            pixels.extend(repeat_ends(row).map(|[r, g, b]| [f64::from(*r), f64::from(*g), f64::from(*b), 0.0]));
        }
        Self { width: f64::from(rgb.width), height: f64::from(rgb.height), pixels, stride }
    }

    /// The colour at a place, where the centre of the first pixel is (0.5, 0.5); none outside of the picture.
    fn at(&self, [x, y]: [f64; 2]) -> Option<[u8; 3]> {
        if !(0.0..self.width).contains(&x) || !(0.0..self.height).contains(&y) {
            return None;
        }
        let ((left, dx), (top, dy)) = (first_of_four(x), first_of_four(y));
        let start = top * self.stride + left;
        let row = |below: usize| self.pixels.get(start + below * self.stride..)?.first_chunk::<4>();
        let rows = [row(0)?, row(1)?, row(2)?, row(3)?];
        let color = cubic(rows.map(|row| cubic(*row, dx)), dy);
        color.first_chunk().map(|channels| channels.map(|value| value as u8))
    }
}

fn repeat_ends<T>(items: &[T]) -> impl Iterator<Item = &T> {
    let ends = |item| std::iter::repeat_n(item, Padded::MARGIN);
    items.first().into_iter().flat_map(ends).chain(items).chain(items.last().into_iter().flat_map(ends))
}

/// Of the four pixels around a place, the first one's index in the padded picture, and how far behind the second one's
/// centre the place lies, in 0..1.
fn first_of_four(place: f64) -> (usize, f64) {
    // Behind the centre of the picture's first pixel; -0.5 or more, so that this rounds down.
    let distance = place - 0.5;
    let second = if distance < 0.0 { -1 } else { distance as i32 };
    ((second + 1) as usize, distance - f64::from(second))
}

/// Pillow's cubic (a = -1) through four values of each channel, `d` behind the second one, in its order of operations.
fn cubic([first, second, third, fourth]: [[f64; 4]; 4], d: f64) -> [f64; 4] {
    let mut out = second;
    for ((((out, v1), v2), v3), v4) in out.iter_mut().zip(first).zip(second).zip(third).zip(fourth) {
        let p2 = -v1 + v3;
        let p3 = 2.0 * (v1 - v2) + v3 - v4;
        let p4 = -v1 + v2 - v3 + v4;
        *out = v2 + d * (p2 + d * (p3 + d * p4));
    }
    out
}

/// As Python rounds; it also hides the last bits, in which mathematical libraries differ.
fn round_to_15_decimals(value: f64) -> f64 {
    format!("{value:.15}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Mode;

    fn picture(width: u32, height: u32) -> Picture {
        let pixels = (0..width * height * 3).map(|place| (place * 37 % 251) as u8).collect();
        Picture { width, height, mode: Mode::Rgb, pixels }
    }

    #[test]
    fn whole_turns_and_no_shear_change_nothing() {
        let source = picture(9, 6);
        for degrees in [0.0, 360.0, -720.0] {
            assert_eq!(rotate(&source, degrees, [0; 3]), source);
        }
        assert_eq!(shear_x(&source, 0.0, [0; 3]), source);
    }

    #[test]
    fn half_a_turn_reverses_the_pixels() {
        let source = picture(9, 6);
        let reversed: Vec<[u8; 3]> = source.pixels.as_chunks::<3>().0.iter().rev().copied().collect();
        assert_eq!(rotate(&source, 180.0, [0; 3]).pixels, reversed.concat());
    }

    #[test]
    fn a_shear_by_whole_pixels_shifts_and_fills() {
        let source = picture(4, 1);
        let found = shear_x(&source, 2.0, [1, 2, 3]);
        let expected = [&source.pixels[3..], &[1, 2, 3]].concat();
        assert_eq!(found.pixels, expected);
    }

    #[test]
    fn corners_are_filled_and_the_centre_is_kept() {
        let source = Picture { pixels: vec![200; 21 * 21 * 3], ..picture(21, 21) };
        let found = rotate(&source, -24.0, [123, 117, 104]);
        assert_eq!(found.pixels[..3], [123, 117, 104]);
        assert_eq!(found.pixels[10 * 21 * 3 + 30..][..3], [200; 3]);
    }
}
