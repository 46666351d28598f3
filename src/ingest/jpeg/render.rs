//! Turns strips of coefficients into rows of channels.

use std::ops::Range;

use super::coefficients::BlockPlane;
use super::color::ColorConverter;
use super::frame::{ColorSpace, Component, Frame, MAX_COMPONENTS};
use super::idct::{BATCH, Steps, Workspace};
use super::tables::Quantizer;
use super::upsample::{Upsampling, fancy_across, fancy_both, fancy_down, repeat};
use super::window::Window;
use crate::model::vectorized;

/// Takes the rows of a picture, from the top.
pub trait RowSink {
    /// A row of each channel, all equally long; inlined where it should be compiled for the processor's vectors.
    fn row(&mut self, channels: &[&[u8]]);
}

/// The pixels of a window, growing from the top.
#[derive(Debug)]
pub(super) struct Renderer<'a> {
    frame: &'a Frame,
    window: Window,
    planes: Vec<SamplePlane<'a>>,
    workspace: Workspace,
    converter: ColorConverter,
    rows_done: usize,
}

/// A strip of one component's samples, below the last two row groups of the strip above.
#[derive(Debug)]
struct SamplePlane<'a> {
    component: &'a Component,
    steps: Steps,
    upsampling: Upsampling,
    /// The component's samples that the window needs.
    columns: Range<usize>,
    rows: Range<usize>,
    /// Begins with the first sample of the block that holds the first column.
    samples: Vec<u8>,
    stride: usize,
    /// The component's row that the strip begins with.
    first_row: usize,
    /// Where the window begins in what the columns are expanded to.
    margin: usize,
    expanded: Vec<u8>,
    sums: Vec<u16>,
}

impl<'a> Renderer<'a> {
    pub(super) fn new(frame: &'a Frame, space: ColorSpace, quantizers: &[Quantizer], window: Window) -> Self {
        let planes = frame.components.iter().zip(quantizers);
        Self {
            frame,
            planes: planes.map(|(component, steps)| SamplePlane::new(frame, component, steps, &window)).collect(),
            workspace: Workspace::new(),
            converter: ColorConverter::new(space, window.columns.len()),
            rows_done: window.rows.start,
            window,
        }
    }

    /// Renders the next strip of blocks. Its last rows wait for the strip below, which their chroma depends on.
    pub(super) fn strip(&mut self, strip: usize, blocks: &[BlockPlane], sink: &mut impl RowSink) {
        let is_last = strip + 1 >= self.frame.mcus_high();
        let end = if is_last { self.frame.height } else { (strip * 8 + 7) * self.frame.max_v };
        vectorized(
            #[inline(always)]
            || {
                for (plane, blocks) in self.planes.iter_mut().zip(blocks) {
                    plane.begin_strip(strip);
                    plane.transform(strip, blocks, &mut self.workspace);
                }
                self.emit(end.min(self.window.rows.end), sink);
            },
        );
    }

    #[inline(always)]
    fn emit(&mut self, end: usize, sink: &mut impl RowSink) {
        let count = self.planes.len();
        for y in self.rows_done..end {
            let mut sources: [&[u8]; MAX_COMPONENTS] = [&[]; MAX_COMPONENTS];
            for (source, plane) in sources.iter_mut().zip(&mut self.planes) {
                *source = plane.full_row(y);
            }
            let channels = self.converter.convert(sources);
            sink.row(channels.get(..count).unwrap_or_default());
        }
        self.rows_done = self.rows_done.max(end);
    }

    /// Whether all rows of the window have been emitted.
    pub(super) fn is_finished(&self) -> bool {
        self.rows_done >= self.window.rows.end
    }
}

impl<'a> SamplePlane<'a> {
    fn new(frame: &Frame, component: &'a Component, quantizer: &Quantizer, window: &Window) -> Self {
        let (columns, rows) = (window.sample_columns(component, frame), window.sample_rows(component, frame));
        let stride = (columns.end.div_ceil(8) - columns.start / 8) * 8;
        let across = frame.max_h / component.h;
        Self {
            component,
            steps: quantizer.map(|step| step as i16),
            upsampling: Upsampling::of(component, frame),
            samples: vec![0; stride * component.v * 10],
            stride,
            first_row: 0,
            margin: window.columns.start - columns.start * across,
            expanded: vec![0; columns.len() * across],
            sums: vec![0; columns.len()],
            columns,
            rows,
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
        let first_block = self.columns.start / 8 - blocks.first_column();
        let tops = (self.first_row..).step_by(8);
        for ((blocks, samples), top) in rows_of_blocks.zip(below.chunks_exact_mut(8 * self.stride)).zip(tops) {
            if top >= self.rows.end || top + 8 <= self.rows.start {
                continue;
            }
            let blocks = blocks.get(first_block..first_block + self.stride / 8).unwrap_or_default();
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

    /// The component's part in row `y` of the picture, from the window's first column on and at least as wide as it.
    #[inline(always)]
    fn full_row(&mut self, y: usize) -> &[u8] {
        let Self { component, upsampling, samples, stride, first_row, expanded, sums, columns, margin, .. } = self;
        let sample_row = |row: usize| {
            // The picture's edges are repeated.
            let at = row.min(component.height - 1) + 2 * component.v - *first_row;
            let row = samples.get(at * *stride + columns.start % 8..);
            row.and_then(|rest| rest.get(..columns.len())).unwrap_or_default()
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
        expanded.get(*margin..).unwrap_or_default()
    }
}
