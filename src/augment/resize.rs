//! Resizing in a picture's own mode, as Pillow does it.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CropBox;
use super::resample::{nearest, resample, resample_16};
use crate::ingest::{Mode, Picture, rounded_product};

/// The filter of a resize.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// torchvision's default for training.
    #[default]
    Bilinear,
    Bicubic,
}

/// To `side` × `side` with bicubic interpolation in the image's own mode, then RGB: the evaluation transform.
pub fn squash(picture: &Picture, side: u32) -> Picture {
    resize(picture, side, side, Interpolation::Bicubic).into_rgb()
}

/// Cuts `crop` out, then resizes it to `side` × `side`; no pixel outside the crop takes part.
pub fn crop_resize(picture: &Picture, crop: CropBox, side: u32, interpolation: Interpolation) -> Picture {
    let bytes = picture.mode.bytes();
    let stride = picture.width as usize * bytes;
    let row_bytes = crop.width as usize * bytes;
    let mut pixels = Vec::with_capacity(row_bytes * crop.height as usize);
    for row in picture.pixels.chunks_exact(stride).skip(crop.top as usize).take(crop.height as usize) {
        pixels.extend(row.iter().skip(crop.left as usize * bytes).take(row_bytes));
    }
    let cut = Picture { width: crop.width, height: crop.height, mode: picture.mode, pixels };
    resize(&cut, side, side, interpolation)
}

/// Palettes and bilevel pictures by nearest neighbour whatever the filter, modes with alpha premultiplied; an image of the
/// right size is left alone.
fn resize(picture: &Picture, width: u32, height: u32, interpolation: Interpolation) -> Picture {
    let (from, to) = ((picture.width, picture.height), (width, height));
    if from == to {
        return picture.clone();
    }
    let channels = picture.mode.bytes();
    let mode = picture.mode;
    let pixels = match mode {
        Mode::Bilevel | Mode::Palette => nearest(&picture.pixels, from, to, channels),
        Mode::Luma | Mode::Rgb | Mode::Cmyk => resample(&picture.pixels, from, to, channels, interpolation),
        Mode::LumaAlpha | Mode::Rgba => {
            let mut pixels = picture.pixels.clone();
            pixels.chunks_exact_mut(channels).for_each(premultiply);
            pixels = resample(&pixels, from, to, channels, interpolation);
            pixels.chunks_exact_mut(channels).for_each(unpremultiply);
            pixels
        }
        Mode::Luma16 => {
            let values = resample_16(picture.luma16().collect(), from, to, interpolation);
            values.into_iter().flat_map(u16::to_ne_bytes).collect()
        }
    };
    Picture { width, height, mode, pixels }
}

fn premultiply(pixel: &mut [u8]) {
    if let Some((alpha, colors)) = pixel.split_last_mut() {
        for color in colors {
            *color = rounded_product(u32::from(*color), u32::from(*alpha)) as u8;
        }
    }
}

fn unpremultiply(pixel: &mut [u8]) {
    if let Some((alpha, colors)) = pixel.split_last_mut()
        && *alpha != 0
        && *alpha != 255
    {
        for color in colors {
            *color = (255 * u32::from(*color) / u32::from(*alpha)).min(255) as u8;
        }
    }
}
