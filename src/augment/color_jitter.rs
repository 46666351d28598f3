//! torchvision's ColorJitter on 8-bit RGB, as its Pillow back end computes it.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sampling::ItemRng;
use crate::ingest::Picture;

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

impl ColorJitter {
    pub fn apply(&self, mut rgb: Picture, rng: &mut ItemRng) -> Picture {
        let mut order = [0, 1, 2, 3];
        rng.shuffle(&mut order);
        let mut factor = |amount: f64| rng.uniform((1.0 - amount).max(0.0), 1.0 + amount);
        let (brightness, contrast, saturation) =
            (factor(self.brightness), factor(self.contrast), factor(self.saturation));
        let hue = rng.uniform(-self.hue, self.hue);
        for operation in order {
            match operation {
                0 if self.brightness > 0.0 => adjust_brightness(&mut rgb, brightness),
                1 if self.contrast > 0.0 => adjust_contrast(&mut rgb, contrast),
                2 if self.saturation > 0.0 => adjust_saturation(&mut rgb, saturation),
                3 if self.hue > 0.0 => adjust_hue(&mut rgb, hue),
                _ => {}
            }
        }
        rgb
    }
}

/// Blends with black; 1 changes nothing.
pub fn adjust_brightness(rgb: &mut Picture, factor: f64) {
    rgb.pixels.iter_mut().for_each(|value| *value = blend(0, *value, factor));
}

/// Blends with the mean luminance; 1 changes nothing.
pub fn adjust_contrast(rgb: &mut Picture, factor: f64) {
    let sum: u64 = rgb.pixels.as_chunks::<3>().0.iter().map(|pixel| u64::from(luminance(pixel))).sum();
    let count = (rgb.pixels.len() / 3).max(1);
    let mean = (sum as f64 / count as f64 + 0.5) as u8;
    rgb.pixels.iter_mut().for_each(|value| *value = blend(mean, *value, factor));
}

/// Blends every pixel with its own luminance; 1 changes nothing.
pub fn adjust_saturation(rgb: &mut Picture, factor: f64) {
    for pixel in rgb.pixels.as_chunks_mut::<3>().0 {
        let grey = luminance(pixel);
        pixel.iter_mut().for_each(|value| *value = blend(grey, *value, factor));
    }
}

/// Shifts the hue by `shift` turns, through Pillow's 8-bit HSV.
pub fn adjust_hue(rgb: &mut Picture, shift: f64) {
    let steps = (shift * 255.0) as i32;
    for pixel in rgb.pixels.as_chunks_mut::<3>().0 {
        let [hue, saturation, value] = rgb_to_hsv(*pixel);
        let hue = (i32::from(hue) + steps).rem_euclid(256) as u8;
        *pixel = hsv_to_rgb([hue, saturation, value]);
    }
}

/// `d + f · (v - d)` in 32 bits, clipped and truncated.
pub(super) fn blend(degenerate: u8, value: u8, factor: f64) -> u8 {
    let (degenerate, value) = (f32::from(degenerate), f32::from(value));
    (degenerate + factor as f32 * (value - degenerate)) as u8
}

/// ITU-R 601-2 luma in Pillow's fixed point.
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
