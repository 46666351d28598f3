//! Inner products of two vectors, in 32 bits and in 64.
#![expect(clippy::inline_always, reason = "a loop gets the vectors of the function that it is inlined into")]
use crate::model::cpu::InLanes;

/// Inner product in 32 bits, sixteen sums side by side; for estimates.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    Dot(a, b).run()
}

/// Two vectors.
struct Dot<'a>(&'a [f32], &'a [f32]);

impl InLanes for Dot<'_> {
    type Out = f32;

    #[inline(always)]
    fn body(self) -> f32 {
        let Self(a, b) = self;
        let mut sums = [0.0f32; 16];
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
        for (a, b) in a.iter().zip(b) {
            (0..16).for_each(|lane| sums[lane] += a[lane] * b[lane]);
        }
        let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
        sums.iter().sum::<f32>() + rest
    }
}

/// Inner product in 64 bits, eight sums side by side.
pub fn dot_f64(a: &[f32], b: &[f32]) -> f64 {
    DotF64(a, b).run()
}

/// Two vectors.
struct DotF64<'a>(&'a [f32], &'a [f32]);

impl InLanes for DotF64<'_> {
    type Out = f64;

    #[inline(always)]
    fn body(self) -> f64 {
        let Self(a, b) = self;
        let mut sums = [0.0f64; 8];
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
        for (a, b) in a.iter().zip(b) {
            (0..8).for_each(|lane| sums[lane] += f64::from(a[lane]) * f64::from(b[lane]));
        }
        let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        sums.iter().sum::<f64>() + rest
    }
}
