//! The walk over a scan's blocks, from restart marker to restart marker.

use std::ops::Range;

use super::bits::{BitReader, EntropyData};
use super::coefficients::{Block, BlockPlane};
use super::error::JpegError;
use super::frame::{Component, Frame, MAX_COMPONENTS};
use super::huffman::{Class, HuffmanTable};
use super::progressive;
use super::scan::{Method, Scan, ScanComponent};
use super::sequential;
use super::tables::Tables;
use super::unit::Unit;
use crate::model::vectorized;

/// Where the decoder stands in a scan.
#[derive(Debug)]
pub(super) struct Position<'a> {
    pub(super) bits: BitReader<'a>,
    /// Last DC value per component of the scan.
    pub(super) predictors: [i32; MAX_COMPONENTS],
    /// Blocks still to come without new coefficients in their band.
    pub(super) band_run: u32,
    mcus_to_restart: usize,
    next_segment: usize,
}

/// A component of a scan with its tables.
#[derive(Debug)]
pub(super) struct Part<'a> {
    /// Among the frame's components.
    pub(super) index: usize,
    /// Among the components of the scan.
    pub(super) slot: usize,
    pub(super) component: &'a Component,
    pub(super) dc: Option<&'a HuffmanTable>,
    pub(super) ac: Option<&'a HuffmanTable>,
}

/// Decodes one scan, strip by strip.
#[derive(Debug)]
pub(super) struct ScanDecoder<'a> {
    data: &'a EntropyData,
    method: Method,
    restart_interval: usize,
    mcus_wide: usize,
    parts: Vec<Part<'a>>,
    position: Position<'a>,
}

impl<'a> ScanDecoder<'a> {
    pub(super) fn new(
        scan: &Scan,
        frame: &'a Frame,
        tables: &'a mut Tables,
        data: &'a EntropyData,
    ) -> Result<Self, JpegError> {
        let method = scan.method;
        for part in &scan.components {
            tables.complete(Class::Dc, part.dc_table)?;
            tables.complete(Class::Ac, part.ac_table)?;
        }
        let tables: &Tables = tables;
        let find = |class, id| method.uses(class).then(|| tables.huffman(class, id)).transpose();
        let mut parts = Vec::with_capacity(scan.components.len());
        for (slot, &ScanComponent { index, dc_table, ac_table }) in scan.components.iter().enumerate() {
            let Some(component) = frame.components.get(index) else { continue };
            let (dc, ac) = (find(Class::Dc, dc_table)?, find(Class::Ac, ac_table)?);
            parts.push(Part { index, slot, component, dc, ac });
        }
        let restart_interval = tables.restart_interval;
        let position = Position {
            bits: data.segment(0)?,
            predictors: [0; MAX_COMPONENTS],
            band_run: 0,
            mcus_to_restart: restart_interval,
            next_segment: 1,
        };
        Ok(Self { data, method, restart_interval, mcus_wide: frame.mcus_wide(), parts, position })
    }

    /// Decodes one strip into the planes of the frame's components. Of sequential scans only the MCUs in the columns
    /// `kept` are stored, which is what the planes begin with then.
    pub(super) fn decode_strip(
        &mut self,
        strip: usize,
        kept: Range<usize>,
        planes: &mut [BlockPlane],
    ) -> Result<(), JpegError> {
        match self.method {
            // Not for vectors, but for the shifts that come with them.
            Method::Sequential => vectorized(
                #[inline(always)]
                || self.walk_sequential(strip, kept, planes),
            )?,
            Method::DcFirst { low } => {
                self.walk(strip, planes, |position, part, block| progressive::dc_first(position, part, low, block))?;
            }
            Method::DcRefine { low } => self.walk(strip, planes, |position, _, block| {
                progressive::dc_refine(position, low, block);
                Ok(())
            })?,
            Method::AcFirst { band } => {
                self.walk(strip, planes, |position, part, block| progressive::ac_first(position, part, band, block))?;
            }
            Method::AcRefine { band } => {
                self.walk(strip, planes, |position, part, block| progressive::ac_refine(position, part, band, block))?;
            }
        }
        if self.position.bits.is_overrun() { Err(short_of_data()) } else { Ok(()) }
    }

