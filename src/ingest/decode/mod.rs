//! Image bytes to pixels in Pillow's modes, with limits before any allocation.

mod bmp;
mod gif;
mod png;

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{ColorType, DynamicImage, ImageFormat, ImageReader, Limits};

use super::jpeg::{self, Region, RowSink};
use super::{IngestError, Mode, Picture};

/// Pillow's own limit against decompression bombs.
const MAX_PIXELS: u64 = 178_956_970;
const MAX_ALLOCATION: u64 = 1 << 30;

/// Decodes JPEG, PNG, WebP, GIF (first frame) or BMP, whatever the file's name says. EXIF orientation and colour profiles
/// are ignored, as the reference ignores them. Returns the format's name too.
pub fn decode(bytes: &[u8]) -> Result<(Picture, &'static str), IngestError> {
    guarded(|| decode_unguarded(bytes))
}

/// Decodes a part of an image, to the same pixels as `decode`; a JPEG only as far as the part needs, so that errors behind
/// it are not found.
pub fn decode_region(bytes: &[u8], region: Region) -> Result<Picture, IngestError> {
    if read_jpeg_header(bytes)?.is_none() {
        return decode(bytes)?.0.cut(region).ok_or_else(|| unreadable("a region beyond its picture"));
    }
    let decoded = guarded(|| jpeg::decode_region(bytes, region).map_err(|error| unreadable(&error)))?;
    Ok(picture_of(decoded))
}

/// Size and mode of a JPEG without decoding it, none of other formats.
pub fn read_jpeg_header(bytes: &[u8]) -> Result<Option<JpegHeader>, IngestError> {
    if !matches!(image::guess_format(bytes), Ok(ImageFormat::Jpeg)) {
        return Ok(None);
    }
    let header = jpeg::read_header(bytes).map_err(|error| unreadable(&error))?;
    check_pixels(header.width, header.height)?;
    Ok(Some(JpegHeader { width: header.width, height: header.height, mode: mode_of(header.color) }))
}

/// What a JPEG says of its picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JpegHeader {
    pub width: u32,
    pub height: u32,
    pub mode: Mode,
}

/// Decodes a part of a JPEG into rows of separate channels, to the same values as `decode`.
pub fn decode_jpeg_rows(bytes: &[u8], region: Region, sink: &mut impl RowSink) -> Result<(), IngestError> {
    guarded(|| jpeg::decode_rows(bytes, region, sink).map_err(|error| unreadable(&error)))
}

/// A defect of a decoder on a hostile file must not end the run.
fn guarded<T>(decode: impl FnOnce() -> Result<T, IngestError>) -> Result<T, IngestError> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(result) => result,
        Err(_) => Err(unreadable("the decoder failed")),
    }
}

fn decode_unguarded(bytes: &[u8]) -> Result<(Picture, &'static str), IngestError> {
    let (format, name) = recognise(bytes)?;
    let picture = match format {
        ImageFormat::Png => png::decode(bytes)?,
        ImageFormat::Gif => gif::decode(bytes)?,
        ImageFormat::Bmp => bmp::decode(bytes)?,
        ImageFormat::Jpeg => decode_jpeg(bytes)?,
        _ => generic(bytes, format)?,
    };
    Ok((picture, name))
}

fn decode_jpeg(bytes: &[u8]) -> Result<Picture, IngestError> {
    let header = jpeg::read_header(bytes).map_err(|error| unreadable(&error))?;
    check_pixels(header.width, header.height)?;
    Ok(picture_of(jpeg::decode(bytes).map_err(|error| unreadable(&error))?))
}

fn picture_of(jpeg::Decoded { width, height, color, pixels }: jpeg::Decoded) -> Picture {
    Picture { width, height, mode: mode_of(color), pixels }
}

fn mode_of(color: jpeg::Color) -> Mode {
    match color {
        jpeg::Color::Luma => Mode::Luma,
        jpeg::Color::Rgb => Mode::Rgb,
        jpeg::Color::Cmyk => Mode::Cmyk,
    }
}

/// Width, height and format of an image from its header, without decoding a pixel.
pub fn inspect(bytes: &[u8]) -> Result<(u32, u32, &'static str), IngestError> {
    guarded(|| inspect_unguarded(bytes))
}

fn inspect_unguarded(bytes: &[u8]) -> Result<(u32, u32, &'static str), IngestError> {
    let (format, name) = recognise(bytes)?;
    let (width, height) = match format {
        ImageFormat::Jpeg => {
            let header = jpeg::read_header(bytes).map_err(|error| unreadable(&error))?;
            (header.width, header.height)
        }
        _ => {
            let reader = ImageReader::with_format(Cursor::new(bytes), format);
            reader.into_dimensions().map_err(|error| unreadable(&error))?
        }
    };
    check_pixels(width, height)?;
    Ok((width, height, name))
}

/// The format by its first bytes.
fn recognise(bytes: &[u8]) -> Result<(ImageFormat, &'static str), IngestError> {
    match image::guess_format(bytes) {
        Ok(format @ ImageFormat::Png) => Ok((format, "png")),
        Ok(format @ ImageFormat::Gif) => Ok((format, "gif")),
        Ok(format @ ImageFormat::Bmp) => Ok((format, "bmp")),
        Ok(format @ ImageFormat::Jpeg) => Ok((format, "jpeg")),
        Ok(format @ ImageFormat::WebP) => Ok((format, "webp")),
        _ => Err(unreadable("not a JPEG, PNG, WebP, GIF or BMP file")),
    }
}

/// A format whose decoder gives the stored mode by itself.
fn generic(bytes: &[u8], format: ImageFormat) -> Result<Picture, IngestError> {
    let open = || ImageReader::with_format(Cursor::new(bytes), format);
    let (width, height) = open().into_dimensions().map_err(|error| unreadable(&error))?;
    check_pixels(width, height)?;
    let mut reader = open();
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOCATION);
    reader.limits(limits);
    Ok(picture(reader.decode().map_err(|error| unreadable(&error))?))
}

fn picture(image: DynamicImage) -> Picture {
    let (width, height) = (image.width(), image.height());
    let (mode, pixels) = match image.color() {
        ColorType::L8 => (Mode::Luma, image.into_luma8().into_raw()),
        ColorType::La8 => (Mode::LumaAlpha, image.into_luma_alpha8().into_raw()),
        ColorType::Rgba8 => (Mode::Rgba, image.into_rgba8().into_raw()),
        _ => (Mode::Rgb, image.into_rgb8().into_raw()),
    };
    Picture { width, height, mode, pixels }
}

/// Fails for more pixels than Pillow would open.
fn check_pixels(width: u32, height: u32) -> Result<(), IngestError> {
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(unreadable(&format!("{width} x {height} pixels, at most {MAX_PIXELS} are accepted")));
    }
    Ok(())
}

/// Whether a palette is the greys in order, which makes a picture of indices one of luminance.
fn is_grey_ramp(colors: &[[u8; 3]]) -> bool {
    colors.iter().enumerate().all(|(index, color)| color.iter().all(|value| usize::from(*value) == index))
}

fn unreadable(reason: &(impl std::fmt::Display + ?Sized)) -> IngestError {
    IngestError::Decode { reason: reason.to_string() }
}
