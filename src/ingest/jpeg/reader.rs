//! Reads a file up to each of its scans, keeping the tables that the segments in between define.

use super::bits::EntropyData;
use super::error::JpegError;
use super::frame::{ColorMarkers, ColorSpace, Frame};
use super::markers::{
    APP0, APP14, APP15, COM, DAC, DHT, DNL, DQT, DRI, EOI, JPG, MarkerReader, RST0, RST7, SOF0, SOF1, SOF2, SOF15, SOI,
    SOS, TEM,
};
use super::scan::Scan;
use super::tables::{Quantizer, Tables};

#[derive(Debug)]
pub(super) struct FileReader<'a> {
    markers: MarkerReader<'a>,
    tables: Tables,
    color: ColorMarkers,
    /// Per component, the quantisation table in force at its first scan.
    quantizers: Vec<Option<Quantizer>>,
}

impl<'a> FileReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, JpegError> {
        let markers = MarkerReader::new(bytes)?;
        Ok(Self { markers, tables: Tables::default(), color: ColorMarkers::default(), quantizers: Vec::new() })
    }

    /// Reads up to and including the frame header.
    pub(super) fn read_frame(&mut self) -> Result<Frame, JpegError> {
        loop {
            let marker = self.markers.next_marker()?;
            match marker {
                SOF0 | SOF1 | SOF2 => {
                    let frame = Frame::parse(marker, self.markers.segment(marker)?)?;
                    self.quantizers = vec![None; frame.components.len()];
                    return Ok(frame);
                }
                DHT | JPG | DAC => self.read_segment(marker)?,
                SOF0..=SOF15 => return Err(JpegError::Unsupported { feature: "lossless or arithmetic coding" }),
                SOS | EOI => return Err(JpegError::Segment { marker, problem: "comes before any frame header" }),
                _ => self.read_segment(marker)?,
            }
        }
    }

    /// Reads up to and including the next scan header; none if the picture ends first.
    pub(super) fn next_scan(&mut self, frame: &Frame) -> Result<Option<Scan>, JpegError> {
        loop {
            let marker = self.markers.next_marker()?;
            match marker {
                SOS => {
                    let scan = Scan::parse(self.markers.segment(marker)?, frame)?;
                    self.latch_quantizers(frame, &scan)?;
                    return Ok(Some(scan));
                }
                EOI => return Ok(None),
                DHT | JPG | DAC => self.read_segment(marker)?,
                SOF0..=SOF15 => return Err(JpegError::Segment { marker, problem: "a second frame header" }),
                _ => self.read_segment(marker)?,
            }
        }
    }

    fn read_segment(&mut self, marker: u8) -> Result<(), JpegError> {
        match marker {
            DHT => self.tables.read_huffman(self.markers.segment(marker)?),
            DQT => self.tables.read_quantizers(self.markers.segment(marker)?),
            DRI => self.tables.read_restart_interval(self.markers.segment(marker)?),
            APP0 | APP14 => {
                self.color.read(marker, self.markers.segment(marker)?);
                Ok(())
            }
            APP0..=APP15 | COM | DAC | DNL => self.markers.segment(marker).map(drop),
            RST0..=RST7 | TEM => Ok(()),
            SOI => Err(JpegError::Segment { marker, problem: "a second start of image" }),
            _ => Err(JpegError::Segment { marker, problem: "of unknown meaning" }),
        }
    }

    fn latch_quantizers(&mut self, frame: &Frame, scan: &Scan) -> Result<(), JpegError> {
        for part in &scan.components {
            let component = frame.components.get(part.index);
            if let (Some(slot @ None), Some(component)) = (self.quantizers.get_mut(part.index), component) {
                *slot = Some(*self.tables.quantizer(component.quantization)?);
            }
        }
        Ok(())
    }

    /// Takes the data that follows a scan header.
    pub(super) fn read_entropy(&mut self, data: &mut EntropyData) -> Result<(), JpegError> {
        let length = data.read(self.markers.rest())?;
        self.markers.skip(length);
        Ok(())
    }

    /// Bytes that are still to be read.
    pub(super) fn remaining(&self) -> usize {
        self.markers.rest().len()
    }

    pub(super) fn tables(&mut self) -> &mut Tables {
        &mut self.tables
    }

    pub(super) fn color_space(&self, frame: &Frame) -> ColorSpace {
        self.color.color_space(frame)
    }

    /// Of all components, each of which must have had a scan.
    pub(super) fn quantizers(&self) -> Result<Vec<Quantizer>, JpegError> {
        let all: Option<Vec<_>> = self.quantizers.iter().copied().collect();
        all.ok_or(JpegError::Corrupt { problem: "a component has no scan" })
    }
}
