//! PNG in the modes that Pillow opens it in: few bits are spread, sixteen bits of colour lose the lower half, grey keeps
//! sixteen, palettes stay, and a transparent colour has no effect.
use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Limits, Transformations};

use super::{MAX_ALLOCATION, check_pixels, unreadable};
use crate::ingest::{IngestError, Mode, Picture};

pub(super) fn decode(bytes: &[u8]) -> Result<Picture, IngestError> {
    let limits = Limits { bytes: MAX_ALLOCATION as usize };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(Transformations::IDENTITY);
    let header = decoder.read_header_info().map_err(|error| unreadable(&error))?;
    check_pixels(header.width, header.height)?;
    let mut reader = decoder.read_info().map_err(|error| unreadable(&error))?;
    let size = reader.output_buffer_size().ok_or_else(|| unreadable("too large for this machine"))?;
    let mut samples = vec![0; size];
    reader.next_frame(&mut samples).map_err(|error| unreadable(&error))?;
    let info = reader.info();
    let (width, height, depth) = (info.width, info.height, info.bit_depth);
    let plain = |mode, pixels| Ok(Picture { width, height, mode, pixels });
    match (info.color_type, depth) {
        (ColorType::Indexed, _) => {
            let colors = info.palette.as_deref().ok_or_else(|| unreadable("a palette image without a palette"))?;
            let indices = unpack(&samples, width as usize, depth, 1);
            Ok(Picture::from_indices(width, height, &indices, colors.as_chunks::<3>().0))
        }
        (ColorType::Grayscale, BitDepth::One) => plain(Mode::Bilevel, unpack(&samples, width as usize, depth, 255)),
        (ColorType::Grayscale, BitDepth::Two) => plain(Mode::Luma, unpack(&samples, width as usize, depth, 85)),
        (ColorType::Grayscale, BitDepth::Four) => plain(Mode::Luma, unpack(&samples, width as usize, depth, 17)),
        (ColorType::Grayscale, BitDepth::Eight) => plain(Mode::Luma, samples),
        (ColorType::Grayscale, BitDepth::Sixteen) => {
            let values = samples.as_chunks::<2>().0.iter().map(|value| u16::from_be_bytes(*value));
            plain(Mode::Luma16, values.flat_map(u16::to_ne_bytes).collect())
        }
        (ColorType::GrayscaleAlpha, _) => plain(Mode::LumaAlpha, high_bytes(samples, depth)),
        (ColorType::Rgb, _) => plain(Mode::Rgb, high_bytes(samples, depth)),
        (ColorType::Rgba, _) => plain(Mode::Rgba, high_bytes(samples, depth)),
    }
}

/// One byte for each sample of packed rows, times `factor`.
fn unpack(packed: &[u8], width: usize, depth: BitDepth, factor: u8) -> Vec<u8> {
    let bits = depth as usize;
    let row_bytes = (width * bits).div_ceil(8).max(1);
    let mask = u8::MAX >> (8 - bits);
    let spread = |byte: &u8| {
        let byte = *byte;
        (0..8 / bits).rev().map(move |position| (byte >> (position * bits) & mask) * factor)
    };
    packed.chunks(row_bytes).flat_map(|row| row.iter().flat_map(spread).take(width)).collect()
}

/// The higher half of sixteen bits.
fn high_bytes(samples: Vec<u8>, depth: BitDepth) -> Vec<u8> {
    if depth == BitDepth::Sixteen { samples.into_iter().step_by(2).collect() } else { samples }
}
