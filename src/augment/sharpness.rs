//! Pillow's `ImageEnhance.Sharpness`, torchvision's `adjust_sharpness`.
use super::color_jitter::blend;
use crate::ingest::Picture;
use crate::model::vectorized;

/// Blends with the smoothed picture; 1 changes nothing.
pub fn adjust_sharpness(rgb: &mut Picture, factor: f64) {
    let smoothed = smooth(rgb);
    vectorized(
        #[inline(always)]
        || {
            for (value, smoothed) in rgb.pixels.iter_mut().zip(&smoothed) {
                *value = blend(*smoothed, *value, factor);
            }
        },
    );
}

/// Pillow's kernel `SMOOTH`: thirteenths, five of the pixel and one of each neighbour. Pixels on the border stay.
fn smooth(rgb: &Picture) -> Vec<u8> {
    let stride = (rgb.width as usize * 3).max(1);
    let mut out = rgb.pixels.clone();
    let rows: Vec<&[u8]> = rgb.pixels.chunks_exact(stride).collect();
    for (target, [above, here, below]) in out.chunks_exact_mut(stride).skip(1).zip(rows.array_windows::<3>()) {
        // A window goes from a value of the pixel to the left to that of the pixel to the right.
        let windows = above.array_windows::<7>().zip(here.array_windows::<7>()).zip(below.array_windows::<7>());
        for (value, ((above, here), below)) in target.iter_mut().skip(3).zip(windows) {
            let sum = of_three(above) + of_three(here) + of_three(below) + 4 * u32::from(*value);
            // Pillow rounds a sum of 32-bit floats, which is never closer to a tie than half a thirteenth: whole numbers
            // give the same.
            *value = ((2 * sum + 13) / 26) as u8;
        }
    }
    out
}

fn of_three(&[left, _, _, value, _, _, right]: &[u8; 7]) -> u32 {
    u32::from(left) + u32::from(value) + u32::from(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Mode;

    fn dot(side: u32) -> Picture {
        let values = (0..side * side).flat_map(|place| [if place == side * side / 2 { 130 } else { 0 }; 3]);
        Picture { width: side, height: side, mode: Mode::Rgb, pixels: values.collect() }
    }

    #[test]
    fn smoothing_spreads_a_dot_over_its_neighbours() {
        let mut found = dot(5);
        adjust_sharpness(&mut found, 0.0);
        let red: Vec<u8> = found.pixels.iter().step_by(3).copied().collect();
        let expected = [[0; 5], [0, 10, 10, 10, 0], [0, 10, 50, 10, 0], [0, 10, 10, 10, 0], [0; 5]];
        assert_eq!(red, expected.concat());
    }

    #[test]
    fn a_picture_without_inner_pixels_stays() {
        for side in [1, 2] {
            let mut found = dot(side);
            adjust_sharpness(&mut found, 1.9);
            assert_eq!(found, dot(side));
        }
    }
}
