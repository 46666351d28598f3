//! The YAML of an `augment` list.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AutoAugment, ColorJitter, RandomHorizontalFlip, RandomResizedCrop};

/// One random transformation, with torchvision's and timm's names and defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AugmentSpec {
    RandomResizedCrop(RandomResizedCrop),
    RandomHorizontalFlip(RandomHorizontalFlip),
    ColorJitter(ColorJitter),
    AutoAugment(AutoAugment),
}