    #[inline(always)]
    fn walk_sequential(
        &mut self,
        strip: usize,
        kept: Range<usize>,
        planes: &mut [BlockPlane],
    ) -> Result<(), JpegError> {
        let (position, data, interval) = (&mut self.position, self.data, self.restart_interval);
        let (rows, columns, kept) = match self.parts.as_slice() {
            [Part { component, .. }] => {
                (component.block_rows(strip), component.blocks_wide, kept.start * component.h..kept.end * component.h)
            }
            _ => (1, self.mcus_wide, kept),
        };
        let units = Unit::of_mcu(&self.parts, planes);
        let mut strips: [&mut [Block]; MAX_COMPONENTS] = Default::default();
        for (blocks, plane) in strips.iter_mut().zip(planes) {
            *blocks = plane.strip_mut(strip);
        }
        // A copy, so that the bits stay in registers.
        let mut bits = position.bits;
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            if interval != 0 {
                position.bits = bits;
                position.begin_mcu(data, interval)?;
                bits = position.bits;
            }
            let keep = kept.contains(&column);
            for unit in units.iter().flatten() {
                let difference;
                let strip = if keep { strips.get_mut(unit.index) } else { None };
                if let Some(block) = strip.and_then(|blocks| blocks.get_mut(unit.place(row, column))) {
                    *block = [0; 64];
                    let put = |at, value| sequential::store(block, at, value);
                    (bits, difference) = sequential::block(bits, unit.dc, unit.ac, put)?;
                    let [first, ..] = block;
                    *first = position.predict(unit.slot, difference)?;
                } else {
                    (bits, difference) = sequential::skip(bits, unit.dc, unit.ac)?;
                    position.predict(unit.slot, difference)?;
                }
            }
        }
        position.bits = bits;
        Ok(())
    }

    fn walk(
        &mut self,
        strip: usize,
        planes: &mut [BlockPlane],
        decode: impl Fn(&mut Position<'a>, &Part<'a>, &mut Block) -> Result<(), JpegError>,
    ) -> Result<(), JpegError> {
        let strides: [usize; MAX_COMPONENTS] = std::array::from_fn(|at| planes.get(at).map_or(0, BlockPlane::stride));
        let mut blocks: [&mut [Block]; MAX_COMPONENTS] = Default::default();
        for (blocks, plane) in blocks.iter_mut().zip(planes) {
            *blocks = plane.strip_mut(strip);
        }
        let (position, data, interval) = (&mut self.position, self.data, self.restart_interval);
        if let [part] = self.parts.as_slice() {
            // A scan of one component has no padding blocks and MCUs of one block.
            let (Some(blocks), Some(&stride)) = (blocks.get_mut(part.index), strides.get(part.index)) else {
                return Ok(());
            };
            for row in blocks.chunks_exact_mut(stride).take(part.component.block_rows(strip)) {
                for block in row.iter_mut().take(part.component.blocks_wide) {
                    position.begin_mcu(data, interval)?;
                    decode(position, part, block)?;
                }
            }
            return Ok(());
        }
        for mcu in 0..self.mcus_wide {
            position.begin_mcu(data, interval)?;
            for part in &self.parts {
                let (Some(blocks), Some(&stride)) = (blocks.get_mut(part.index), strides.get(part.index)) else {
                    continue;
                };
                let Component { h, v, .. } = *part.component;
                for start in (mcu * h..).step_by(stride).take(v) {
                    for block in blocks.get_mut(start..start + h).unwrap_or_default() {
                        decode(position, part, block)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl<'a> Position<'a> {
    /// The new DC value, which the next block of the component is predicted from.
    #[inline(always)]
    pub(super) fn predict(&mut self, slot: usize, difference: i16) -> Result<i16, JpegError> {
        let Some(predictor) = self.predictors.get_mut(slot) else { return Ok(0) };
        *predictor += i32::from(difference);
        i16::try_from(*predictor).map_err(|_| JpegError::Corrupt { problem: "DC coefficient out of range" })
    }

    /// Crosses to the data behind the next restart marker when it is due.
    #[inline(always)]
    fn begin_mcu(&mut self, data: &'a EntropyData, interval: usize) -> Result<(), JpegError> {
        if interval == 0 {
            return Ok(());
        }
        if self.mcus_to_restart == 0 {
            self.restart(data, interval)?;
        }
        self.mcus_to_restart -= 1;
        Ok(())
    }

    #[cold]
    fn restart(&mut self, data: &'a EntropyData, interval: usize) -> Result<(), JpegError> {
        if self.bits.is_overrun() {
            return Err(short_of_data());
        }
        self.bits = data.segment(self.next_segment)?;
        self.next_segment += 1;
        self.predictors = [0; MAX_COMPONENTS];
        self.band_run = 0;
        self.mcus_to_restart = interval;
        Ok(())
    }
}

fn short_of_data() -> JpegError {
    JpegError::Corrupt { problem: "entropy-coded data ends before its blocks" }
}
