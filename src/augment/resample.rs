//! Pillow's resampling, bit for bit. The order of the two passes shows in the last bits, and more where a filter
//! overshoots; it is that of Pillow 13.
use std::cell::RefCell;
use std::mem;

use super::Interpolation;
use super::planes::Planes;
use super::weights::{PRECISION_BITS, Weights};
use crate::ingest::RowSink;
use crate::model::vectorized;

/// Rows that a pass across works on at a time, side by side in the lanes of a vector.
const LANES: usize = 16;
/// Values that a pass down works on at a time.
const CHUNK: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Axis {
    Across,
    Down,
}

/// The passes of a resize, in order.
fn passes(from: (u32, u32), to: (u32, u32)) -> Vec<Axis> {
    // Pillow saves work where many more rows than columns go.
    let (rows, columns) = (from.1.saturating_sub(to.1), from.0.saturating_sub(to.0));
    let order =
        if u64::from(rows) > 2 * u64::from(columns) { [Axis::Down, Axis::Across] } else { [Axis::Across, Axis::Down] };
    let needed = |axis: &Axis| match axis {
        Axis::Across => from.0 != to.0,
        Axis::Down => from.1 != to.1,
    };
    order.into_iter().filter(needed).collect()
}

/// Resizes rows as they come, eight bits a channel; a pass across that comes first is done on the way.
#[derive(Debug)]
pub(super) struct Resizer {
    to: (u32, u32),
    /// Those that are left for when all rows have come.
    passes: Vec<Axis>,
    across: Weights<i32>,
    down: Weights<i32>,
    /// The pass across, if it comes first.
    first: Option<AcrossPass>,
    waiting: Vec<Plane>,
    rows: usize,
    done: Vec<Plane>,
}

/// One channel, every row as long as the stride. What no row was set to is of no account.
#[derive(Debug)]
struct Plane {
    stride: usize,
    values: Vec<u8>,
}

thread_local! {
    /// Memory of planes that are gone, a few of them, for the next: fresh pages cost as much as filling them.
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}
const MAX_SPARE: usize = 8;
const MAX_SPARE_BYTES: usize = 1 << 20;

impl Drop for Plane {
    fn drop(&mut self) {
        let values = mem::take(&mut self.values);
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < MAX_SPARE && values.capacity() <= MAX_SPARE_BYTES {
                spare.push(values);
            }
        });
    }
}

impl Plane {
    fn new(width: usize, height: usize) -> Self {
        let stride = width.max(1).next_multiple_of(CHUNK);
        Self::with_stride(stride, height)
    }

    fn with_stride(stride: usize, height: usize) -> Self {
        let mut values = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
        values.resize(stride * height, 0);
        Self { stride, values }
    }

    #[inline(always)]
    fn set_row(&mut self, row: usize, values: &[u8]) {
        if let Some(target) = self.values.get_mut(row * self.stride..).and_then(|rest| rest.get_mut(..values.len())) {
            target.copy_from_slice(values);
        }
    }
}

impl Resizer {
    /// Sizes as width and height, at least 1.
    pub(super) fn new(channels: usize, from: (u32, u32), to: (u32, u32), interpolation: Interpolation) -> Self {
        let mut passes = passes(from, to);
        let (across, down) = vectorized(
            #[inline(always)]
            || {
                let across = Weights::new(from.0, to.0, interpolation).fixed();
                (across, Weights::new(from.1, to.1, interpolation).fixed())
            },
        );
        let streams = passes.first() == Some(&Axis::Across);
        if streams {
            passes.remove(0);
        }
        let planes = |width, height| (0..channels).map(|_| Plane::new(width, height)).collect();
        let (width, waiting) = if streams { (to.0, LANES) } else { (from.0, 0) };
        Self {
            to,
            passes,
            across,
            down,
            first: streams.then(|| AcrossPass::new(from.0 as usize, to.0 as usize)),
            waiting: planes(from.0 as usize, waiting),
            rows: 0,
            done: planes(width as usize, (from.1 as usize).next_multiple_of(LANES)),
        }
    }

    /// The resized picture; all its rows must have come.
    pub(super) fn finish(mut self) -> Planes {
        let to = (self.to.0 as usize, self.to.1 as usize);
        vectorized(
            #[inline(always)]
            || {
                if !self.rows.is_multiple_of(LANES) {
                    self.pass_across();
                }
                let mut planes = Planes::new(self.done.len(), self.to.0, self.to.1);
                for (plane, target) in self.done.iter_mut().zip(planes.iter_mut()) {
                    for pass in &self.passes {
                        *plane = match pass {
                            Axis::Across => across(plane, to, &self.across),
                            Axis::Down => down(plane, &self.down),
                        };
                    }
                    for (target, row) in
                        target.chunks_exact_mut(to.0.max(1)).zip(plane.values.chunks_exact(plane.stride))
                    {
                        target.copy_from_slice(row.get(..to.0).unwrap_or_default());
                    }
                }
                planes
            },
        )
    }

