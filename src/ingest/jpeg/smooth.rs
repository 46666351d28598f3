//! Block smoothing: estimates the low frequencies that an unfinished progressive file lacks from the DC values around.

use super::coefficients::{Block, BlockPlane};
use super::error::JpegError;
use super::frame::{Coding, Component, Frame};
use super::scan::{Method, Scan};
use super::tables::{Quantizer, ZIGZAG};

/// DC and the nine AC coefficients that are estimated, in zigzag order.
const ESTIMATED: usize = 10;

/// Per component and zigzag position, how many low bits are still to come; none before the first scan.
#[derive(Debug)]
pub(super) struct Progress {
    missing_bits: Vec<[Option<u32>; 64]>,
}

impl Progress {
    pub(super) fn new(frame: &Frame) -> Self {
        Self { missing_bits: vec![[None; 64]; frame.components.len()] }
    }

    /// Notes what a scan brings; an error if a sequential one brings a component again.
    pub(super) fn record(&mut self, scan: &Scan) -> Result<(), JpegError> {
        let (band, low) = match scan.method {
            Method::Sequential => (0..=63, 0),
            Method::DcFirst { low } | Method::DcRefine { low } => (0..=0, low),
            Method::AcFirst { band } | Method::AcRefine { band } => (band.first..=band.last, band.low),
        };
        for part in &scan.components {
            let Some(missing) = self.missing_bits.get_mut(part.index) else { continue };
            if matches!(scan.method, Method::Sequential) && missing[0].is_some() {
                return Err(JpegError::Corrupt { problem: "a component has two scans" });
            }
            missing.get_mut(band.clone()).into_iter().flatten().for_each(|bits| *bits = Some(low));
        }
        Ok(())
    }

    /// An error unless every component has DC values, which is what bounds a picture's size by that of its file.
    pub(super) fn check_complete(&self) -> Result<(), JpegError> {
        let complete = self.missing_bits.iter().all(|bits| bits[0].is_some());
        if complete { Ok(()) } else { Err(JpegError::Corrupt { problem: "a component has no DC scan" }) }
    }

    /// Whether libjpeg smooths this picture.
    pub(super) fn needs_smoothing(&self, frame: &Frame, quantizers: &[Quantizer]) -> bool {
        let zigzag = ZIGZAG.iter().take(ESTIMATED);
        let divisible = |steps: &Quantizer| zigzag.clone().all(|&at| steps.get(usize::from(at)) != Some(&0));
        let inexact = |bits: &[Option<u32>; 64]| bits.iter().take(ESTIMATED).skip(1).any(|&bits| bits != Some(0));
        frame.coding == Coding::Progressive && quantizers.iter().all(divisible) && self.missing_bits.iter().any(inexact)
    }

    /// Fills `smoothed` with the blocks of a strip of component `index`.
    pub(super) fn smooth(
        &self,
        frame: &Frame,
        index: usize,
        strip: usize,
        plane: &BlockPlane,
        steps: &Quantizer,
        smoothed: &mut [Block],
    ) {
        let (Some(component), Some(missing)) = (frame.components.get(index), self.missing_bits.get(index)) else {
            return;
        };
        smoothed.copy_from_slice(plane.strip(strip));
        let estimates = Estimates::new(missing, steps);
        for (row, blocks) in smoothed.chunks_exact_mut(plane.stride()).take(component.block_rows(strip)).enumerate() {
            let window = neighbours(frame, component, strip, row).map(|row| plane.row(row));
            for (column, block) in blocks.iter_mut().take(component.blocks_wide).enumerate() {
                let dc = window.map(|row| dc_around(row, column, component.blocks_wide - 1));
                estimates.apply(dc.as_flattened(), block);
            }
        }
    }
}

/// The block rows around row `row` of a strip. At the picture's end this counts as libjpeg does, whose last strip takes
/// all strips to be as high as itself.
fn neighbours(frame: &Frame, component: &Component, strip: usize, row: usize) -> [usize; 5] {
    let rows = component.block_rows(strip);
    let (here, position, end) = (strip * component.v + row, strip * rows + row, rows * frame.mcus_high());
    let above = if position > 0 { here - 1 } else { here };
    let below = if position + 1 < end { here + 1 } else { here };
    let far_above = if position > 1 { here - 2 } else { above };
    let far_below = if position + 2 < end { here + 2 } else { below };
    [far_above, above, here, below, far_below]
}

fn dc_around(row: &[Block], column: usize, last: usize) -> [i32; 5] {
    std::array::from_fn(|offset| {
        let column = (column + offset).saturating_sub(2).min(last);
        row.get(column).map_or(0, |block| i32::from(block[0]))
    })
}

