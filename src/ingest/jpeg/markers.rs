//! Finds the marker segments of a file; what is in them is read elsewhere.

use super::error::JpegError;

pub(super) const TEM: u8 = 0x01;
pub(super) const SOF0: u8 = 0xC0;
pub(super) const SOF1: u8 = 0xC1;
pub(super) const SOF2: u8 = 0xC2;
pub(super) const SOF15: u8 = 0xCF;
pub(super) const DHT: u8 = 0xC4;
pub(super) const JPG: u8 = 0xC8;
pub(super) const DAC: u8 = 0xCC;
pub(super) const RST0: u8 = 0xD0;
pub(super) const RST7: u8 = 0xD7;
pub(super) const SOI: u8 = 0xD8;
pub(super) const EOI: u8 = 0xD9;
pub(super) const SOS: u8 = 0xDA;
pub(super) const DQT: u8 = 0xDB;
pub(super) const DNL: u8 = 0xDC;
pub(super) const DRI: u8 = 0xDD;
pub(super) const APP0: u8 = 0xE0;
pub(super) const APP14: u8 = 0xEE;
pub(super) const APP15: u8 = 0xEF;
pub(super) const COM: u8 = 0xFE;

/// A position in a JPEG file, after its start-of-image marker.
#[derive(Debug)]
pub(super) struct MarkerReader<'a> {
    rest: &'a [u8],
}

impl<'a> MarkerReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, JpegError> {
        let rest = bytes.strip_prefix(&[0xFF, SOI]).ok_or(JpegError::NotJpeg)?;
        Ok(Self { rest })
    }

    /// The code of the next marker. Stray bytes before it are skipped, as libjpeg does with a warning.
    pub(super) fn next_marker(&mut self) -> Result<u8, JpegError> {
        loop {
            let start = find_ff(self.rest).ok_or(JpegError::Truncated)?;
            let after = self.rest.get(start..).unwrap_or_default();
            let fill = after.iter().position(|&byte| byte != 0xFF).ok_or(JpegError::Truncated)?;
            let code = after.get(fill).copied().ok_or(JpegError::Truncated)?;
            self.rest = after.get(fill + 1..).unwrap_or_default();
            if code != 0 {
                return Ok(code);
            }
        }
    }

    /// The content of the segment whose marker was just read.
    pub(super) fn segment(&mut self, marker: u8) -> Result<&'a [u8], JpegError> {
        let (length, _) = self.rest.split_first_chunk::<2>().ok_or(JpegError::Truncated)?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length < 2 {
            return Err(JpegError::Segment { marker, problem: "length below 2" });
        }
        let (segment, rest) = self.rest.split_at_checked(length).ok_or(JpegError::Truncated)?;
        self.rest = rest;
        Ok(segment.get(2..).unwrap_or_default())
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }
}

/// Where the first 0xFF is.
pub(super) fn find_ff(bytes: &[u8]) -> Option<usize> {
    let (chunks, tail) = bytes.as_chunks::<32>();
    // Whole chunks are tested without an early exit, which is what lets them be compared as vectors.
    let holds_ff = |chunk: &[u8; 32]| chunk.iter().fold(0, |found, &byte| found | u8::from(byte == 0xFF)) != 0;
    let clean = chunks.iter().take_while(|chunk| !holds_ff(chunk));
    let skipped = clean.count() * 32;
    let rest = if skipped == chunks.len() * 32 { tail } else { bytes.get(skipped..)? };
    rest.iter().position(|&byte| byte == 0xFF).map(|at| skipped + at)
}
