//! The scan header: which components are coded, and how.

use super::error::JpegError;
use super::frame::{Coding, Frame, MAX_COMPONENTS};
use super::huffman::Class;
use super::markers::SOS;
use super::progressive::Band;

/// Blocks in an MCU, the standard's limit.
pub(super) const MAX_MCU_BLOCKS: usize = 10;

#[derive(Debug)]
pub(super) struct Scan {
    pub(super) components: Vec<ScanComponent>,
    pub(super) method: Method,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ScanComponent {
    /// Among the frame's components.
    pub(super) index: usize,
    pub(super) dc_table: u8,
    pub(super) ac_table: u8,
}

/// How the scan's blocks are coded; the bands of progressive scans are of one component.
#[derive(Clone, Copy, Debug)]
pub(super) enum Method {
    Sequential,
    DcFirst { low: u32 },
    DcRefine { low: u32 },
    AcFirst { band: Band },
    AcRefine { band: Band },
}

impl Scan {
    pub(super) fn parse(segment: &[u8], frame: &Frame) -> Result<Self, JpegError> {
        let bad = |problem| JpegError::Segment { marker: SOS, problem };
        let (&count, rest) = segment.split_first().ok_or(bad("empty"))?;
        let count = usize::from(count);
        if !(1..=MAX_COMPONENTS).contains(&count) || rest.len() != 2 * count + 3 {
            return Err(bad("length does not fit the number of components"));
        }
        let (specs, parameters) = rest.split_at(2 * count);
        let mut components: Vec<ScanComponent> = Vec::with_capacity(count);
        for &[id, tables] in specs.as_chunks().0 {
            // Components come in the frame's order.
            let next = components.last().map_or(0, |last| last.index + 1);
            let found = frame.components.iter().skip(next).position(|component| component.id == id);
            let index = next + found.ok_or(bad("component missing from the frame, or out of order"))?;
            components.push(ScanComponent { index, dc_table: tables >> 4, ac_table: tables & 15 });
        }
        let of_frame = components.iter().filter_map(|part| frame.components.get(part.index));
        if count > 1 && of_frame.map(|component| component.h * component.v).sum::<usize>() > MAX_MCU_BLOCKS {
            return Err(bad("more than 10 blocks in an MCU"));
        }
        let method = match (frame.coding, parameters) {
            // Some encoders write zeros for the band of a baseline scan, so it is not looked at.
            (Coding::Sequential, _) => Method::Sequential,
            (Coding::Progressive, &[first, last, bits]) => {
                Method::progressive(count, first, last, bits).ok_or(bad("impossible progression"))?
            }
            _ => return Err(bad("too short")),
        };
        Ok(Self { components, method })
    }
}

impl Method {
    fn progressive(components: usize, first: u8, last: u8, bits: u8) -> Option<Self> {
        let (high, low) = (u32::from(bits >> 4), u32::from(bits & 15));
        let band = Band { first: usize::from(first), last: usize::from(last), low };
        if low > 13 || (high != 0 && low + 1 != high) {
            return None;
        }
        match (first, high) {
            (0, _) if last != 0 => None,
            (0, 0) => Some(Self::DcFirst { low }),
            (0, _) => Some(Self::DcRefine { low }),
            _ if first > last || last > 63 || components != 1 => None,
            (_, 0) => Some(Self::AcFirst { band }),
            (_, _) => Some(Self::AcRefine { band }),
        }
    }

    pub(super) fn uses(self, class: Class) -> bool {
        match self {
            Self::Sequential => true,
            Self::DcFirst { .. } => class == Class::Dc,
            Self::DcRefine { .. } => false,
            Self::AcFirst { .. } | Self::AcRefine { .. } => class == Class::Ac,
        }
    }
}
