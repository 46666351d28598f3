//! Image bytes to pixels, with limits before any allocation.
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{ColorType, DynamicImage, ImageFormat, ImageReader, Limits};

use super::IngestError;

/// Pillow's own limit against decompression bombs.
const MAX_PIXELS: u64 = 178_956_970;
const MAX_ALLOCATION: u64 = 1 << 30;

/// A decoded image in the mode it was stored in, 8 bits per channel, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub width: u32,
    pub height: u32,
    pub mode: Mode,
    pub pixels: Vec<u8>,
}

/// Channels of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Luma,
    LumaAlpha,
    Rgb,
    Rgba,
}

impl Mode {
    /// Bytes per pixel.
    pub fn channels(self) -> usize {
        match self {
            Self::Luma => 1,
            Self::LumaAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }
}

/// Decodes JPEG, PNG, WebP, GIF (first frame) or BMP, whatever the file's name says. EXIF orientation is ignored, as
/// the reference ignores it. Returns the format's name too.
pub fn decode(bytes: &[u8]) -> Result<(Picture, &'static str), IngestError> {
    // A defect of a decoder on a hostile file must not end the run.
    match catch_unwind(AssertUnwindSafe(|| decode_unguarded(bytes))) {
        Ok(result) => result,
        Err(_) => Err(unreadable("the decoder failed")),
    }
}

fn decode_unguarded(bytes: &[u8]) -> Result<(Picture, &'static str), IngestError> {
    let open = || {
        let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
        reader.map_err(|error| unreadable(&error.to_string()))
    };
    let reader = open()?;
    let format = reader.format().ok_or_else(|| unreadable("not a JPEG, PNG, WebP, GIF or BMP file"))?;
    let (width, height) = reader.into_dimensions().map_err(|error| unreadable(&error.to_string()))?;
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS {
        return Err(unreadable(&format!("{width} x {height} pixels, at most {MAX_PIXELS} are accepted")));
    }
    if format == ImageFormat::Jpeg && !ends_in_marker(bytes) {
        return Err(unreadable("JPEG data end early"));
    }
    let mut reader = open()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOCATION);
    reader.limits(limits);
    let image = reader.decode().map_err(|error| unreadable(&error.to_string()))?;
    Ok((picture(image), format_name(format)))
}

/// Decoders fill the missing half of a cut JPEG with grey; a whole one holds an end-of-image marker after its last
/// scan.
fn ends_in_marker(bytes: &[u8]) -> bool {
    let start = memchr::memmem::rfind(bytes, &[0xff, 0xda]).unwrap_or(0);
    memchr::memmem::rfind(bytes, &[0xff, 0xd9]).is_some_and(|end| end > start)
}

fn picture(image: DynamicImage) -> Picture {
    let (width, height) = (image.width(), image.height());
    let (mode, pixels) = match image.color() {
        ColorType::L8 | ColorType::L16 => (Mode::Luma, image.into_luma8().into_raw()),
        ColorType::La8 | ColorType::La16 => (Mode::LumaAlpha, image.into_luma_alpha8().into_raw()),
        ColorType::Rgba8 | ColorType::Rgba16 | ColorType::Rgba32F => (Mode::Rgba, image.into_rgba8().into_raw()),
        _ => (Mode::Rgb, image.into_rgb8().into_raw()),
    };
    Picture { width, height, mode, pixels }
}

/// Difference hash: 9 × 8 cells of mean luminance, one bit for each falling step in a row.
pub fn perceptual_hash(picture: &Picture) -> u64 {
    let cell = |row: u32, column: u32| mean_luminance(picture, row, column);
    let mut hash = 0;
    for row in 0..8 {
        let cells: Vec<f64> = (0..9).map(|column| cell(row, column)).collect();
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
    let channels = picture.mode.channels();
    let (mut sum, mut count) = (0.0, 0.0);
    for y in span(row, 8, picture.height) {
        for x in span(column, 9, picture.width) {
            let at = (y as usize * picture.width as usize + x as usize) * channels;
            let value = match picture.pixels.get(at..at + channels) {
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

fn format_name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "jpeg",
        ImageFormat::Png => "png",
        ImageFormat::WebP => "webp",
        ImageFormat::Gif => "gif",
        ImageFormat::Bmp => "bmp",
        _ => "other",
    }
}

fn unreadable(reason: &str) -> IngestError {
    IngestError::Decode { reason: reason.to_owned() }
}
