//! timm's `AutoAugment` as Chinese-CLIP's `--use-augment` asks for it, after <https://arxiv.org/abs/1805.09501>. It inverts
//! and solarizes: not for data whose texts name colours.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Operation;
use super::sampling::ItemRng;
use crate::ingest::Picture;

/// Up to two operations, drawn from a policy that was searched for on `ImageNet`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AutoAugment {
    #[serde(default)]
    pub policy: Policy,
}

/// timm's name of a list of sub-policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// The paper's policy for `ImageNet`.
    #[default]
    Original,
}

impl AutoAugment {
    pub fn apply(&self, rgb: Picture, rng: &mut ItemRng) -> Picture {
        self.sample(rng).into_iter().fold(rgb, |rgb, operation| operation.apply(rgb))
    }

    /// One sub-policy, every one equally likely, and of its operations those that their probability lets pass.
    pub fn sample(&self, rng: &mut ItemRng) -> Vec<Operation> {
        let sub_policies = match self.policy {
            Policy::Original => &ORIGINAL,
        };
        let Some(steps) = sub_policies.get(rng.below(sub_policies.len() as u32) as usize) else { return Vec::new() };
        let mut operations = Vec::with_capacity(steps.len());
        for (with_magnitude, probability, magnitude) in steps {
            if rng.uniform(0.0, 1.0) < *probability {
                operations.push(with_magnitude(f64::from(*magnitude) / 10.0, rng));
            }
        }
        operations
    }
}

/// An operation of a sub-policy: how it takes its strength, its probability, and its magnitude in 0..=10.
type Step = (fn(f64, &mut ItemRng) -> Operation, f64, u8);

const ORIGINAL: [[Step; 2]; 25] = [
    [(posterize, 0.4, 8), (rotate, 0.6, 9)],
    [(solarize, 0.6, 5), (auto_contrast, 0.6, 5)],
    [(equalize, 0.8, 8), (equalize, 0.6, 3)],
    [(posterize, 0.6, 7), (posterize, 0.6, 6)],
    [(equalize, 0.4, 7), (solarize, 0.2, 4)],
    [(equalize, 0.4, 4), (rotate, 0.8, 8)],
    [(solarize, 0.6, 3), (equalize, 0.6, 7)],
    [(posterize, 0.8, 5), (equalize, 1.0, 2)],
    [(rotate, 0.2, 3), (solarize, 0.6, 8)],
    [(equalize, 0.6, 8), (posterize, 0.4, 6)],
    [(rotate, 0.8, 8), (color, 0.4, 0)],
    [(rotate, 0.4, 9), (equalize, 0.6, 2)],
    [(equalize, 0.0, 7), (equalize, 0.8, 8)],
    [(invert, 0.6, 4), (equalize, 1.0, 8)],
    [(color, 0.6, 4), (contrast, 1.0, 8)],
    [(rotate, 0.8, 8), (color, 1.0, 2)],
    [(color, 0.8, 8), (solarize, 0.8, 7)],
    [(sharpness, 0.4, 7), (invert, 0.6, 8)],
    [(shear_x, 0.6, 5), (equalize, 1.0, 9)],
    [(color, 0.4, 0), (equalize, 0.6, 3)],
    [(equalize, 0.4, 7), (solarize, 0.2, 4)],
    [(solarize, 0.6, 5), (auto_contrast, 0.6, 5)],
    [(invert, 0.6, 4), (equalize, 1.0, 8)],
    [(color, 0.6, 4), (contrast, 1.0, 8)],
    [(equalize, 0.8, 8), (equalize, 0.6, 3)],
];

fn auto_contrast(_: f64, _: &mut ItemRng) -> Operation {
    Operation::AutoContrast
}

fn color(strength: f64, _: &mut ItemRng) -> Operation {
    Operation::Color { factor: enhancement(strength) }
}

fn contrast(strength: f64, _: &mut ItemRng) -> Operation {
    Operation::Contrast { factor: enhancement(strength) }
}

fn equalize(_: f64, _: &mut ItemRng) -> Operation {
    Operation::Equalize
}

fn invert(_: f64, _: &mut ItemRng) -> Operation {
    Operation::Invert
}

/// timm's `PosterizeOriginal`: weaker the higher the magnitude.
fn posterize(strength: f64, _: &mut ItemRng) -> Operation {
    Operation::Posterize { bits: 4 + (strength * 4.0) as u32 }
}

fn rotate(strength: f64, rng: &mut ItemRng) -> Operation {
    Operation::Rotate { degrees: with_random_sign(strength * 30.0, rng) }
}

fn sharpness(strength: f64, _: &mut ItemRng) -> Operation {
    Operation::Sharpness { factor: enhancement(strength) }
}

fn shear_x(strength: f64, rng: &mut ItemRng) -> Operation {
    Operation::ShearX { factor: with_random_sign(strength * 0.3, rng) }
}

/// Weaker the higher the magnitude.
fn solarize(strength: f64, _: &mut ItemRng) -> Operation {
    Operation::Solarize { threshold: (strength * 256.0) as u32 }
}

/// 1 changes nothing.
fn enhancement(strength: f64) -> f64 {
    strength * 1.8 + 0.1
}

fn with_random_sign(value: f64, rng: &mut ItemRng) -> f64 {
    if rng.uniform(0.0, 1.0) < 0.5 { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::item_rng;
    use crate::ingest::Mode;

    fn picture() -> Picture {
        let pixels = (0..20 * 16 * 3).map(|place| (place * 37 % 241) as u8).collect();
        Picture { width: 20, height: 16, mode: Mode::Rgb, pixels }
    }

    #[test]
    fn seed_epoch_and_item_decide_the_picture() {
        let augmented =
            |seed, epoch, item: &str| AutoAugment::default().apply(picture(), &mut item_rng(seed, epoch, item));
        let items: Vec<String> = (0..50).map(|item| item.to_string()).collect();
        let mut changed = [0; 3];
        for item in &items {
            let first = augmented(1, 0, item);
            assert_eq!(first, augmented(1, 0, item));
            assert_eq!((first.width, first.height, first.pixels.len()), (20, 16, picture().pixels.len()));
            let others = [augmented(2, 0, item), augmented(1, 1, item), augmented(1, 0, &format!("{item}x"))];
            for (changed, other) in changed.iter_mut().zip(others) {
                *changed += u32::from(first != other);
            }
        }
        assert!(changed.iter().all(|changed| *changed > 40), "{changed:?} of 50");
    }

    #[test]
    fn both_signs_are_equally_likely() {
        let mut rng = item_rng(1, 0, "x");
        let negative = (0..40_000).filter(|_| with_random_sign(0.3, &mut rng) < 0.0).count();
        assert!((19_200..=20_800).contains(&negative), "{negative} of 40000");
    }

    #[test]
    fn the_policy_goes_by_timms_name() {
        let spec: AutoAugment = serde_json::from_str(r#"{"policy": "original"}"#).unwrap();
        assert_eq!(spec, AutoAugment::default());
        assert!(serde_json::from_str::<AutoAugment>(r#"{"policy": "v0"}"#).is_err());
    }
}
