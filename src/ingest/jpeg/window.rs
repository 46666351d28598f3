//! What a part of the picture needs of its components: samples, blocks and MCUs.

use std::ops::Range;

use super::frame::{Component, Frame};
use super::upsample::Upsampling;

/// A part of the picture; both ranges are of pixels, not empty and within the picture.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) columns: Range<usize>,
    pub(super) rows: Range<usize>,
}

impl Window {
    /// The samples across that the upsampling looks at.
    pub(super) fn sample_columns(&self, component: &Component, frame: &Frame) -> Range<usize> {
        let across = frame.max_h / component.h;
        let margin = Upsampling::of(component, frame).margin_across();
        let start = (self.columns.start / across).saturating_sub(margin);
        start..(self.columns.end.div_ceil(across) + margin).min(component.width)
    }

    /// The samples down that the upsampling looks at.
    pub(super) fn sample_rows(&self, component: &Component, frame: &Frame) -> Range<usize> {
        let upsampling = Upsampling::of(component, frame);
        let (first, last) = (upsampling.source_rows(self.rows.start), upsampling.source_rows(self.rows.end - 1));
        let start = first.0.min(first.1);
        // The second row may need one above those of the first.
        let second = upsampling.source_rows(self.rows.start + 1);
        start.min(second.0).min(second.1)..(last.0.max(last.1) + 1).min(component.height)
    }

    /// The columns of MCUs that hold all those samples.
    pub(super) fn mcus(&self, frame: &Frame) -> Range<usize> {
        let of = |component: &Component| {
            let samples = self.sample_columns(component, frame);
            samples.start / (8 * component.h)..samples.end.div_ceil(8 * component.h)
        };
        let all = frame.components.iter().map(of);
        all.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..frame.mcus_wide())
    }

    /// The first strip of MCUs that holds samples of the window.
    pub(super) fn first_strip(&self, frame: &Frame) -> usize {
        let of = |component: &Component| self.sample_rows(component, frame).start / (8 * component.v);
        frame.components.iter().map(of).min().unwrap_or(0)
    }
}
