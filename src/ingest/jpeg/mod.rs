//! Decodes JPEG files to the very pixels that Pillow, which is to say libjpeg-turbo, makes of them.
#![expect(clippy::inline_always, reason = "a kernel gets the vectors of the function that it is inlined into")]

mod bits;
mod coefficients;
mod color;
mod error;
mod frame;
mod huffman;
mod idct;
mod markers;
mod progressive;
mod reader;
mod render;
mod scan;
mod scan_decoder;
mod sequential;
mod smooth;
mod standard;
mod tables;
mod upsample;

pub use error::JpegError;

use bits::EntropyData;
use coefficients::{BlockPlane, Extent};
use frame::{Coding, ColorSpace, Frame};
use reader::FileReader;
use render::Renderer;
use scan::Scan;
use scan_decoder::ScanDecoder;
use smooth::Progress;
use tables::Quantizer;

/// Encoders write about ten; each costs a pass over the picture.
const MAX_SCANS: usize = 500;

/// What the file says about its picture before any of it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Pixels, 1 to 65,500 each way.
    pub width: u32,
    pub height: u32,
    pub color: Color,
}

/// The meaning of a pixel's bytes, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    Luma,
    Rgb,
    /// 255 is full ink.
    Cmyk,
}

/// A picture as rows of interleaved bytes, `[height, width, channels]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    pub width: u32,
    pub height: u32,
    pub color: Color,
    pub pixels: Vec<u8>,
}

/// Size and colour, for limits to be checked before `decode` takes memory in proportion.
pub fn read_header(bytes: &[u8]) -> Result<Header, JpegError> {
    let frame = FileReader::new(bytes)?.read_frame()?;
    Ok(Header { width: frame.width as u32, height: frame.height as u32, color: color_of(&frame) })
}

/// Decodes the first picture of a file. Orientation tags and colour profiles are not applied.
pub fn decode(bytes: &[u8]) -> Result<Decoded, JpegError> {
    let mut file = FileReader::new(bytes)?;
    let frame = file.read_frame()?;
    let scan = file.next_scan(&frame)?.ok_or(JpegError::Truncated)?;
    let space = file.color_space(&frame);
    let pixels = if frame.coding == Coding::Sequential && scan.components.len() == frame.components.len() {
        decode_strips(&mut file, &frame, &scan, space)?
    } else {
        decode_scans(&mut file, &frame, scan, space)?
    };
    Ok(Decoded { width: frame.width as u32, height: frame.height as u32, color: color_of(&frame), pixels })
}

fn color_of(frame: &Frame) -> Color {
    match frame.components.len() {
        1 => Color::Luma,
        3 => Color::Rgb,
        _ => Color::Cmyk,
    }
}

/// The usual file: one scan with all components, of which one strip is held at a time.
fn decode_strips(
    file: &mut FileReader<'_>,
    frame: &Frame,
    scan: &Scan,
    space: ColorSpace,
) -> Result<Vec<u8>, JpegError> {
    check_size(frame, file.remaining(), 2)?;
    let mut data = EntropyData::default();
    file.read_entropy(&mut data)?;
    let mut planes = planes(frame, Extent::Strip);
    let mut renderer = Renderer::new(frame, space, &file.quantizers()?);
    let mut decoder = ScanDecoder::new(scan, frame, file.tables(), &data)?;
    for strip in 0..frame.mcus_high() {
        planes.iter_mut().for_each(BlockPlane::clear);
        decoder.decode_strip(strip, &mut planes)?;
        renderer.strip(strip, &planes);
    }
    Ok(renderer.finish())
}

/// Progressive files, and sequential ones whose components come apart: all coefficients are held until the last scan.
fn decode_scans(
    file: &mut FileReader<'_>,
    frame: &Frame,
    first: Scan,
    space: ColorSpace,
) -> Result<Vec<u8>, JpegError> {
    check_size(frame, file.remaining(), 1)?;
    let mut planes = planes(frame, Extent::Picture);
    let mut progress = Progress::new(frame);
    let mut data = EntropyData::default();
    let mut next = Some(first);
    let mut scans = 0;
    while let Some(scan) = next {
        scans += 1;
        if scans > MAX_SCANS {
            return Err(JpegError::TooManyScans { limit: MAX_SCANS });
        }
        progress.record(&scan)?;
        file.read_entropy(&mut data)?;
        let mut decoder = ScanDecoder::new(&scan, frame, file.tables(), &data)?;
        for strip in 0..frame.mcus_high() {
            decoder.decode_strip(strip, &mut planes)?;
        }
        next = file.next_scan(frame)?;
    }
    progress.check_complete()?;
    Ok(render_planes(frame, space, &planes, &progress, &file.quantizers()?))
}

fn render_planes(
    frame: &Frame,
    space: ColorSpace,
    planes: &[BlockPlane],
    progress: &Progress,
    quantizers: &[Quantizer],
) -> Vec<u8> {
    let mut renderer = Renderer::new(frame, space, quantizers);
    let mut smoothed = progress.needs_smoothing(frame, quantizers).then(|| self::planes(frame, Extent::Strip));
    for strip in 0..frame.mcus_high() {
        let Some(smoothed) = &mut smoothed else {
            renderer.strip(strip, planes);
            continue;
        };
        for (index, ((plane, steps), smoothed)) in planes.iter().zip(quantizers).zip(&mut *smoothed).enumerate() {
            progress.smooth(frame, index, strip, plane, steps, smoothed.strip_mut(strip));
        }
        renderer.strip(strip, smoothed);
    }
    renderer.finish()
}

fn planes(frame: &Frame, extent: Extent) -> Vec<BlockPlane> {
    frame.components.iter().map(|component| BlockPlane::new(frame, component, extent)).collect()
}

/// An error if the file cannot hold the picture its header promises, before memory is taken for it.
fn check_size(frame: &Frame, bytes: usize, bits_per_block: usize) -> Result<(), JpegError> {
    if frame.blocks() * bits_per_block > bytes * 8 { Err(JpegError::Truncated) } else { Ok(()) }
}
