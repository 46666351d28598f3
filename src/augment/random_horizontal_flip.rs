//! torchvision's `RandomHorizontalFlip`.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sampling::ItemRng;
use crate::ingest::Picture;

/// Mirrors the image left to right with probability `p`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RandomHorizontalFlip {
    /// Probability in 0..=1.
    #[serde(default = "default_probability")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

impl RandomHorizontalFlip {
    pub fn apply(&self, picture: Picture, rng: &mut ItemRng) -> Picture {
        if self.sample(rng) { flip(picture) } else { picture }
    }

    /// Whether to mirror.
    pub(super) fn sample(&self, rng: &mut ItemRng) -> bool {
        rng.uniform(0.0, 1.0) < self.p
    }
}

/// The mirror image.
pub fn flip(mut picture: Picture) -> Picture {
    let channels = picture.mode.bytes();
    let stride = picture.width as usize * channels;
    for row in picture.pixels.chunks_exact_mut(stride) {
        row.reverse();
        // The channels of every pixel were reversed with the row.
        row.chunks_exact_mut(channels).for_each(<[u8]>::reverse);
    }
    picture
}

fn default_probability() -> f64 {
    0.5
}
