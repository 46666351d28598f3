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
mod unit;
mod upsample;
mod window;

pub use error::JpegError;
pub use render::RowSink;

use bits::EntropyData;
use coefficients::{BlockPlane, Extent};
use color::weave;
use frame::{Coding, ColorSpace, Frame};
use reader::FileReader;
use render::Renderer;
use scan::Scan;
use scan_decoder::ScanDecoder;
use smooth::Progress;
use window::Window;

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

/// A part of a picture in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
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
    Ok(header_of(&FileReader::new(bytes)?.read_frame()?))
}

/// Decodes the first picture of a file. Orientation tags and colour profiles are not applied.
pub fn decode(bytes: &[u8]) -> Result<Decoded, JpegError> {
    let Header { width, height, .. } = read_header(bytes)?;
    decode_region(bytes, Region { left: 0, top: 0, width, height })
}

/// Decodes a part of a file's first picture, to the same pixels as `decode`. What comes behind that part in the file is
/// not looked at, so that errors there are not found.
pub fn decode_region(bytes: &[u8], region: Region) -> Result<Decoded, JpegError> {
    let Header { color, .. } = read_header(bytes)?;
    let Region { width, height, .. } = region;
    let row_bytes = width as usize * color.channels();
    let mut sink = Weaver { row_bytes, rows: height as usize, rows_done: 0, pixels: Vec::new() };
    decode_rows(bytes, region, &mut sink)?;
    Ok(Decoded { width, height, color, pixels: sink.pixels })
}

/// Decodes as `decode_region` does, into rows of separate channels.
pub fn decode_rows(bytes: &[u8], region: Region, sink: &mut impl RowSink) -> Result<(), JpegError> {
    let mut file = FileReader::new(bytes)?;
    let frame = file.read_frame()?;
    let window = region.window(&frame)?;
    let scan = file.next_scan(&frame)?.ok_or(JpegError::Truncated)?;
    let space = file.color_space(&frame);
    if frame.coding == Coding::Sequential && scan.components.len() == frame.components.len() {
        decode_strips(&mut file, &frame, &scan, space, window, sink)
    } else {
        decode_scans(&mut file, &frame, scan, space, window, sink)
    }
}

impl Region {
    fn window(self, frame: &Frame) -> Result<Window, JpegError> {
        let range = |start: u32, length: u32| start as usize..start as usize + length as usize;
        let window = Window { columns: range(self.left, self.width), rows: range(self.top, self.height) };
        let is_empty = window.columns.is_empty() || window.rows.is_empty();
        if is_empty || window.columns.end > frame.width || window.rows.end > frame.height {
            return Err(JpegError::Unsupported { feature: "a region beyond its picture" });
        }
        Ok(window)
    }
}

impl Color {
    pub fn channels(self) -> usize {
        match self {
            Self::Luma => 1,
            Self::Rgb => 3,
            Self::Cmyk => 4,
        }
    }
}

/// Makes interleaved pixels of the rows.
struct Weaver {
    row_bytes: usize,
    rows: usize,
    rows_done: usize,
    pixels: Vec<u8>,
}

impl RowSink for Weaver {
    #[inline(always)]
    fn row(&mut self, channels: &[&[u8]]) {
        if self.rows_done == 0 {
            // Not before: by now the file has proved to be large enough for its picture.
            self.pixels = vec![0; self.row_bytes * self.rows];
        }
        let start = self.rows_done * self.row_bytes;
        if let Some(pixels) = self.pixels.get_mut(start..start + self.row_bytes) {
            weave(channels, pixels);
        }
        self.rows_done += 1;
    }
}

fn header_of(frame: &Frame) -> Header {
    let color = match frame.components.len() {
        1 => Color::Luma,
        3 => Color::Rgb,
        _ => Color::Cmyk,
    };
    Header { width: frame.width as u32, height: frame.height as u32, color }
}

/// The usual file: one scan with all components, of which one strip is held at a time.
fn decode_strips(
    file: &mut FileReader<'_>,
    frame: &Frame,
    scan: &Scan,
    space: ColorSpace,
    window: Window,
    sink: &mut impl RowSink,
) -> Result<(), JpegError> {
    check_size(frame, file.remaining(), 2)?;
    let mut data = EntropyData::default();
    file.read_entropy(&mut data)?;
    let (mcus, first_strip) = (window.mcus(frame), window.first_strip(frame));
    let mut planes = planes(frame, &Extent::Strip(mcus.clone()));
    let mut renderer = Renderer::new(frame, space, &file.quantizers()?, window);
    let mut decoder = ScanDecoder::new(scan, frame, file.tables(), &data)?;
    for strip in 0..frame.mcus_high() {
        if strip < first_strip {
            decoder.decode_strip(strip, 0..0, &mut planes)?;
            continue;
        }
        decoder.decode_strip(strip, mcus.clone(), &mut planes)?;
        renderer.strip(strip, &planes, sink);
        if renderer.is_finished() {
            break;
        }
    }
    Ok(())
}

/// Progressive files, and sequential ones whose components come apart: all coefficients are held until the last scan.
fn decode_scans(
    file: &mut FileReader<'_>,
    frame: &Frame,
    first: Scan,
    space: ColorSpace,
    window: Window,
    sink: &mut impl RowSink,
) -> Result<(), JpegError> {
    check_size(frame, file.remaining(), 1)?;
    let mut planes = planes(frame, &Extent::Picture);
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
            decoder.decode_strip(strip, 0..frame.mcus_wide(), &mut planes)?;
        }
        next = file.next_scan(frame)?;
    }
    progress.check_complete()?;
    let quantizers = file.quantizers()?;
    let first_strip = window.first_strip(frame);
    let mut smoothed = progress.needs_smoothing(frame, &quantizers).then(|| whole_strip(frame));
    let mut renderer = Renderer::new(frame, space, &quantizers, window);
    for strip in first_strip..frame.mcus_high() {
        if let Some(smoothed) = &mut smoothed {
            for (index, ((plane, steps), smoothed)) in planes.iter().zip(&quantizers).zip(&mut *smoothed).enumerate() {
                progress.smooth(frame, index, strip, plane, steps, smoothed.strip_mut(strip));
            }
        }
        renderer.strip(strip, smoothed.as_ref().unwrap_or(&planes), sink);
        if renderer.is_finished() {
            break;
        }
    }
    Ok(())
}

fn whole_strip(frame: &Frame) -> Vec<BlockPlane> {
    planes(frame, &Extent::Strip(0..frame.mcus_wide()))
}

fn planes(frame: &Frame, extent: &Extent) -> Vec<BlockPlane> {
    frame.components.iter().map(|component| BlockPlane::new(frame, component, extent)).collect()
}

/// An error if the file cannot hold the picture its header promises, before memory is taken for it.
fn check_size(frame: &Frame, bytes: usize, bits_per_block: usize) -> Result<(), JpegError> {
    if frame.blocks() * bits_per_block > bytes * 8 { Err(JpegError::Truncated) } else { Ok(()) }
}
