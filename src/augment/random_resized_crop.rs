//! torchvision's RandomResizedCrop.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::resize::{Interpolation, crop_resize};
use super::sampling::ItemRng;
use crate::ingest::Picture;

/// A random part of the image, resized to a square.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RandomResizedCrop {
    /// Side of the result in pixels; the model's own if left out.
    #[serde(default)]
    pub size: Option<u32>,
    /// Smallest and largest share of the image's area.
    #[serde(default = "default_scale")]
    pub scale: [f64; 2],
    /// Smallest and largest aspect ratio, width to height.
    #[serde(default = "default_ratio")]
    pub ratio: [f64; 2],
    #[serde(default)]
    pub interpolation: Interpolation,
}

/// A part of an image in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CropBox {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
}

impl RandomResizedCrop {
    pub fn apply(&self, picture: &Picture, side: u32, rng: &mut ItemRng) -> Picture {
        let crop = self.sample(picture.width, picture.height, rng);
        crop_resize(picture, crop, self.size.unwrap_or(side), self.interpolation)
    }

    /// The area is uniform, the ratio log-uniform; after ten tries that do not fit, the largest central crop of an
    /// allowed ratio.
    pub fn sample(&self, width: u32, height: u32, rng: &mut ItemRng) -> CropBox {
        let (w, h) = (f64::from(width), f64::from(height));
        let [low_scale, high_scale] = self.scale;
        let [low_ratio, high_ratio] = self.ratio;
        for _ in 0..10 {
            let area = w * h * rng.uniform(low_scale, high_scale);
            let ratio = rng.uniform(low_ratio.ln(), high_ratio.ln()).exp();
            let crop_width = (area * ratio).sqrt().round_ties_even() as u32;
            let crop_height = (area / ratio).sqrt().round_ties_even() as u32;
            if (1..=width).contains(&crop_width) && (1..=height).contains(&crop_height) {
                let top = rng.below(height - crop_height + 1);
                let left = rng.below(width - crop_width + 1);
                return CropBox { left, top, width: crop_width, height: crop_height };
            }
        }
        let (crop_width, crop_height) = match w / h {
            ratio if ratio < low_ratio => (width, (w / low_ratio).round_ties_even() as u32),
            ratio if ratio > high_ratio => ((h * high_ratio).round_ties_even() as u32, height),
            _ => (width, height),
        };
        let (crop_width, crop_height) = (crop_width.clamp(1, width), crop_height.clamp(1, height));
        let (left, top) = ((width - crop_width) / 2, (height - crop_height) / 2);
        CropBox { left, top, width: crop_width, height: crop_height }
    }
}

fn default_scale() -> [f64; 2] {
    [0.08, 1.0]
}

fn default_ratio() -> [f64; 2] {
    [3.0 / 4.0, 4.0 / 3.0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::item_rng;

    #[test]
    fn sampled_crops_stay_inside_and_within_scale_and_ratio() {
        let crop = RandomResizedCrop {
            size: None,
            scale: [0.3, 0.6],
            ratio: [0.75, 4.0 / 3.0],
            interpolation: Interpolation::Bilinear,
        };
        let mut rng = item_rng(1, 0, "x");
        let mut areas = 0.0;
        for _ in 0..2000 {
            let found = crop.sample(200, 160, &mut rng);
            assert!(found.left + found.width <= 200 && found.top + found.height <= 160);
            let area = f64::from(found.width * found.height) / (200.0 * 160.0);
            assert!((0.29..=0.61).contains(&area), "{area}");
            let ratio = f64::from(found.width) / f64::from(found.height);
            assert!((0.74..=1.35).contains(&ratio), "{ratio}");
            areas += area / 2000.0;
        }
        assert!((areas - 0.45).abs() < 0.01, "mean area {areas}");
    }

    #[test]
    fn an_extreme_shape_falls_back_to_a_central_crop() {
        let crop = RandomResizedCrop {
            size: None,
            scale: [1.0, 1.0],
            ratio: [0.75, 4.0 / 3.0],
            interpolation: Interpolation::Bilinear,
        };
        let found = crop.sample(1000, 30, &mut item_rng(1, 0, "x"));
        assert_eq!(found, CropBox { left: 480, top: 0, width: 40, height: 30 });
    }
}
