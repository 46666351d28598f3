//! A picture whose channels lie apart, as fast arithmetic on them wants it; the steps of training that work on it give
//! the same pixels as on interleaved ones.
use super::adjustments::{Channels, adjust, adjust_and_normalize};
use super::color_jitter::Adjustment;
use crate::ingest::{Mode, Picture};
use crate::model::vectorized;

/// `[channels, height, width]`, eight bits each.
#[derive(Debug, Clone)]
pub(super) struct Planes {
    pub(super) width: u32,
    pub(super) height: u32,
    channels: usize,
    values: Vec<u8>,
    /// What is still to be done to the colours of an RGB picture, in order.
    adjustments: Vec<Adjustment>,
}

impl Planes {
    pub(super) fn new(channels: usize, width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            channels,
            values: vec![0; channels * width as usize * height as usize],
            adjustments: Vec::new(),
        }
    }

    fn area(&self) -> usize {
        self.width as usize * self.height as usize
    }

    /// The channels, each `[height, width]`.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let area = self.area().max(1);
        self.values.chunks_exact_mut(area)
    }

    /// `[height, width, channels]`.
    pub(super) fn interleaved(mut self) -> Vec<u8> {
        if !self.adjustments.is_empty() {
            let (channels, adjustments) = self.rgb();
            adjust(channels, adjustments);
        }
        if self.channels == 1 {
            return self.values;
        }
        let mut pixels = vec![0; self.values.len()];
        for (channel, plane) in self.values.chunks_exact(self.area().max(1)).enumerate() {
            pixels.iter_mut().skip(channel).step_by(self.channels).zip(plane).for_each(|(to, from)| *to = *from);
        }
        pixels
    }

    pub(super) fn into_picture(self, mode: Mode) -> Picture {
        Picture { width: self.width, height: self.height, mode, pixels: self.interleaved() }
    }

    /// The mirror image.
    pub(super) fn flip(&mut self) {
        let rows = self.values.chunks_exact_mut((self.width as usize).max(1));
        vectorized(
            #[inline(always)]
            || rows.for_each(<[u8]>::reverse),
        );
    }

    /// Changes the colours of an RGB picture; not before they are asked for, so that changes share their passes.
    pub(super) fn adjust(&mut self, adjustment: Adjustment) {
        self.adjustments.push(adjustment);
    }

    /// `(value / 255 - mean) / std` of an RGB picture into `out` `[3, height, width]`.
    pub(super) fn normalize(mut self, out: &mut [f32]) {
        let (channels, adjustments) = self.rgb();
        adjust_and_normalize(channels, adjustments, out);
    }

    /// The channels of an RGB picture, and what is to be done to them.
    fn rgb(&mut self) -> (Channels<'_>, &[Adjustment]) {
        let area = self.area();
        let (red, rest) = self.values.split_at_mut(area);
        let (green, blue) = rest.split_at_mut(area);
        ([red, green, blue], &self.adjustments)
    }
}