    #[inline(always)]
    fn pass_across(&mut self) {
        let Some(pass) = &mut self.first else { return };
        let top = (self.rows - 1) / LANES * LANES;
        for (plane, done) in self.waiting.iter().zip(&mut self.done) {
            let rows = done.values.get_mut(top * done.stride..).unwrap_or_default();
            pass.run(&plane.values, plane.stride, &self.across, rows, done.stride);
        }
    }
}

impl RowSink for Resizer {
    #[inline(always)]
    fn row(&mut self, channels: &[&[u8]]) {
        let streams = self.first.is_some();
        let (planes, row) = if streams { (&mut self.waiting, self.rows % LANES) } else { (&mut self.done, self.rows) };
        for (plane, channel) in planes.iter_mut().zip(channels) {
            plane.set_row(row, channel);
        }
        self.rows += 1;
        if streams && self.rows.is_multiple_of(LANES) {
            self.pass_across();
        }
    }
}

/// Room for a block of rows turned into columns, before and after.
#[derive(Debug)]
struct AcrossPass {
    columns: Vec<[u8; LANES]>,
    resized: Vec<[u8; LANES]>,
}

impl AcrossPass {
    fn new(from: usize, to: usize) -> Self {
        let room = |columns: usize| vec![[0; LANES]; columns.next_multiple_of(CHUNK)];
        Self { columns: room(from), resized: room(to) }
    }

    /// Resizes a block of rows.
    #[inline(always)]
    fn run(&mut self, rows: &[u8], stride: usize, weights: &Weights<i32>, out: &mut [u8], out_stride: usize) {
        for (at, square) in (0..).step_by(LANES).zip(self.columns.as_chunks_mut::<LANES>().0) {
            for (lane, row) in square.iter_mut().zip(rows.chunks_exact(stride)) {
                if let Some(values) = row.get(at..).and_then(|rest| rest.first_chunk()) {
                    *lane = *values;
                }
            }
            transpose(square);
        }
        for (resized, (first, span)) in self.resized.iter_mut().zip(weights.spans()) {
            let columns = self.columns.get(first..first + span.len()).unwrap_or_default();
            let mut sums = [HALF; LANES];
            for (column, weight) in columns.iter().zip(span) {
                for (sum, value) in sums.iter_mut().zip(column) {
                    *sum += i32::from(*value) * weight;
                }
            }
            resized.iter_mut().zip(&sums).for_each(|(out, sum)| *out = clip(*sum));
        }
        for (at, square) in (0..).step_by(LANES).zip(self.resized.as_chunks_mut::<LANES>().0) {
            transpose(square);
            for (lane, row) in square.iter().zip(out.chunks_exact_mut(out_stride)) {
                if let Some(values) = row.get_mut(at..at + LANES) {
                    values.copy_from_slice(lane);
                }
            }
        }
    }
}

/// Exchanges rows and columns: interleaving the halves moves the first of the eight bits of a value's position to the
/// end, so that four times exchange the two.
#[inline(always)]
fn transpose(square: &mut [[u8; LANES]; LANES]) {
    for _ in 0..4 {
        let from = *square;
        let (low, high) = from.split_at(LANES / 2);
        let halves = low.as_flattened().iter().zip(high.as_flattened());
        for (pair, (&low, &high)) in square.as_flattened_mut().as_chunks_mut::<2>().0.iter_mut().zip(halves) {
            *pair = [low, high];
        }
    }
}

/// The pass across where it comes second.
#[inline(always)]
fn across(plane: &Plane, to: (usize, usize), weights: &Weights<i32>) -> Plane {
    let mut pass = AcrossPass::new(plane.stride, to.0);
    let mut out = Plane::new(to.0, to.1.next_multiple_of(LANES));
    let mut rows = plane.values.clone();
    rows.resize(plane.stride * to.1.next_multiple_of(LANES), 0);
    let blocks = rows.chunks_exact(LANES * plane.stride);
    for (rows, out_rows) in blocks.zip(out.values.chunks_exact_mut(LANES * out.stride)) {
        pass.run(rows, plane.stride, weights, out_rows, out.stride);
    }
    out
}

