//! Quantised coefficients, for one strip of the picture or for all of it.

use std::ops::Range;

use super::frame::{Component, Frame};

/// 8 × 8 coefficients in natural order.
pub(super) type Block = [i16; 64];

/// How much of the picture is held at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Some columns of one strip, counted in MCUs.
    Strip(Range<usize>),
    Picture,
}

/// The blocks of one component, a multiple of its sampling factors both ways: padding blocks are coded too.
#[derive(Debug)]
pub(super) struct BlockPlane {
    blocks: Vec<Block>,
    /// The column of blocks that every row begins with.
    first_column: usize,
    stride: usize,
    rows_per_strip: usize,
    strips: usize,
}

impl BlockPlane {
    pub(super) fn new(frame: &Frame, component: &Component, extent: &Extent) -> Self {
        let (mcus, strips) = match extent {
            Extent::Strip(mcus) => (mcus.clone(), 1),
            Extent::Picture => (0..frame.mcus_wide(), frame.mcus_high()),
        };
        let (first_column, stride) = (mcus.start * component.h, mcus.len() * component.h);
        let blocks = vec![[0; 64]; stride * component.v * strips];
        Self { blocks, first_column, stride, rows_per_strip: component.v, strips }
    }

    pub(super) fn first_column(&self) -> usize {
        self.first_column
    }

    /// Blocks in a row.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// The block rows of a strip that is one MCU high.
    pub(super) fn strip(&self, strip: usize) -> &[Block] {
        let blocks = self.stride * self.rows_per_strip;
        let start = strip % self.strips * blocks;
        self.blocks.get(start..start + blocks).unwrap_or_default()
    }

    pub(super) fn strip_mut(&mut self, strip: usize) -> &mut [Block] {
        let blocks = self.stride * self.rows_per_strip;
        let start = strip % self.strips * blocks;
        self.blocks.get_mut(start..start + blocks).unwrap_or_default()
    }

    /// A block row of the whole picture.
    pub(super) fn row(&self, row: usize) -> &[Block] {
        self.blocks.get(row * self.stride..(row + 1) * self.stride).unwrap_or_default()
    }
}
