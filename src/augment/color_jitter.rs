//! torchvision's ColorJitter on 8-bit RGB, as its Pillow back end computes it.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sampling::ItemRng;
use crate::ingest::Picture;
use crate::model::vectorized;

/// Changes brightness, contrast, saturation and hue by random factors, in random order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColorJitter {
    /// The factor is uniform in `max(0, 1 - x)..=1 + x`.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub brightness: f64,
    /// As for brightness.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub contrast: f64,
    /// As for brightness.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub saturation: f64,
    /// The shift is uniform in `-x..=x` turns of the colour circle.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.5))]
    pub hue: f64,
}

/// One change of colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Adjustment {
    Brightness(f64),
    Contrast(f64),
    Saturation(f64),
    Hue(f64),
}

impl ColorJitter {
    pub fn apply(&self, mut rgb: Picture, rng: &mut ItemRng) -> Picture {
        for adjustment in self.sample(rng) {
            match adjustment {
                Adjustment::Brightness(factor) => adjust_brightness(&mut rgb, factor),
                Adjustment::Contrast(factor) => adjust_contrast(&mut rgb, factor),
                Adjustment::Saturation(factor) => adjust_saturation(&mut rgb, factor),
                Adjustment::Hue(shift) => adjust_hue(&mut rgb, shift),
            }
        }
        rgb
    }

    /// What is to be done, in order.
    pub(super) fn sample(&self, rng: &mut ItemRng) -> impl Iterator<Item = Adjustment> + use<> {
        let mut order = [0, 1, 2, 3];
        rng.shuffle(&mut order);
        let mut factor = |amount: f64| {
            let drawn = rng.uniform((1.0 - amount).max(0.0), 1.0 + amount);
            (amount > 0.0).then_some(drawn)
        };
        let brightness = factor(self.brightness).map(Adjustment::Brightness);
        let contrast = factor(self.contrast).map(Adjustment::Contrast);
        let saturation = factor(self.saturation).map(Adjustment::Saturation);
        let shift = rng.uniform(-self.hue, self.hue);
        let hue = (self.hue > 0.0).then_some(Adjustment::Hue(shift));
        let adjustments = [brightness, contrast, saturation, hue];
        order.into_iter().filter_map(move |at: usize| adjustments.get(at).copied().flatten())
    }
}

/// Blends with black; 1 changes nothing.
pub fn adjust_brightness(rgb: &mut Picture, factor: f64) {
    blend_all(&mut rgb.pixels, 0, factor);
}

/// Blends with the mean luminance; 1 changes nothing.
pub fn adjust_contrast(rgb: &mut Picture, factor: f64) {
    let sum: u64 = rgb.pixels.as_chunks::<3>().0.iter().map(|pixel| u64::from(luminance(pixel))).sum();
    let mean = mean_luminance(sum, rgb.pixels.len() / 3);
    blend_all(&mut rgb.pixels, mean, factor);
}

fn blend_all(values: &mut [u8], degenerate: u8, factor: f64) {
    vectorized(
        #[inline(always)]
        || values.iter_mut().for_each(|value| *value = blend(degenerate, *value, factor)),
    );
}

/// Blends every pixel with its own luminance; 1 changes nothing.
pub fn adjust_saturation(rgb: &mut Picture, factor: f64) {
    vectorized(
        #[inline(always)]
        || {
            for pixel in rgb.pixels.as_chunks_mut::<3>().0 {
                let grey = luminance(pixel);
                pixel.iter_mut().for_each(|value| *value = blend(grey, *value, factor));
            }
        },
    );
}

/// Shifts the hue by `shift` turns, through Pillow's 8-bit HSV.
pub fn adjust_hue(rgb: &mut Picture, shift: f64) {
    for pixel in rgb.pixels.as_chunks_mut::<3>().0 {
        *pixel = shift_hue(*pixel, shift);
    }
}

pub(super) fn shift_hue(rgb: [u8; 3], shift: f64) -> [u8; 3] {
    let steps = (shift * 255.0) as i32;
    let [hue, saturation, value] = rgb_to_hsv(rgb);
    let hue = (i32::from(hue) + steps).rem_euclid(256) as u8;
    hsv_to_rgb([hue, saturation, value])
}

pub(super) fn mean_luminance(sum: u64, pixels: usize) -> u8 {
    (sum as f64 / pixels.max(1) as f64 + 0.5) as u8
}

/// `d + f · (v - d)` in 32 bits, clipped and truncated.
#[inline(always)]
pub(super) fn blend(degenerate: u8, value: u8, factor: f64) -> u8 {
    let (degenerate, value) = (f32::from(degenerate), f32::from(value));
    // A whole number below 2^23 stands in the low bits of its sum with 2^23; compilers vectorise that better than a cast.
    ((degenerate + factor as f32 * (value - degenerate)).clamp(0.0, 255.0).floor() + 8_388_608.0).to_bits() as u8
}

/// ITU-R 601-2 luma in Pillow's fixed point.
#[inline(always)]
fn luminance([r, g, b]: &[u8; 3]) -> u8 {
    ((19595 * u32::from(*r) + 38470 * u32::from(*g) + 7471 * u32::from(*b) + 0x8000) >> 16) as u8
}

fn rgb_to_hsv([r, g, b]: [u8; 3]) -> [u8; 3] {
    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
    if max == min {
        return [0, 0, max];
    }
    let range = f32::from(max - min);
    let saturation = range / f32::from(max);
    let part = |value: u8| f32::from(max - value) / range;
    let (rc, gc, bc) = (part(r), part(g), part(b));
    let hue = if r == max {
        bc - gc
    } else if g == max {
        (2.0 + f64::from(rc) - f64::from(bc)) as f32
    } else {
        (4.0 + f64::from(gc) - f64::from(rc)) as f32
    };
    let hue = ((f64::from(hue) / 6.0 + 1.0) % 1.0) as f32;
    [(f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, max]
}

fn hsv_to_rgb([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
    if saturation == 0 {
        return [value; 3];
    }
    let sector = (f64::from(hue) * 6.0 / 255.0) as f32;
    let index = sector.floor();
    let fraction = sector - index;
    let saturation = (f64::from(saturation) / 255.0) as f32;
    let level = |share: f64| (f64::from(value) * share).round().clamp(0.0, 255.0) as u8;
    let (fraction, saturation) = (f64::from(fraction), f64::from(saturation));
    let p = level(1.0 - saturation);
    let q = level(1.0 - f64::from((saturation * fraction) as f32));
    let t = level(1.0 - f64::from((saturation * (1.0 - fraction)) as f32));
    match index as u8 % 6 {
        0 => [value, t, p],
        1 => [q, value, p],
        2 => [p, value, t],
        3 => [p, q, value],
        4 => [t, p, value],
        _ => [value, p, q],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blend_is_clipped_and_truncated() {
        for factor in [-0.5, 0.0, 0.2, 0.799_999, 1.0, 1.2, 1.999, 300.0] {
            for (degenerate, value) in (0..=255_u8).flat_map(|d| (0..=255_u8).map(move |v| (d, v))) {
                let (d, v) = (f32::from(degenerate), f32::from(value));
                let expected = (d + factor as f32 * (v - d)) as u8;
                assert_eq!(blend(degenerate, value, factor), expected, "{degenerate} {value} {factor}");
            }
        }
    }
}
