//! A picture whose channels lie apart, as fast arithmetic on them wants it; the steps of training that work on it give
//! the same pixels as on interleaved ones.
use super::color_jitter::Adjustment;
use crate::ingest::{Mode, Picture};
use crate::model::{MEAN, STD, vectorized};

/// `[channels, height, width]`, eight bits each.
#[derive(Debug, Clone)]
pub(super) struct Planes {
    pub(super) width: u32,
    pub(super) height: u32,
    channels: usize,
    values: Vec<u8>,
}

impl Planes {
    pub(super) fn new(channels: usize, width: u32, height: u32) -> Self {
        Self { width, height, channels, values: vec![0; channels * width as usize * height as usize] }
    }

    fn area(&self) -> usize {
        self.width as usize * self.height as usize
    }

    /// The channels, each `[height, width]`.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let area = self.area().max(1);
        self.values.chunks_exact_mut(area)
    }

    /// `[height, width, channels]`.
    pub(super) fn interleaved(self) -> Vec<u8> {
        if self.channels == 1 {
            return self.values;
        }
        let mut pixels = vec![0; self.values.len()];
        for (channel, plane) in self.values.chunks_exact(self.area().max(1)).enumerate() {
            pixels.iter_mut().skip(channel).step_by(self.channels).zip(plane).for_each(|(to, from)| *to = *from);
        }
        pixels
    }

    pub(super) fn into_picture(self, mode: Mode) -> Picture {
        Picture { width: self.width, height: self.height, mode, pixels: self.interleaved() }
    }

    /// The mirror image.
    pub(super) fn flip(&mut self) {
        for row in self.values.chunks_exact_mut((self.width as usize).max(1)) {
            row.reverse();
        }
    }

    /// Changes the colours of an RGB picture.
    pub(super) fn adjust(&mut self, adjustment: Adjustment) {
        let area = self.area();
        let (red, rest) = self.values.split_at_mut(area);
        let (green, blue) = rest.split_at_mut(area);
        vectorized(
            #[inline(always)]
            || adjustment.apply_to_planes([red, green, blue]),
        );
    }

    /// `(value / 255 - mean) / std` of an RGB picture into `out` `[3, height, width]`.
    pub(super) fn normalize(&self, out: &mut [f32]) {
        let area = self.area().max(1);
        let planes = self.values.chunks_exact(area).zip(out.chunks_exact_mut(area));
        vectorized(
            #[inline(always)]
            || {
                for ((plane, out), (&mean, &std)) in planes.zip(MEAN.iter().zip(&STD)) {
                    for (out, &value) in out.iter_mut().zip(plane) {
                        *out = quotient(quotient(f32::from(value), 255.0) - mean, std);
                    }
                }
            },
        );
    }
}

/// `a / b`, rounded as a division is, by three cheaper steps (Markstein): the quotient by way of the reciprocal is
/// corrected by what it leaves over. A test holds it against divisions for all that `normalize` divides.
#[inline(always)]
fn quotient(a: f32, b: f32) -> f32 {
    let reciprocal = 1.0 / b;
    let estimate = a * reciprocal;
    (-b).mul_add(estimate, a).mul_add(reciprocal, estimate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_normalized_to_the_last_bit() {
        let planes = Planes { width: 256, height: 1, channels: 3, values: (0..768).map(|at| at as u8).collect() };
        let mut found = vec![0.0; 768];
        planes.normalize(&mut found);
        let expected = MEAN
            .iter()
            .zip(&STD)
            .flat_map(|(mean, std)| (0..=255_u8).map(move |value| (f32::from(value) / 255.0 - mean) / std));
        assert!(found.iter().map(|value| value.to_bits()).eq(expected.map(f32::to_bits)));
    }
}
