//! The YAML of an `augment` list.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AutoAugment, ColorJitter, ItemRng, RandomHorizontalFlip, RandomResizedCrop};
use crate::ingest::Picture;

/// One random transformation, with torchvision's and timm's names and defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AugmentSpec {
    RandomResizedCrop(RandomResizedCrop),
    RandomHorizontalFlip(RandomHorizontalFlip),
    ColorJitter(ColorJitter),
    AutoAugment(AutoAugment),
}

impl AugmentSpec {
    /// Applies the step; `side` is that of the model's input.
    pub(super) fn apply(&self, picture: Picture, side: u32, rng: &mut ItemRng) -> Picture {
        match self {
            Self::RandomResizedCrop(crop) => crop.apply(&picture, side, rng),
            Self::RandomHorizontalFlip(flip) => flip.apply(picture, rng),
            Self::ColorJitter(jitter) => jitter.apply(picture.into_rgb(), rng),
            Self::AutoAugment(policy) => policy.apply(picture.into_rgb(), rng),
        }
    }
}
