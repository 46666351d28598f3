//! The tables a file defines between its scans.

use std::rc::Rc;

use super::error::JpegError;
use super::huffman::{Class, HuffmanTable};
use super::markers::{DHT, DQT, DRI};
use super::standard;

/// Quantisation steps in natural order.
pub(super) type Quantizer = [u16; 64];

/// Natural position of the n-th coefficient in zigzag order.
pub(super) static ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

#[derive(Debug, Default)]
pub(super) struct Tables {
    quantizers: [Option<Quantizer>; 4],
    dc: [Option<Rc<HuffmanTable>>; 4],
    ac: [Option<Rc<HuffmanTable>>; 4],
    /// MCUs between restart markers; 0 without them.
    pub(super) restart_interval: usize,
}

impl Tables {
    pub(super) fn read_quantizers(&mut self, mut segment: &[u8]) -> Result<(), JpegError> {
        let bad = |problem| JpegError::Segment { marker: DQT, problem };
        while let Some((&head, rest)) = segment.split_first() {
            let slot = self.quantizers.get_mut(usize::from(head & 15)).ok_or(bad("table id above 3"))?;
            let bytes_each = if head >> 4 == 0 { 1 } else { 2 };
            let (steps, rest) = rest.split_at_checked(64 * bytes_each).ok_or(bad("too short for its tables"))?;
            let mut quantizer = [0; 64];
            for (step, &natural) in steps.chunks_exact(bytes_each).zip(&ZIGZAG) {
                if let Some(value) = quantizer.get_mut(usize::from(natural)) {
                    *value = step.iter().fold(0, |value, &byte| value << 8 | u16::from(byte));
                }
            }
            *slot = Some(quantizer);
            segment = rest;
        }
        Ok(())
    }

    pub(super) fn read_huffman(&mut self, mut segment: &[u8]) -> Result<(), JpegError> {
        let bad = |problem| JpegError::Segment { marker: DHT, problem };
        while let Some((&head, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or(bad("too short for its tables"))?;
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let (values, rest) = rest.split_at_checked(total).ok_or(bad("too short for its tables"))?;
            let (class, slots) = match head >> 4 {
                0 => (Class::Dc, &mut self.dc),
                1 => (Class::Ac, &mut self.ac),
                _ => return Err(bad("table class above 1")),
            };
            let slot = slots.get_mut(usize::from(head & 15)).ok_or(bad("table id above 3"))?;
            *slot = Some(HuffmanTable::shared(class, counts, values)?);
            segment = rest;
        }
        Ok(())
    }

    pub(super) fn read_restart_interval(&mut self, segment: &[u8]) -> Result<(), JpegError> {
        let &[high, low] = segment else {
            return Err(JpegError::Segment { marker: DRI, problem: "length other than 4" });
        };
        self.restart_interval = usize::from(u16::from_be_bytes([high, low]));
        Ok(())
    }

    pub(super) fn quantizer(&self, id: u8) -> Result<&Quantizer, JpegError> {
        let table = self.quantizers.get(usize::from(id)).and_then(Option::as_ref);
        table.ok_or(JpegError::MissingTable { kind: "quantization", id })
    }

    /// Puts the standard's example table where a scan uses one that the file left out, as Motion JPEG frames do.
    pub(super) fn complete(&mut self, class: Class, id: u8) -> Result<(), JpegError> {
        let slots = match class {
            Class::Dc => &mut self.dc,
            Class::Ac => &mut self.ac,
        };
        if let (Some(slot @ None), Some((counts, values))) =
            (slots.get_mut(usize::from(id)), standard::table(class, id))
        {
            *slot = Some(HuffmanTable::shared(class, counts, values)?);
        }
        Ok(())
    }

    pub(super) fn huffman(&self, class: Class, id: u8) -> Result<&HuffmanTable, JpegError> {
        let (kind, slots) = match class {
            Class::Dc => ("DC Huffman", &self.dc),
            Class::Ac => ("AC Huffman", &self.ac),
        };
        let table = slots.get(usize::from(id)).and_then(Option::as_deref);
        table.ok_or(JpegError::MissingTable { kind, id })
    }
}
