//! From a component's samples to one row of the picture's width, as libjpeg-turbo's "fancy" upsampling does it.

use super::frame::{Component, Frame};

/// How a component is brought to full size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upsampling {
    None,
    /// Triangle filter across, down or both, where the component has half the samples.
    FancyAcross,
    FancyDown,
    FancyBoth,
    /// Every sample repeated `across` times, and every row `down` times.
    Box {
        across: usize,
        down: usize,
    },
}

impl Upsampling {
    pub(super) fn of(component: &Component, frame: &Frame) -> Self {
        let (across, down) = (frame.max_h / component.h, frame.max_v / component.v);
        // The filter needs two neighbours; libjpeg leaves narrower components to the box.
        match (across, down) {
            (1, 1) => Self::None,
            (2, 1) if component.width > 2 => Self::FancyAcross,
            (1, 2) => Self::FancyDown,
            (2, 2) if component.width > 2 => Self::FancyBoth,
            _ => Self::Box { across, down },
        }
    }

    /// Samples that count beside those under a pixel, on either side.
    pub(super) fn margin_across(self) -> usize {
        match self {
            Self::FancyAcross | Self::FancyBoth => 1,
            Self::None | Self::FancyDown | Self::Box { .. } => 0,
        }
    }

    /// The rows of samples that row `y` of the picture is made of: the nearer one, and the one on its other side.
    #[inline(always)]
    pub(super) fn source_rows(self, y: usize) -> (usize, usize) {
        match self {
            Self::None | Self::FancyAcross => (y, y),
            Self::FancyDown | Self::FancyBoth => {
                let near = y / 2;
                (near, if y.is_multiple_of(2) { near.saturating_sub(1) } else { near + 1 })
            }
            Self::Box { down, .. } => (y / down, y / down),
        }
    }
}

/// Twice as many samples, each 3/4 of the nearer and 1/4 of the further one.
#[inline(always)]
pub(super) fn fancy_across(input: &[u8], output: &mut [u8]) {
    let ([first, ..], [.., last]) = (input, input) else { return };
    let Some(([start, middle @ ..], end)) =
        output.get_mut(..2 * input.len()).and_then(|output| output.split_last_mut().map(|(end, rest)| (rest, end)))
    else {
        return;
    };
    (*start, *end) = (*first, *last);
    let pairs = input.iter().zip(input.get(1..).unwrap_or_default());
    // Rounding alternates so that the halves cancel out.
    for ([left, right], (&a, &b)) in middle.as_chunks_mut::<2>().0.iter_mut().zip(pairs) {
        let (a, b) = (u16::from(a), u16::from(b));
        *left = ((3 * a + b + 2) >> 2) as u8;
        *right = ((3 * b + a + 1) >> 2) as u8;
    }
}

/// A row between two others: 3/4 of the nearer one. `y` is the row's position in the picture.
#[inline(always)]
pub(super) fn fancy_down(near: &[u8], far: &[u8], y: usize, output: &mut [u8]) {
    let rounding = if y.is_multiple_of(2) { 1 } else { 2 };
    for (output, (&near, &far)) in output.iter_mut().zip(near.iter().zip(far)) {
        *output = ((3 * u16::from(near) + u16::from(far) + rounding) >> 2) as u8;
    }
}

/// Both at once, rounded once. `sums` holds at least as many values as a row has samples.
#[inline(always)]
pub(super) fn fancy_both(near: &[u8], far: &[u8], sums: &mut [u16], output: &mut [u8]) {
    for (sum, (&near, &far)) in sums.iter_mut().zip(near.iter().zip(far)) {
        *sum = 3 * u16::from(near) + u16::from(far);
    }
    let sums = sums.get(..near.len()).unwrap_or_default();
    let ([first, ..], [.., last]) = (sums, sums) else { return };
    let Some(([start, middle @ ..], end)) =
        output.get_mut(..2 * sums.len()).and_then(|output| output.split_last_mut().map(|(end, rest)| (rest, end)))
    else {
        return;
    };
    *start = ((4 * first + 8) >> 4) as u8;
    *end = ((4 * last + 7) >> 4) as u8;
    let pairs = sums.iter().zip(sums.get(1..).unwrap_or_default());
    for ([left, right], (&a, &b)) in middle.as_chunks_mut::<2>().0.iter_mut().zip(pairs) {
        *left = ((3 * a + b + 7) >> 4) as u8;
        *right = ((3 * b + a + 8) >> 4) as u8;
    }
}

#[inline(always)]
pub(super) fn repeat(input: &[u8], times: usize, output: &mut [u8]) {
    for (same, &sample) in output.chunks_exact_mut(times).zip(input) {
        same.fill(sample);
    }
}
