//! The blocks of an MCU in the order they are coded.

use super::coefficients::BlockPlane;
use super::frame::Component;
use super::huffman::HuffmanTable;
use super::scan::MAX_MCU_BLOCKS;
use super::scan_decoder::Part;

/// A block of every MCU: what decodes it, and where it goes in the strip of its component.
#[derive(Debug)]
pub(super) struct Unit<'a> {
    /// Among the frame's components.
    pub(super) index: usize,
    /// Among the components of the scan.
    pub(super) slot: usize,
    pub(super) dc: &'a HuffmanTable,
    pub(super) ac: &'a HuffmanTable,
    /// Blocks from a row to the next, and from an MCU to the next.
    stride: usize,
    step: usize,
    /// Where the one of the first MCU lies if all columns are kept, and the columns before those that are.
    start: usize,
    first_column: usize,
}

impl<'a> Unit<'a> {
    /// Those of a sequential scan. One of a single component has no padding blocks and MCUs of one block.
    pub(super) fn of_mcu(parts: &[Part<'a>], planes: &[BlockPlane]) -> [Option<Self>; MAX_MCU_BLOCKS] {
        let mut units = [const { None }; MAX_MCU_BLOCKS];
        let mut free = units.iter_mut();
        for part in parts {
            let (Some(dc), Some(ac), Some(plane)) = (part.dc, part.ac, planes.get(part.index)) else { continue };
            let Component { h, v, .. } = *part.component;
            let (step, high) = if parts.len() == 1 { (1, 1) } else { (h, v) };
            let (stride, first_column) = (plane.stride(), plane.first_column());
            for (row, column) in (0..high).flat_map(|row| (0..step).map(move |column| (row, column))) {
                let Some(unit) = free.next() else { break };
                let start = row * stride + column;
                *unit = Some(Self { index: part.index, slot: part.slot, dc, ac, stride, step, start, first_column });
            }
        }
        units
    }

    /// The block's place in the strip, given the MCU's row and column; beyond the strip where its column is not kept.
    #[inline(always)]
    pub(super) fn place(&self, row: usize, column: usize) -> usize {
        (row * self.stride + column * self.step + self.start).wrapping_sub(self.first_column)
    }
}