#[inline(always)]
fn down(plane: &Plane, weights: &Weights<i32>) -> Plane {
    let mut out = Plane::with_stride(plane.stride, weights.len());
    for ((first, span), row) in weights.spans().zip(out.values.chunks_exact_mut(plane.stride)) {
        let rows = plane.values.get(first * plane.stride..).unwrap_or_default();
        for (chunk, out) in row.as_chunks_mut::<CHUNK>().0.iter_mut().enumerate() {
            let mut sums = [HALF; CHUNK];
            for (row, weight) in rows.chunks_exact(plane.stride).zip(span) {
                let Some(values) = row.get(chunk * CHUNK..).and_then(|rest| rest.first_chunk::<CHUNK>()) else { break };
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += i32::from(*value) * weight;
                }
            }
            out.iter_mut().zip(&sums).for_each(|(out, sum)| *out = clip(*sum));
        }
    }
    out
}

const HALF: i32 = 1 << (PRECISION_BITS - 1);

#[inline(always)]
fn clip(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// Eight bits a channel, interleaved; `from` and `to` as width and height.
pub(super) fn resample(
    pixels: &[u8],
    from: (u32, u32),
    to: (u32, u32),
    channels: usize,
    interpolation: Interpolation,
) -> Vec<u8> {
    let mut resizer = Resizer::new(channels, from, to, interpolation);
    let mut rows = vec![vec![0; from.0 as usize]; channels];
    for pixels in pixels.chunks_exact((from.0 as usize * channels).max(1)) {
        vectorized(
            #[inline(always)]
            || {
                for (channel, row) in rows.iter_mut().enumerate() {
                    row.iter_mut()
                        .zip(pixels.iter().skip(channel).step_by(channels))
                        .for_each(|(to, from)| *to = *from);
                }
                let slices: [&[u8]; 4] = std::array::from_fn(|at| rows.get(at).map_or(&[][..], Vec::as_slice));
                resizer.row(slices.get(..channels).unwrap_or_default());
            },
        );
    }
    resizer.finish().interleaved()
}

/// One channel of sixteen bits: sums in 64-bit floats, rounded and clipped after each pass.
pub(super) fn resample_16(
    mut pixels: Vec<u16>,
    from: (u32, u32),
    to: (u32, u32),
    interpolation: Interpolation,
) -> Vec<u16> {
    let pass = |pixels: &[u16], input: u32, output: u32| -> Vec<u16> {
        let weights = Weights::new(input, output, interpolation);
        let row = |row: &[u16]| -> Vec<u16> {
            let value = |(first, span): (usize, &[f64])| {
                let products = row.iter().skip(first).zip(span).map(|(value, weight)| f64::from(*value) * weight);
                products.fold(0.0, |sum, product| sum + product).round().clamp(0.0, 65_535.0) as u16
            };
            weights.spans().map(value).collect()
        };
        pixels.chunks(input.max(1) as usize).flat_map(row).collect()
    };
    let mut width = from.0 as usize;
    for axis in passes(from, to) {
        pixels = match axis {
            Axis::Across => {
                width = to.0 as usize;
                pass(&pixels, from.0, to.0)
            }
            Axis::Down => columns_of(&pass(&columns_of(&pixels, width), from.1, to.1), to.1 as usize),
        };
    }
    pixels
}

/// Rows of `width` values turned into columns.
fn columns_of(values: &[u16], width: usize) -> Vec<u16> {
    (0..width).flat_map(|column| values.iter().skip(column).step_by(width)).copied().collect()
}

/// The nearest pixel of `bytes` bytes each; the place in the source is a running sum, as in Pillow's affine transform.
pub(super) fn nearest(pixels: &[u8], from: (u32, u32), to: (u32, u32), bytes: usize) -> Vec<u8> {
    let places = |input: u32, output: u32| -> Vec<usize> {
        let step = f64::from(input) / f64::from(output);
        let mut at = step * 0.5;
        let mut next = || {
            let place = (at as usize).min(input.saturating_sub(1) as usize);
            at += step;
            place
        };
        (0..output).map(|_| next()).collect()
    };
    let columns = places(from.0, to.0);
    let mut out = Vec::with_capacity(to.0 as usize * to.1 as usize * bytes);
    for row in places(from.1, to.1) {
        let row = pixels.get(row * from.0 as usize * bytes..).unwrap_or_default();
        columns.iter().for_each(|column| out.extend(row.iter().skip(column * bytes).take(bytes)));
    }
    out
}
