//! Activations, softmax and layer normalisation over plain slices, written so that the compiler vectorises them.
//!
//! Call them inside [`super::kernel::vectorized`]. Sums run in sixteen lanes whatever the processor, so that results
//! are the same on each.
#![expect(clippy::many_single_char_names, reason = "as in the formulas")]
#![expect(clippy::inline_always, reason = "a kernel gets the vectors of the function that it is inlined into")]

/// The function after a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    Identity,
    /// `x · sigmoid(1.702 x)`, as in CLIP.
    QuickGelu,
    /// `x · Φ(x)` with the error function, as in BERT.
    Gelu,
}

impl Activation {
    #[inline(always)]
    pub(super) fn apply(self, values: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::QuickGelu => values.iter_mut().for_each(|x| *x /= 1.0 + exp(-1.702 * *x)),
            Self::Gelu => values.iter_mut().for_each(|x| *x *= 0.5 * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2))),
        }
    }
}

/// Replaces scores by `softmax(scale · scores)`.
#[inline(always)]
pub(super) fn softmax(scores: &mut [f32], scale: f32) {
    let largest = scores.iter().fold(f32::NEG_INFINITY, |largest, x| if *x > largest { *x } else { largest });
    scores.iter_mut().for_each(|x| *x = exp((*x - largest) * scale));
    let inverse = 1.0 / sum(scores);
    scores.iter_mut().for_each(|x| *x *= inverse);
}

/// Layer normalisation of one row in place, with the biased variance.
#[inline(always)]
pub(super) fn layer_norm(row: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    let count = row.len() as f32;
    let mean = sum(row) / count;
    row.iter_mut().for_each(|x| *x -= mean);
    let variance = sum_by(row, |x| x * x) / count;
    let inverse = 1.0 / (variance + epsilon).sqrt();
    row.iter_mut().zip(weight.iter().zip(bias)).for_each(|(x, (weight, bias))| *x = *x * inverse * weight + bias);
}

#[inline(always)]
fn sum(values: &[f32]) -> f32 {
    sum_by(values, |x| x)
}

#[inline(always)]
fn sum_by(values: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let (whole, rest) = values.as_chunks::<16>();
    let mut lanes = [0.0f32; 16];
    for chunk in whole {
        lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane += term(*x));
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, x)| *lane += term(*x));
    for width in [8, 4, 2, 1] {
        let (low, high) = lanes.split_at_mut(width);
        low.iter_mut().zip(high).for_each(|(low, high)| *low += *high);
    }
    lanes[0]
}

/// e^x within two units of the last place: x = n ln 2 + r, and a polynomial in r (Cephes' `expf`).
#[inline(always)]
fn exp(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = x - n * 0.693_359_4;
    let r = r + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 5e-1;
    let e = p * r * r + r + 1.0;
    // The low bits of `shifted` hold n; added to the exponent they multiply by 2^n.
    f32::from_bits(e.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// The error function as a ratio of polynomials on [-4, 4], the approximation of XLA and Eigen.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = if x < -4.0 { -4.0 } else { x };
    let x = if x > 4.0 { 4.0 } else { x };
    let y = x * x;
    let p = -2.726_142_3e-10;
    let p = p * y + 2.770_681_4e-8;
    let p = p * y - 2.101_024e-6;
    let p = p * y - 5.692_506_5e-5;
    let p = p * y - 7.349_906e-4;
    let p = p * y - 2.954_6e-3;
    let p = p * y - 1.609_603_3e-2;
    let q = -1.456_607_2e-5;
    let q = q * y - 2.133_740_6e-4;
    let q = q * y - 1.682_827e-3;
    let q = q * y - 7.373_329e-3;
    let q = q * y - 1.426_473_9e-2;
    x * p / q
}

#[cfg(test)]
mod tests {
    use super::*;

    /// erf by its Maclaurin series in 64 bits.
    fn exact_erf(x: f64) -> f64 {
        let mut term = x;
        let mut total = x;
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            total += term / f64::from(2 * n + 1);
        }
        total * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn exp_and_erf_are_within_a_few_units_of_the_last_place() {
        for step in -3_000..=3_000 {
            let x = step as f32 / 1_000.0;
            let (e, f) = (f64::from(exp(x * 20.0)), f64::from(erf(x)));
            let exact = f64::from(x * 20.0).exp();
            assert!((e - exact).abs() <= 3e-7 * exact, "exp({}) = {e}", x * 20.0);
            assert!((f - exact_erf(f64::from(x))).abs() <= 4e-7, "erf({x}) = {f}");
        }
        assert_eq!(exp(-10_000.0), exp(-87.0));
    }

    #[test]
    fn a_norm_has_mean_zero_and_variance_one_and_a_softmax_sums_to_one() {
        let mut row: Vec<f32> = (0..77).map(|i| (i * i % 31) as f32).collect();
        layer_norm(&mut row, &[1.0; 77], &[0.0; 77], 1e-5);
        assert!(sum(&row).abs() < 1e-4 && (sum_by(&row, |x| x * x) / 77.0 - 1.0).abs() < 1e-4);
        softmax(&mut row, 0.5);
        assert!((sum(&row) - 1.0).abs() < 1e-6);
    }
}
