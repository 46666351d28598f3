//! The frame header: size, components and how their samples relate to the picture's pixels.

use super::error::JpegError;
use super::markers::{APP14, SOF2};

/// libjpeg's own limit on both sides, in pixels.
const MAX_SIDE: usize = 65_500;
pub(super) const MAX_COMPONENTS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Sequential,
    Progressive,
}

#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) coding: Coding,
    pub(super) components: Vec<Component>,
    /// Largest horizontal and vertical sampling factor.
    pub(super) max_h: usize,
    pub(super) max_v: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Sampling factors: blocks of this component in an interleaved MCU.
    pub(super) h: usize,
    pub(super) v: usize,
    pub(super) quantization: u8,
    /// Samples that lie in the picture.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Blocks that hold at least one of them.
    pub(super) blocks_wide: usize,
    pub(super) blocks_high: usize,
}

impl Frame {
    /// Reads the segment of an SOF0, SOF1 or SOF2 marker.
    pub(super) fn parse(marker: u8, segment: &[u8]) -> Result<Self, JpegError> {
        let bad = |problem| JpegError::Segment { marker, problem };
        let Some((&[precision, h1, h0, w1, w0, count], specs)) = segment.split_first_chunk::<6>() else {
            return Err(bad("too short for a frame header"));
        };
        let height = usize::from(u16::from_be_bytes([h1, h0]));
        let width = usize::from(u16::from_be_bytes([w1, w0]));
        if precision != 8 {
            return Err(JpegError::Unsupported { feature: "samples of other than 8 bits" });
        }
        if height == 0 {
            return Err(JpegError::Unsupported { feature: "a height of 0 (set later by DNL)" });
        }
        if width == 0 || width > MAX_SIDE || height > MAX_SIDE {
            return Err(bad("width or height out of range"));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(JpegError::Unsupported { feature: "other than 1, 3 or 4 components" });
        }
        let (specs, tail) = specs.as_chunks::<3>();
        if specs.len() != usize::from(count) || !tail.is_empty() {
            return Err(bad("length does not fit the number of components"));
        }
        let coding = if marker == SOF2 { Coding::Progressive } else { Coding::Sequential };
        let components: Vec<_> = specs.iter().map(Component::parse).collect();
        let max_h = components.iter().map(|component| component.h).max().unwrap_or(1);
        let max_v = components.iter().map(|component| component.v).max().unwrap_or(1);
        let mut frame = Self { width, height, coding, components, max_h, max_v };
        frame.measure().map_err(|problem| match problem {
            Sampling::Fractional => JpegError::Unsupported { feature: "fractional sampling ratios" },
            Sampling::OutOfRange => bad("sampling factor out of 1..=4"),
        })?;
        Ok(frame)
    }

    fn measure(&mut self) -> Result<(), Sampling> {
        for component in &mut self.components {
            let (h, v) = (component.h, component.v);
            if !(1..=4).contains(&h) || !(1..=4).contains(&v) {
                return Err(Sampling::OutOfRange);
            }
            if !self.max_h.is_multiple_of(h) || !self.max_v.is_multiple_of(v) {
                return Err(Sampling::Fractional);
            }
            component.width = (self.width * h).div_ceil(self.max_h);
            component.height = (self.height * v).div_ceil(self.max_v);
            component.blocks_wide = component.width.div_ceil(8);
            component.blocks_high = component.height.div_ceil(8);
        }
        Ok(())
    }

    /// MCUs of an interleaved scan, across and down; the latter also counts the strips that are decoded at a time.
    pub(super) fn mcus_wide(&self) -> usize {
        self.width.div_ceil(8 * self.max_h)
    }

    pub(super) fn mcus_high(&self) -> usize {
        self.height.div_ceil(8 * self.max_v)
    }

    pub(super) fn blocks(&self) -> usize {
        self.components.iter().map(|component| component.blocks_wide * component.blocks_high).sum()
    }
}

enum Sampling {
    Fractional,
    OutOfRange,
}

impl Component {
    fn parse(&[id, sampling, quantization]: &[u8; 3]) -> Self {
        let (h, v) = (usize::from(sampling >> 4), usize::from(sampling & 15));
        Self { id, h, v, quantization, width: 0, height: 0, blocks_wide: 0, blocks_high: 0 }
    }

    /// Block rows of this component in a strip one MCU high; the last strip may hold fewer.
    pub(super) fn block_rows(&self, strip: usize) -> usize {
        self.v.min(self.blocks_high.saturating_sub(strip * self.v))
    }
}

/// What the components mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColorSpace {
    Luma,
    Rgb,
    Ycc,
    Cmyk,
    Ycck,
}

/// The markers that tell the colour space.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ColorMarkers {
    jfif: bool,
    adobe_transform: Option<u8>,
}

impl ColorMarkers {
    /// Notes a JFIF (APP0) or Adobe (APP14) segment.
    pub(super) fn read(&mut self, marker: u8, segment: &[u8]) {
        if marker == APP14 {
            if let Some((b"Adobe", &[_, _, _, _, _, _, transform, ..])) = segment.split_first_chunk::<5>() {
                self.adobe_transform = Some(transform);
            }
        } else if segment.len() >= 14 && segment.starts_with(b"JFIF\0") {
            self.jfif = true;
        }
    }

    /// The choice of libjpeg's `default_decompress_parms`.
    pub(super) fn color_space(self, frame: &Frame) -> ColorSpace {
        match frame.components.as_slice() {
            [_] => ColorSpace::Luma,
            [a, b, c] => match self.adobe_transform {
                _ if self.jfif => ColorSpace::Ycc,
                Some(0) => ColorSpace::Rgb,
                None if [a.id, b.id, c.id] == *b"RGB" => ColorSpace::Rgb,
                _ => ColorSpace::Ycc,
            },
            _ => match self.adobe_transform {
                None | Some(0) => ColorSpace::Cmyk,
                _ => ColorSpace::Ycck,
            },
        }
    }
}
