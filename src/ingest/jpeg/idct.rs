//! The inverse DCT of libjpeg-turbo's "islow" method, bit for bit as its x86 SIMD code computes it.

use super::coefficients::Block;

/// Quantisation steps as the SIMD code holds them: 16 bits, whose products wrap.
pub(super) type Steps = [i16; 64];
/// Samples of a block, row by row.
pub(super) type Samples = [u8; 64];

/// Blocks transformed at a time. Each step runs over all of them before the next begins: compilers vectorise the loop
/// of one step well, and the steps of one block in a row badly.
pub(super) const BATCH: usize = 8;

const CONST_BITS: u32 = 13;
const PASS1_BITS: u32 = 2;
/// Scale factors of the two passes; the second also divides by 8.
const SHIFT1: u32 = CONST_BITS - PASS1_BITS;
const SHIFT2: u32 = CONST_BITS + PASS1_BITS + 3;

// Constants of the Loeffler-Ligtenberg-Moschytz algorithm, times 2 to the CONST_BITS.
const F_0_298: i32 = 2446;
const F_0_390: i32 = 3196;
const F_0_541: i32 = 4433;
const F_0_765: i32 = 6270;
const F_0_899: i32 = 7373;
const F_1_175: i32 = 9633;
const F_1_501: i32 = 12299;
const F_1_847: i32 = 15137;
const F_1_961: i32 = 16069;
const F_2_053: i32 = 16819;
const F_2_562: i32 = 20995;
const F_3_072: i32 = 25172;

/// What the steps leave to the next.
#[derive(Debug)]
pub(super) struct Workspace {
    values: [[[i16; 64]; BATCH]; 2],
    samples: [[Samples; BATCH]; 2],
}

impl Workspace {
    pub(super) fn new() -> Self {
        Self { values: [[[0; 64]; BATCH]; 2], samples: [[[0; 64]; BATCH]; 2] }
    }

    /// Dequantises and transforms blocks, at most a batch of them; behind theirs, the samples are left from before.
    #[inline(always)]
    pub(super) fn inverse(&mut self, blocks: &[Block], steps: &Steps) -> &[Samples; BATCH] {
        let [values, turned] = &mut self.values;
        let mut beyond = [0; 8];
        for (values, block) in values.iter_mut().zip(blocks) {
            *values = first_pass(block, steps, &mut beyond);
        }
        if beyond.iter().fold(0, |any, &bits| any | bits) != 0 {
            wrap_constant_columns(blocks, steps, values);
        }
        transpose(values, turned);
        let [samples, turned_samples] = &mut self.samples;
        for (samples, values) in samples.iter_mut().zip(&*turned) {
            for (sample, &value) in samples.iter_mut().zip(&pass::<SHIFT2>(values)) {
                *sample = (value.clamp(-128, 127) + 128) as u8;
            }
        }
        transpose(samples, turned_samples);
        turned_samples
    }
}

/// Marks in `beyond` the columns whose top value, times 4, does not fit 16 bits.
#[inline(always)]
fn first_pass(block: &Block, steps: &Steps, beyond: &mut [u16; 8]) -> [i16; 64] {
    let mut values = [0; 64];
    for (value, (&coefficient, &step)) in values.iter_mut().zip(block.iter().zip(steps)) {
        *value = coefficient.wrapping_mul(step);
    }
    for (beyond, &top) in beyond.iter_mut().zip(&values) {
        *beyond |= (top.wrapping_add(1 << 13) as u16) >> 14;
    }
    pass::<SHIFT1>(&values)
}

/// Where every column of a block is constant, the SIMD code wraps what the general formula saturates; only damaged files
/// have such values.
#[cold]
#[inline(never)]
fn wrap_constant_columns(blocks: &[Block], steps: &Steps, values: &mut [[i16; 64]; BATCH]) {
    for (values, block) in values.iter_mut().zip(blocks) {
        let (top, below) = block.split_at(8);
        if below.iter().any(|&coefficient| coefficient != 0) {
            continue;
        }
        for row in values.as_chunks_mut::<8>().0 {
            for (value, (&coefficient, &step)) in row.iter_mut().zip(top.iter().zip(steps)) {
                *value = coefficient.wrapping_mul(step) << PASS1_BITS;
            }
        }
    }
}

/// The transform of the columns of an 8 × 8 matrix.
#[inline(always)]
fn pass<const SHIFT: u32>(input: &[i16; 64]) -> [i16; 64] {
    let mut output = [0; 64];
    for column in 0..8 {
        let wide = |value: i16| i32::from(value);
        let [in0, in1, in2, in3, in4, in5, in6, in7] = std::array::from_fn(|row| input[row * 8 + column]);
        // Even part.
        let tmp2 = wide(in2) * F_0_541 + wide(in6) * (F_0_541 - F_1_847);
        let tmp3 = wide(in2) * (F_0_541 + F_0_765) + wide(in6) * F_0_541;
        let tmp0 = wide(in0.wrapping_add(in4)) << CONST_BITS;
        let tmp1 = wide(in0.wrapping_sub(in4)) << CONST_BITS;
        let even = [tmp0 + tmp3, tmp1 + tmp2, tmp1 - tmp2, tmp0 - tmp3];
        // Odd part.
        let (z3, z4) = (wide(in7.wrapping_add(in3)), wide(in5.wrapping_add(in1)));
        let (z3, z4) = (z3 * (F_1_175 - F_1_961) + z4 * F_1_175, z3 * F_1_175 + z4 * (F_1_175 - F_0_390));
        let (in1, in3, in5, in7) = (wide(in1), wide(in3), wide(in5), wide(in7));
        let odd = [
            (in7 * -F_0_899 + in1 * (F_1_501 - F_0_899)).wrapping_add(z4),
            (in5 * -F_2_562 + in3 * (F_3_072 - F_2_562)).wrapping_add(z3),
            (in5 * (F_2_053 - F_2_562) + in3 * -F_2_562).wrapping_add(z4),
            (in7 * (F_0_298 - F_0_899) + in1 * -F_0_899).wrapping_add(z3),
        ];
        for row in 0..4 {
            output[row * 8 + column] = descale::<SHIFT>(even[row].wrapping_add(odd[row]));
            output[(7 - row) * 8 + column] = descale::<SHIFT>(even[row].wrapping_sub(odd[row]));
        }
    }
    output
}

#[inline(always)]
fn descale<const SHIFT: u32>(value: i32) -> i16 {
    let rounded = value.wrapping_add(1 << (SHIFT - 1)) >> SHIFT;
    rounded.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

/// Leaves in `b` the transposed matrices of `a`.
#[inline(always)]
fn transpose<T: Copy>(a: &mut [[T; 64]; BATCH], b: &mut [[T; 64]; BATCH]) {
    interleave(a, b);
    interleave(b, a);
    interleave(a, b);
}

/// Takes a value from each half in turn. Of the six bits of a value's position this moves the first to the end, so that
/// three times exchange row and column.
#[inline(always)]
fn interleave<T: Copy>(from: &[[T; 64]; BATCH], to: &mut [[T; 64]; BATCH]) {
    for (from, to) in from.iter().zip(to) {
        let (low, high) = from.split_at(32);
        for (pair, (&low, &high)) in to.as_chunks_mut().0.iter_mut().zip(low.iter().zip(high)) {
            *pair = [low, high];
        }
    }
}
