//! What may an image look like to the model? Random transformations for training, one fixed for evaluation.
#![expect(clippy::inline_always, reason = "a kernel gets the vectors of the function that it is inlined into")]

mod adjustments;
mod affine;
mod auto_augment;
mod color_jitter;
mod histogram;
mod normalize;
mod operation;
mod planes;
mod pixels;
mod point;
mod random_horizontal_flip;
mod random_resized_crop;
mod resample;
mod resize;
mod sampling;
mod sharpness;
mod spec;
mod weights;

use rayon::prelude::*;

use crate::ingest::{Dataset, Picture};
use crate::stage::StageError;

pub use affine::{rotate, shear_x};
pub use auto_augment::{AutoAugment, Policy};
pub use color_jitter::{ColorJitter, adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation};
pub use histogram::{auto_contrast, equalize};
pub use normalize::normalize;
pub use operation::Operation;
pub use pixels::{evaluation_pixels_of, training_picture, training_pixels};
pub use point::{invert, posterize, solarize};
pub use random_horizontal_flip::{RandomHorizontalFlip, flip};
pub use random_resized_crop::{CropBox, RandomResizedCrop};
pub use resize::{Interpolation, crop_resize, squash};
pub use sampling::{ItemRng, item_rng};
pub use sharpness::adjust_sharpness;
pub use spec::AugmentSpec;

/// Pixels for the model, `[3, side, side]`, of an image as evaluation sees it: squashed to a square with bicubic
/// interpolation, made RGB, normalised. The reference neither crops nor rotates here.
pub fn evaluation_pixels(picture: &Picture, side: u32, out: &mut [f32]) {
    normalize(&squash(picture, side), out);
}

/// Pixels `[ids, 3, side, side]` of stored images as evaluation sees them.
pub fn evaluation_batch(dataset: &Dataset, ids: &[String], side: usize) -> Result<Vec<f32>, StageError> {
    let mut pixels = vec![0.0; ids.len() * 3 * side * side];
    pixels.par_chunks_exact_mut(3 * side * side).zip(ids).try_for_each(|(pixels, id)| {
        evaluation_pixels_of(&dataset.image_bytes(id)?, side as u32, pixels)?;
        Ok::<(), StageError>(())
    })?;
    Ok(pixels)
}

/// An image as training sees it, RGB, `side` × `side`: each step of `steps` in turn, drawn from `rng`. Crops and flips work
/// in the image's own mode, as in the reference; colours are changed in RGB.
pub fn augment(picture: &Picture, steps: &[AugmentSpec], side: u32, rng: &mut ItemRng) -> Picture {
    let mut picture = picture.clone();
    for step in steps {
        picture = step.apply(picture, side, rng);
    }
    squash(&picture, side)
}
