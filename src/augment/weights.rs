//! The weights of Pillow's filters: separable, and widened when shrinking.
use super::Interpolation;

/// Bits of the fraction of 8-bit pictures' weights.
pub(super) const PRECISION_BITS: u32 = 22;

/// For every output position the first input position and as many weights as the widest span has, which sum to one; what a
/// span does not use is zero.
#[derive(Debug)]
pub(super) struct Weights<T> {
    firsts: Vec<usize>,
    taps: usize,
    weights: Vec<T>,
}

impl<T> Weights<T> {
    /// First input position and weights of every output position.
    #[inline(always)]
    pub(super) fn spans(&self) -> impl Iterator<Item = (usize, &[T])> {
        self.firsts.iter().copied().zip(self.weights.chunks_exact(self.taps))
    }

    /// Output positions.
    pub(super) fn len(&self) -> usize {
        self.firsts.len()
    }
}

impl Weights<f64> {
    /// Both sizes are at least 1. The arithmetic is that of Pillow's `precompute_coeffs`.
    #[inline(always)]
    pub(super) fn new(input: u32, output: u32, interpolation: Interpolation) -> Self {
        let scale = f64::from(input) / f64::from(output);
        let widened = scale.max(1.0);
        let support = interpolation.support() * widened;
        let narrowed = 1.0 / widened;
        let center = |position: usize| (position as f64 + 0.5) * scale;
        let start = |position: usize| (center(position) - support + 0.5).max(0.0) as usize;
        let end = |position: usize| ((center(position) + support + 0.5) as usize).min(input as usize);
        let positions = 0..output as usize;
        let taps = positions.clone().map(|position| end(position) - start(position)).max().unwrap_or(1).max(1);
        let mut weights = vec![0.0; taps * output as usize];
        let mut firsts = Vec::with_capacity(output as usize);
        for (position, weights) in positions.zip(weights.chunks_exact_mut(taps)) {
            let (first, end, center) = (start(position), end(position), center(position));
            // Not beyond the last input position, so that all taps can be read.
            let shifted = first.min((input as usize).saturating_sub(taps));
            let Some(span) = weights.get_mut(first - shifted..end - shifted) else { continue };
            for (offset, weight) in span.iter_mut().enumerate() {
                *weight = interpolation.weight(((first + offset) as f64 - center + 0.5) * narrowed);
            }
            let sum: f64 = span.iter().sum();
            span.iter_mut().for_each(|weight| *weight /= sum);
            firsts.push(shifted);
        }
        Self { firsts, taps, weights }
    }

    /// In units of 2 to the -[`PRECISION_BITS`], rounded.
    #[inline(always)]
    pub(super) fn fixed(self) -> Weights<i32> {
        let fixed = |weight: f64| {
            let scaled = weight * f64::from(1u32 << PRECISION_BITS);
            (scaled + 0.5_f64.copysign(scaled)) as i32
        };
        Weights { firsts: self.firsts, taps: self.taps, weights: self.weights.into_iter().map(fixed).collect() }
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
    #[inline(always)]
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
