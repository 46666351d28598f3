//! Changes of colours on separate channels, and the normalisation behind them, in as few passes as the means between them
//! allow. The values of a pass stay floats from one change to the next, and are the same as after single steps.
use super::color_jitter::{Adjustment, mean_luminance, shift_hue};
use crate::model::{MEAN, STD, vectorized};

/// Pixels that a pass works on at a time.
const LANES: usize = 64;
/// Red, green and blue of as many pixels; whole numbers in 0..=255.
type Colors = [[f32; LANES]; 3];
/// Red, green and blue, all equally long.
pub(super) type Channels<'a> = [&'a mut [u8]; 3];

/// An adjustment of a pixel that needs no other pixel.
#[derive(Debug, Clone, Copy)]
enum Change {
    Brighten(f32),
    Blend { degenerate: f32, factor: f32 },
    Saturate(f32),
}

/// Makes the adjustments, in order.
pub(super) fn adjust(mut channels: Channels<'_>, adjustments: &[Adjustment]) {
    vectorized(
        #[inline(always)]
        || {
            let changes = make_all_but_the_last(&mut channels, adjustments);
            store(&mut channels, &changes);
        },
    );
}

/// Makes the adjustments, then `(value / 255 - mean) / std` into `out` `[3, pixels]`. The channels are of no account then.
pub(super) fn adjust_and_normalize(mut channels: Channels<'_>, adjustments: &[Adjustment], out: &mut [f32]) {
    vectorized(
        #[inline(always)]
        || {
            let changes = make_all_but_the_last(&mut channels, adjustments);
            let (red, rest) = out.split_at_mut(channels[0].len());
            let (green, blue) = rest.split_at_mut(channels[1].len());
            let mut out = [red, green, blue];
            each_chunk(
                &mut channels,
                &changes,
                #[inline(always)]
                |at, colors, [chunk, ..]| {
                    let constants = MEAN.iter().zip(&STD);
                    for ((out, values), (&mean, &std)) in out.iter_mut().zip(colors).zip(constants) {
                        let Some(out) = out.get_mut(at..at + chunk.len()) else { continue };
                        for (out, &value) in out.iter_mut().zip(values) {
                            *out = quotient(quotient(value, 255.0) - mean, std);
                        }
                    }
                },
            );
        },
    );
}

/// Makes what has to be done before a mean can be taken, and whatever hue asks for; returns the changes that are left.
#[inline(always)]
fn make_all_but_the_last(channels: &mut Channels<'_>, adjustments: &[Adjustment]) -> Vec<Change> {
    let mut changes = Vec::new();
    for adjustment in adjustments {
        match *adjustment {
            Adjustment::Brightness(factor) => changes.push(Change::Brighten(factor as f32)),
            Adjustment::Saturation(factor) => changes.push(Change::Saturate(factor as f32)),
            Adjustment::Contrast(factor) => {
                let mean = mean_luminance(store(channels, &changes), channels[0].len());
                changes.clear();
                changes.push(Change::Blend { degenerate: f32::from(mean), factor: factor as f32 });
            }
            Adjustment::Hue(shift) => {
                store(channels, &changes);
                changes.clear();
                let [red, green, blue] = channels;
                for ((red, green), blue) in red.iter_mut().zip(&mut **green).zip(&mut **blue) {
                    [*red, *green, *blue] = shift_hue([*red, *green, *blue], shift);
                }
            }
        }
    }
    changes
}

/// Makes the changes and returns the sum of the luminances.
#[inline(always)]
fn store(channels: &mut Channels<'_>, changes: &[Change]) -> u64 {
    // A picture has too few pixels for a lane to overflow.
    let mut sums = [0_u32; LANES];
    each_chunk(
        channels,
        changes,
        #[inline(always)]
        |_, colors, chunk| {
            let pixels = chunk[0].len();
            for (sum, grey) in sums.iter_mut().zip(&luminance(colors)).take(pixels) {
                *sum += u32::from(byte(*grey));
            }
            for (chunk, values) in chunk.into_iter().zip(colors) {
                chunk.iter_mut().zip(values).for_each(|(to, value)| *to = byte(*value));
            }
        },
    );
    sums.iter().map(|sum| u64::from(*sum)).sum()
}

