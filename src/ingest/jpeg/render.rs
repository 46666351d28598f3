//! Turns strips of coefficients into rows of pixels.

use super::coefficients::BlockPlane;
use super::color::ColorConverter;
use super::frame::{ColorSpace, Component, Frame, MAX_COMPONENTS};
use super::idct::{BATCH, Steps, Workspace};
use super::tables::Quantizer;
use super::upsample::{Upsampling, fancy_across, fancy_both, fancy_down, repeat};
use crate::model::vectorized;

/// The pixels of a picture, growing from the top.
#[derive(Debug)]
pub(super) struct Renderer<'a> {
    frame: &'a Frame,
    planes: Vec<SamplePlane<'a>>,
    workspace: Workspace,
    converter: ColorConverter,
    row_bytes: usize,
    rows_done: usize,
    pixels: Vec<u8>,
}

/// A strip of one component's samples, below the last two row groups of the strip above.
#[derive(Debug)]
struct SamplePlane<'a> {
    component: &'a Component,
    steps: Steps,
    upsampling: Upsampling,
    samples: Vec<u8>,
    stride: usize,
    /// The component's row that the strip begins with.
    first_row: usize,
    expanded: Vec<u8>,
    sums: Vec<u16>,
}

impl<'a> Renderer<'a> {
    pub(super) fn new(frame: &'a Frame, space: ColorSpace, quantizers: &[Quantizer]) -> Self {
        let planes = frame.components.iter().zip(quantizers);
        let row_bytes = frame.width * frame.components.len();
        Self {
            frame,
            planes: planes.map(|(component, steps)| SamplePlane::new(frame, component, steps)).collect(),
            workspace: Workspace::new(),
            converter: ColorConverter::new(space, frame.width),
            row_bytes,
            rows_done: 0,
            pixels: vec![0; row_bytes * frame.height],
        }
    }

    /// Renders the next strip of blocks. Its last rows wait for the strip below, which their chroma depends on.
    pub(super) fn strip(&mut self, strip: usize, blocks: &[BlockPlane]) {
        let is_last = strip + 1 >= self.frame.mcus_high();
        let end = if is_last { self.frame.height } else { (strip * 8 + 7) * self.frame.max_v };
        vectorized(
            #[inline(always)]
            || {
                for (plane, blocks) in self.planes.iter_mut().zip(blocks) {
                    plane.begin_strip(strip);
                    plane.transform(strip, blocks, &mut self.workspace);
                }
                self.emit(end);
            },
        );
    }

    #[inline(always)]
    fn emit(&mut self, end: usize) {
        let rows = self.rows_done..end;
        let Some(pixels) = self.pixels.get_mut(rows.start * self.row_bytes..rows.end * self.row_bytes) else { return };
        for (y, pixels) in rows.zip(pixels.chunks_exact_mut(self.row_bytes)) {
            let mut sources: [&[u8]; MAX_COMPONENTS] = [&[]; MAX_COMPONENTS];
            for (source, plane) in sources.iter_mut().zip(&mut self.planes) {
                *source = plane.full_row(y);
            }
            self.converter.convert(sources, pixels);
        }
        self.rows_done = end;
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.pixels
    }
}

impl<'a> SamplePlane<'a> {
    fn new(frame: &Frame, component: &'a Component, quantizer: &Quantizer) -> Self {
        let stride = component.blocks_wide * 8;
        Self {
            component,
            steps: quantizer.map(|step| step as i16),
            upsampling: Upsampling::of(component, frame),
            samples: vec![0; stride * component.v * 10],
            stride,
            first_row: 0,
            expanded: vec![0; component.width * (frame.max_h / component.h)],
            sums: vec![0; component.width],
        }
    }

    /// Moves the last two row groups to the top.
    #[inline(always)]
    fn begin_strip(&mut self, strip: usize) {
        self.first_row = 8 * self.component.v * strip;
        self.samples.copy_within(8 * self.component.v * self.stride.., 0);
    }

    #[inline(always)]
    fn transform(&mut self, strip: usize, blocks: &BlockPlane, workspace: &mut Workspace) {
        let rows_of_blocks = blocks.strip(strip).chunks_exact(blocks.stride()).take(self.component.block_rows(strip));
        let Some(below) = self.samples.get_mut(2 * self.component.v * self.stride..) else { return };
        for (blocks, samples) in rows_of_blocks.zip(below.chunks_exact_mut(8 * self.stride)) {
            let blocks = blocks.get(..self.component.blocks_wide).unwrap_or_default();
            let mut rows: [&mut [[u8; 8]]; 8] = Default::default();
            for (row, samples) in rows.iter_mut().zip(samples.chunks_exact_mut(self.stride)) {
                *row = samples.as_chunks_mut().0;
            }
            for (start, blocks) in (0..).step_by(BATCH).zip(blocks.chunks(BATCH)) {
                let transformed = workspace.inverse(blocks, &self.steps);
                for (column, samples) in (start..).zip(transformed.iter().take(blocks.len())) {
                    for (row, samples) in rows.iter_mut().zip(samples.as_chunks().0) {
                        if let Some(target) = row.get_mut(column) {
                            *target = *samples;
                        }
                    }
                }
            }
        }
    }

    /// The component's part in row `y` of the picture, at least as wide as it.
    #[inline(always)]
    fn full_row(&mut self, y: usize) -> &[u8] {
        let Self { component, upsampling, samples, stride, first_row, expanded, sums, .. } = self;
        let sample_row = |row: usize| {
            // The picture's edges are repeated.
            let at = row.min(component.height - 1) + 2 * component.v - *first_row;
            samples.get(at * *stride..).and_then(|rest| rest.get(..component.width)).unwrap_or_default()
        };
        let (near, far) = upsampling.source_rows(y);
        let (near, far) = (sample_row(near), sample_row(far));
        match *upsampling {
            Upsampling::None => return near,
            Upsampling::FancyAcross => fancy_across(near, expanded),
            Upsampling::FancyDown => fancy_down(near, far, y, expanded),
            Upsampling::FancyBoth => fancy_both(near, far, sums, expanded),
            Upsampling::Box { across, .. } => repeat(near, across, expanded),
        }
        expanded
    }
}