/// The estimates of one component: what each coefficient is worth in terms of 5 × 5 DC values.
struct Estimates<'a> {
    kernels: &'static [Kernel],
    missing: &'a [Option<u32>; 64],
    steps: &'a Quantizer,
}

/// Weights, in 1/256, of the DC values around a block.
type Kernel = [i32; 25];

impl<'a> Estimates<'a> {
    fn new(missing: &'a [Option<u32>; 64], steps: &'a Quantizer) -> Self {
        let only_dc = missing.iter().take(ESTIMATED).skip(1).all(Option::is_none);
        let kernels: &[Kernel] = if only_dc { &FROM_DC_ALONE } else { &BESIDE_OTHERS };
        Self { kernels, missing, steps }
    }

    fn apply(&self, dc: &[i32], block: &mut Block) {
        let dc_step = i64::from(self.steps[0]);
        for ((at, kernel), (&natural, &missing)) in self.kernels.iter().enumerate().zip(ZIGZAG.iter().zip(self.missing))
        {
            let natural = usize::from(natural);
            let (Some(value), Some(&step)) = (block.get_mut(natural), self.steps.get(natural)) else { continue };
            // The smoothing of DC itself comes last in libjpeg, but reads nothing that was written here.
            if at > 0 && (missing == Some(0) || *value != 0) {
                continue;
            }
            if at == 0 && self.kernels.len() < ESTIMATED {
                continue;
            }
            let sum: i32 = kernel.iter().zip(dc).map(|(weight, dc)| weight * dc).sum();
            let limit = missing.filter(|&bits| at > 0 && bits > 0).map_or(i64::MAX, |bits| (1 << bits) - 1);
            *value = estimate(dc_step * i64::from(sum), i64::from(step), limit);
        }
    }
}

/// `scaled` / 256 in quantisation steps, rounded, and no more than the missing bits can hold.
fn estimate(scaled: i64, step: i64, limit: i64) -> i16 {
    let magnitude = (((step << 7) + scaled.abs()) / (step << 8)).min(limit);
    (if scaled < 0 { -magnitude } else { magnitude }) as i16
}

/// Where no AC coefficient is known at all; DC is smoothed too.
#[rustfmt::skip]
static FROM_DC_ALONE: [Kernel; ESTIMATED] = [
    [-2, -6, -8, -6, -2, -6, 6, 42, 6, -6, -8, 42, 152, 42, -8, -6, 6, 42, 6, -6, -2, -6, -8, -6, -2],
    [-1, -1, 0, 1, 1, -3, 13, 0, -13, 3, -3, 38, 0, -38, 3, -3, 13, 0, -13, 3, -1, -1, 0, 1, 1],
    [-1, -3, -3, -3, -1, -1, 13, 38, 13, -1, 0, 0, 0, 0, 0, 1, -13, -38, -13, 1, 1, 3, 3, 3, 1],
    [0, 0, 1, 0, 0, 0, 2, 7, 2, 0, 0, -5, -14, -5, 0, 0, 2, 7, 2, 0, 0, 0, 1, 0, 0],
    [-1, 0, 0, 0, 1, 0, 9, 0, -9, 0, 0, 0, 0, 0, 0, 0, -9, 0, 9, 0, 1, 0, 0, 0, -1],
    [0, 0, 0, 0, 0, 0, 2, -5, 2, 0, 1, 7, -14, 7, 1, 0, 2, -5, 2, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 1, 0, -1, 0, 0, 2, 0, -2, 0, 0, 1, 0, -1, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 1, -3, 1, 0, 0, 0, 0, 0, 0, 0, -1, 3, -1, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 1, 0, -1, 0, 0, -3, 0, 3, 0, 0, 1, 0, -1, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 1, 2, 1, 0, 0, 0, 0, 0, 0, 0, -1, -2, -1, 0, 0, 0, 0, 0, 0],
];

/// Where some are known; the first kernel is not used.
#[rustfmt::skip]
static BESIDE_OTHERS: [Kernel; 6] = [
    [0; 25],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -7, 50, 0, -50, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, -7, 0, 0, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, -50, 0, 0, 0, 0, 7, 0, 0],
    [0, 0, -1, 0, 0, 0, 0, 13, 0, 0, 0, 0, -24, 0, 0, 0, 0, 13, 0, 0, 0, 0, -1, 0, 0],
    [0, -1, 0, 1, 0, -1, 10, 0, -10, 1, 0, 0, 0, 0, 0, 1, -10, 0, 10, -1, 0, 1, 0, -1, 0],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, 13, -24, 13, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
];
