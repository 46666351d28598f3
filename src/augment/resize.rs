//! Pillow's resampling, bit for bit: separable filters widened when shrinking, 22-bit fixed-point weights.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CropBox;
use crate::ingest::{Mode, Picture};

const PRECISION_BITS: u32 = 22;

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
    to_rgb(resize(picture, side, side, Interpolation::Bicubic))
}

/// Cuts `crop` out, then resizes it to `side` × `side`; no pixel outside the crop takes part.
pub fn crop_resize(picture: &Picture, crop: CropBox, side: u32, interpolation: Interpolation) -> Picture {
    let channels = picture.mode.channels();
    let stride = picture.width as usize * channels;
    let row_bytes = crop.width as usize * channels;
    let mut pixels = Vec::with_capacity(row_bytes * crop.height as usize);
    for row in picture.pixels.chunks_exact(stride).skip(crop.top as usize).take(crop.height as usize) {
        pixels.extend(row.iter().skip(crop.left as usize * channels).take(row_bytes));
    }
    let cut = Picture { width: crop.width, height: crop.height, mode: picture.mode, pixels };
    resize(&cut, side, side, interpolation)
}

/// Drops alpha, repeats luminance.
pub fn to_rgb(picture: Picture) -> Picture {
    let pixels = match picture.mode {
        Mode::Rgb => return picture,
        Mode::Luma => picture.pixels.iter().flat_map(|l| [*l; 3]).collect(),
        Mode::LumaAlpha => picture.pixels.as_chunks::<2>().0.iter().flat_map(|[l, _]| [*l; 3]).collect(),
        Mode::Rgba => picture.pixels.as_chunks::<4>().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect(),
    };
    Picture { mode: Mode::Rgb, pixels, ..picture }
}

/// Modes with alpha are resized premultiplied, as Pillow does; an image of the right size is left alone.
fn resize(picture: &Picture, width: u32, height: u32, interpolation: Interpolation) -> Picture {
    if (picture.width, picture.height) == (width, height) {
        return picture.clone();
    }
    let channels = picture.mode.channels();
    let alpha = matches!(picture.mode, Mode::LumaAlpha | Mode::Rgba);
    let mut pixels = picture.pixels.clone();
    if alpha {
        pixels.chunks_exact_mut(channels).for_each(premultiply);
    }
    if picture.width != width {
        let weights = Weights::new(picture.width, width, interpolation);
        pixels = horizontal(&pixels, picture.width as usize, channels, &weights);
    }
    if picture.height != height {
        let weights = Weights::new(picture.height, height, interpolation);
        pixels = vertical(&pixels, width as usize * channels, &weights);
    }
    if alpha {
        pixels.chunks_exact_mut(channels).for_each(unpremultiply);
    }
    Picture { width, height, mode: picture.mode, pixels }
}

/// For every output position: first input position and fixed-point weights.
struct Weights {
    spans: Vec<(usize, Vec<i32>)>,
}

impl Weights {
    fn new(input: u32, output: u32, interpolation: Interpolation) -> Self {
        let scale = f64::from(input) / f64::from(output);
        let widened = scale.max(1.0);
        let support = interpolation.support() * widened;
        let spans = (0..output)
            .map(|position| {
                let center = (f64::from(position) + 0.5) * scale;
                let first = (center - support + 0.5).max(0.0) as usize;
                let end = ((center + support + 0.5) as usize).min(input as usize);
                let weights: Vec<f64> =
                    (first..end).map(|x| interpolation.weight((x as f64 - center + 0.5) / widened)).collect();
                let sum: f64 = weights.iter().sum();
                (first, weights.iter().map(|weight| fixed(weight / sum)).collect())
            })
            .collect();
        Self { spans }
    }
}

impl Interpolation {
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    /// Bicubic with a = -0.5.
    fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }
}

fn fixed(weight: f64) -> i32 {
    let scaled = weight * f64::from(1u32 << PRECISION_BITS);
    (scaled + if scaled < 0.0 { -0.5 } else { 0.5 }) as i32
}

fn clip(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

fn horizontal(pixels: &[u8], width: usize, channels: usize, weights: &Weights) -> Vec<u8> {
    let rows = pixels.len() / (width * channels);
    let mut out = Vec::with_capacity(rows * weights.spans.len() * channels);
    for row in pixels.chunks_exact(width * channels) {
        for (first, span) in &weights.spans {
            let mut sums = [1i32 << (PRECISION_BITS - 1); 4];
            let taken = row.chunks_exact(channels).skip(*first);
            for (pixel, weight) in taken.zip(span) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(*value) * weight;
                }
            }
            out.extend(sums.iter().take(channels).map(|sum| clip(*sum)));
        }
    }
    out
}

fn vertical(pixels: &[u8], stride: usize, weights: &Weights) -> Vec<u8> {
    let mut out = Vec::with_capacity(weights.spans.len() * stride);
    let mut sums = vec![0i32; stride];
    for (first, span) in &weights.spans {
        sums.fill(1 << (PRECISION_BITS - 1));
        for (row, weight) in pixels.chunks_exact(stride).skip(*first).zip(span) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += i32::from(*value) * weight;
            }
        }
        out.extend(sums.iter().map(|sum| clip(*sum)));
    }
    out
}

fn premultiply(pixel: &mut [u8]) {
    if let Some((alpha, colors)) = pixel.split_last_mut() {
        for color in colors {
            let product = u32::from(*color) * u32::from(*alpha) + 128;
            *color = (((product >> 8) + product) >> 8) as u8;
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
