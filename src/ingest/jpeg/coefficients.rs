//! Quantised coefficients, for one strip of the picture or for all of it.

use super::frame::{Component, Frame};

/// 8 × 8 coefficients in natural order.
pub(super) type Block = [i16; 64];

/// How much of the picture is held at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Strip,
    Picture,
}

/// The blocks of one component, a multiple of its sampling factors both ways: padding blocks are coded too.
#[derive(Debug)]
pub(super) struct BlockPlane {
    blocks: Vec<Block>,
    stride: usize,
    rows_per_strip: usize,
    strips: usize,
}

impl BlockPlane {
    pub(super) fn new(frame: &Frame, component: &Component, extent: Extent) -> Self {
        let stride = component.blocks_wide.next_multiple_of(component.h);
        let strips = match extent {
            Extent::Strip => 1,
            Extent::Picture => frame.mcus_high(),
        };
        let blocks = vec![[0; 64]; stride * component.v * strips];
        Self { blocks, stride, rows_per_strip: component.v, strips }
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

    pub(super) fn clear(&mut self) {
        self.blocks.fill([0; 64]);
    }
}
