//! Entropy-coded bytes freed of their byte stuffing, and the bits in them.

use std::ops::Range;

use super::error::JpegError;
use super::markers::{RST0, RST7, find_ff};

/// Zero bytes behind every segment, so that eight can be loaded anywhere in it.
const PADDING: [u8; 8] = [0; 8];

/// The data of one scan, cut at its restart markers.
#[derive(Debug, Default)]
pub(super) struct EntropyData {
    bytes: Vec<u8>,
    segments: Vec<Range<usize>>,
}

impl EntropyData {
    /// Takes the scan at the start of `input` and returns its length, up to the marker that ends it.
    pub(super) fn read(&mut self, input: &[u8]) -> Result<usize, JpegError> {
        self.bytes.clear();
        self.segments.clear();
        self.bytes.reserve(input.len());
        let mut rest = input;
        let mut start = 0;
        let mut restarts = 0_u8;
        loop {
            let at = find_ff(rest).ok_or(JpegError::Truncated)?;
            let (data, marker) = rest.split_at(at);
            self.bytes.extend_from_slice(data);
            let fill = marker.iter().position(|&byte| byte != 0xFF).ok_or(JpegError::Truncated)?;
            let (_, after) = marker.split_at(fill);
            let (&code, after) = after.split_first().ok_or(JpegError::Truncated)?;
            if code == 0 {
                self.bytes.push(0xFF);
                rest = after;
                continue;
            }
            self.segments.push(start..self.bytes.len());
            self.bytes.extend_from_slice(&PADDING);
            start = self.bytes.len();
            if !(RST0..=RST7).contains(&code) {
                return Ok(input.len() - marker.len());
            }
            if code - RST0 != restarts & 7 {
                return Err(JpegError::Corrupt { problem: "restart markers out of order" });
            }
            restarts = restarts.wrapping_add(1);
            rest = after;
        }
    }

    /// The bits between two restart markers.
    pub(super) fn segment(&self, index: usize) -> Result<BitReader<'_>, JpegError> {
        let missing = JpegError::Corrupt { problem: "a restart marker is missing" };
        let segment = self.segments.get(index).ok_or(missing)?;
        let bytes = self.bytes.get(segment.start..segment.end + PADDING.len()).ok_or(missing)?;
        Ok(BitReader { bytes, position: 0, bits: 0, available: 0 })
    }
}

/// Reads bits, most significant first. Behind the end it reads zeros; `is_overrun` tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
    /// The next bits from the top down. Those below `available` may be set already, and agree with what follows.
    bits: u64,
    available: u32,
}

impl BitReader<'_> {
    /// Makes at least 56 bits available.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        let next = self.bytes.get(self.position..).and_then(|rest| rest.first_chunk::<8>());
        let next = next.map_or(0, |bytes| u64::from_be_bytes(*bytes));
        self.bits |= next >> self.available;
        self.position += ((63 - self.available) >> 3) as usize;
        self.available |= 0x38;
    }

    #[inline(always)]
    pub(super) fn refill_below(&mut self, available: u32) {
        if self.available < available {
            self.refill();
        }
    }

    #[inline(always)]
    pub(super) fn peek(&self) -> u64 {
        self.bits
    }

    #[inline(always)]
    pub(super) fn consume(&mut self, count: u32) {
        self.bits <<= count & 63;
        self.available = self.available.wrapping_sub(count) & 63;
    }

    /// The next `count` bits, 1 to 32; they must be available.
    #[inline(always)]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        let value = self.bits >> (64 - count);
        self.consume(count);
        value as u32
    }

    /// Whether more bits were consumed than there are.
    pub(super) fn is_overrun(&self) -> bool {
        let consumed = self.position * 8 - self.available as usize;
        consumed > (self.bytes.len() - PADDING.len()) * 8
    }
}