/// Hands over, for every chunk of pixels, where it begins, its changed colours and its place in the channels.
#[inline(always)]
fn each_chunk(
    [red, green, blue]: &mut Channels<'_>,
    changes: &[Change],
    mut finish: impl FnMut(usize, &Colors, Channels<'_>),
) {
    let ((red, red_tail), (green, green_tail)) = (red.as_chunks_mut::<LANES>(), green.as_chunks_mut::<LANES>());
    let (blue, blue_tail) = blue.as_chunks_mut::<LANES>();
    let tail_at = red.len() * LANES;
    for (number, ((red, green), blue)) in red.iter_mut().zip(green).zip(blue).enumerate() {
        let colors = changed([red, green, blue], changes);
        finish(number * LANES, &colors, [red, green, blue]);
    }
    let mut padded = [[0; LANES]; 3];
    for (padded, tail) in padded.iter_mut().zip([&*red_tail, &*green_tail, &*blue_tail]) {
        padded.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
    }
    let colors = changed(padded.each_ref(), changes);
    finish(tail_at, &colors, [red_tail, green_tail, blue_tail]);
}

#[inline(always)]
fn changed(chunk: [&[u8; LANES]; 3], changes: &[Change]) -> Colors {
    let mut colors = [[0.0; LANES]; 3];
    for (values, chunk) in colors.iter_mut().zip(chunk) {
        values.iter_mut().zip(chunk).for_each(|(to, from)| *to = f32::from(*from));
    }
    for change in changes {
        change.apply(&mut colors);
    }
    colors
}

impl Change {
    #[inline(always)]
    fn apply(self, colors: &mut Colors) {
        match self {
            Self::Brighten(factor) => {
                colors.as_flattened_mut().iter_mut().for_each(|value| *value = clip(factor * *value));
            }
            Self::Blend { degenerate, factor } => {
                let blend = |value: f32| clip(degenerate + factor * (value - degenerate));
                colors.as_flattened_mut().iter_mut().for_each(|value| *value = blend(*value));
            }
            Self::Saturate(factor) => {
                let greys = luminance(colors);
                for values in colors {
                    for (value, grey) in values.iter_mut().zip(&greys) {
                        *value = clip(grey + factor * (*value - grey));
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn clip(value: f32) -> f32 {
    value.clamp(0.0, 255.0).floor()
}

/// A whole number below 2^23 stands in the low bits of its sum with 2^23; compilers vectorise that better than a cast.
#[inline(always)]
fn byte(value: f32) -> u8 {
    (value + 8_388_608.0).to_bits() as u8
}

/// ITU-R 601-2 luma in Pillow's fixed point. Every product and sum is a multiple of 2^-16 below 2^8, hence exact.
#[inline(always)]
fn luminance([red, green, blue]: &Colors) -> [f32; LANES] {
    const UNIT: f32 = 1.0 / 65_536.0;
    let mut greys = [0.0; LANES];
    for (grey, ((r, g), b)) in greys.iter_mut().zip(red.iter().zip(green).zip(blue)) {
        *grey = (19_595.0 * UNIT * r + 38_470.0 * UNIT * g + 7_471.0 * UNIT * b + 0.5).floor();
    }
    greys
}

/// `a / b`, rounded as a division is, by way of the reciprocal and what that leaves over. A test holds it against divisions
/// for all that is normalised.
#[inline(always)]
fn quotient(a: f32, b: f32) -> f32 {
    let reciprocal = 1.0 / b;
    let rest = (-b).mul_add(reciprocal, 1.0) * reciprocal;
    a.mul_add(reciprocal, a * rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_normalized_to_the_last_bit() {
        let mut channels = [std::array::from_fn::<u8, 256, _>(|at| at as u8); 3];
        let mut found = vec![0.0; 768];
        adjust_and_normalize(channels.each_mut().map(|channel| &mut channel[..]), &[], &mut found);
        let expected = MEAN
            .iter()
            .zip(&STD)
            .flat_map(|(mean, std)| (0..=255_u8).map(move |value| (f32::from(value) / 255.0 - mean) / std));
        assert!(found.iter().map(|value| value.to_bits()).eq(expected.map(f32::to_bits)));
    }

    #[test]
    fn luminance_is_that_of_whole_numbers() {
        for (r, g) in (0..=255_u32).flat_map(|r| (0..=255_u32).map(move |g| (r, g))) {
            for first in [0, 64, 128, 192] {
                let blue = std::array::from_fn(|lane| (first + lane) as f32);
                let found = luminance(&[[r as f32; LANES], [g as f32; LANES], blue]);
                for (b, found) in (first as u32..).zip(found) {
                    let expected = (19_595 * r + 38_470 * g + 7_471 * b + 0x8000) >> 16;
                    assert_eq!(found, expected as f32, "{r} {g} {b}");
                }
            }
        }
    }
}
