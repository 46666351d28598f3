//! Pillow's filters, bit for bit: separable and widened when shrinking. The order of the two passes shows in the last bits,
//! and more where a filter overshoots; it is that of Pillow 13.
use super::Interpolation;

/// Bits of the fraction of 8-bit pictures' weights.
const PRECISION_BITS: u32 = 22;

/// For every output position: first input position and weights that sum to one.
struct Weights<T> {
    spans: Vec<(usize, Vec<T>)>,
}

impl Weights<f64> {
    fn new(input: u32, output: u32, interpolation: Interpolation) -> Self {
        let scale = f64::from(input) / f64::from(output);
        let widened = scale.max(1.0);
        let support = interpolation.support() * widened;
        let span = |position: u32| {
            let center = (f64::from(position) + 0.5) * scale;
            let first = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(input as usize);
            let weight = |x| interpolation.weight((x as f64 - center + 0.5) / widened);
            let weights: Vec<f64> = (first..end).map(weight).collect();
            let sum: f64 = weights.iter().sum();
            (first, weights.into_iter().map(|weight| weight / sum).collect())
        };
        Self { spans: (0..output).map(span).collect() }
    }

    fn fixed(self) -> Weights<i32> {
        let spans = self.spans.into_iter();
        Weights { spans: spans.map(|(first, span)| (first, span.into_iter().map(fixed).collect())).collect() }
    }
}

impl Interpolation {
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    /// Bicubic with a = -0.5.
    fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }
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

#[derive(Debug, Clone, Copy)]
enum Axis {
    Across,
    Down,
}

/// Eight bits a channel, `from` and `to` as width and height.
pub(super) fn resample(
    mut pixels: Vec<u8>,
    from: (u32, u32),
    to: (u32, u32),
    channels: usize,
    interpolation: Interpolation,
) -> Vec<u8> {
    let mut width = from.0 as usize;
    for axis in passes(from, to) {
        pixels = match axis {
            Axis::Across => horizontal(&pixels, width, channels, &Weights::new(from.0, to.0, interpolation).fixed()),
            Axis::Down => vertical(&pixels, width * channels, &Weights::new(from.1, to.1, interpolation).fixed()),
        };
        width = if matches!(axis, Axis::Across) { to.0 as usize } else { width };
    }
    pixels
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
            let value = |(first, span): &(usize, Vec<f64>)| {
                let products = row.iter().skip(*first).zip(span).map(|(value, weight)| f64::from(*value) * weight);
                products.fold(0.0, |sum, product| sum + product).round().clamp(0.0, 65_535.0) as u16
            };
            weights.spans.iter().map(value).collect()
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
            Axis::Down => transpose(&pass(&transpose(&pixels, width), from.1, to.1), to.1 as usize),
        };
    }
    pixels
}

/// Rows of `width` values turned into columns.
fn transpose(values: &[u16], width: usize) -> Vec<u16> {
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

fn fixed(weight: f64) -> i32 {
    (weight * f64::from(1u32 << PRECISION_BITS)).round() as i32
}

fn clip(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

fn horizontal(pixels: &[u8], width: usize, channels: usize, weights: &Weights<i32>) -> Vec<u8> {
    let rows = pixels.len() / (width * channels);
    let mut out = Vec::with_capacity(rows * weights.spans.len() * channels);
    for row in pixels.chunks_exact(width * channels) {
        for (first, span) in &weights.spans {
            let mut sums = [1i32 << (PRECISION_BITS - 1); 4];
            let taken = row.chunks_exact(channels).skip(*first);
            for (pixel, weight) in taken.zip(span) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(*value) * weight;
                }
            }
            out.extend(sums.iter().take(channels).map(|sum| clip(*sum)));
        }
    }
    out
}

fn vertical(pixels: &[u8], stride: usize, weights: &Weights<i32>) -> Vec<u8> {
    let mut out = Vec::with_capacity(weights.spans.len() * stride);
    let mut sums = vec![0i32; stride];
    for (first, span) in &weights.spans {
        sums.fill(1 << (PRECISION_BITS - 1));
        for (row, weight) in pixels.chunks_exact(stride).skip(*first).zip(span) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += i32::from(*value) * weight;
            }
        }
        out.extend(sums.iter().map(|sum| clip(*sum)));
    }
    out
}
