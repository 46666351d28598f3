//! BMP in the modes that Pillow opens it in: a palette of greys in order is luminance, black and white is bilevel.
use std::io::Cursor;

use image::ImageFormat;
use image::codecs::bmp::BmpDecoder;

use super::{generic, is_grey_ramp, unreadable};
use crate::ingest::{IngestError, Mode, Picture};

pub(super) fn decode(bytes: &[u8]) -> Result<Picture, IngestError> {
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(|error| unreadable(&error))?;
    let picture = generic(bytes, ImageFormat::Bmp)?;
    let (Some(colors), Mode::Rgb) = (decoder.get_palette(), picture.mode) else {
        return Ok(picture);
    };
    let colors = colors.get(..color_count(bytes)).unwrap_or(colors);
    let mode = match colors {
        [[0, 0, 0], [255, 255, 255]] => Mode::Bilevel,
        colors if is_grey_ramp(colors) => Mode::Luma,
        _ => return Ok(Picture { mode: Mode::Palette, ..picture }),
    };
    Ok(Picture { mode, pixels: picture.pixels.into_iter().step_by(3).collect(), ..picture })
}

/// Entries of the palette: as the header says, or as many as the bits can name.
fn color_count(bytes: &[u8]) -> usize {
    const CORE_HEADER: u32 = 12;
    let number = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
    let (bits, colors) = match number(14) {
        CORE_HEADER => (number(22) >> 16, 0),
        _ => (number(26) >> 16, number(46)),
    };
    if colors == 0 { 1 << bits.min(8) } else { colors as usize }
}
