//! Where the towers meet: the loss over the features of the whole batch, and its gradients by them.
use burn::tensor::{Tensor, TensorData};

use super::gradients::scalar;
use super::options::{GatherGradient, TrainerOptions, TrainingBatch};
use super::replica::Replica;
use crate::model::error::ModelError;
use crate::model::loss::{Positives, contrastive_loss, unit};

/// Features and targets on the first device.
pub(super) struct HeadInput {
    images: Tensor<2>,
    texts: Tensor<2>,
    /// Rows of each part.
    rows: Vec<usize>,
    positives: Positives,
    /// `[batch, width]`.
    teacher: Option<Tensor<2>>,
    distillation_weight: f64,
    /// What the gradients by the features are multiplied by.
    factor: f64,
}

/// Loss and gradients.
pub(super) struct Head {
    pub(super) loss: f64,
    /// By the features of images and texts, part by part.
    pub(super) by_features: Vec<(Tensor<2>, Tensor<2>)>,
    /// By the logarithm of the logit factor.
    pub(super) by_scale: Tensor<1>,
}

impl HeadInput {
    pub(super) fn gather(
        features: impl Iterator<Item = (Tensor<2>, Tensor<2>)>,
        first: &Replica,
        batch: &TrainingBatch<'_>,
        options: &TrainerOptions,
    ) -> Self {
        let device = first.device.plain();
        let moved = features.map(|(images, texts)| (images.to_device(&device), texts.to_device(&device)));
        let (images, texts): (Vec<_>, Vec<_>) = moved.unzip();
        let rows: Vec<usize> = images.iter().map(|part| part.dims()[0]).collect();
        let images = Tensor::cat(images, 0);
        let positives = match batch.positives {
            None => Positives::Diagonal,
            Some(matrix) => {
                let data = TensorData::new(matrix.to_vec(), [batch.size, batch.size]);
                Positives::Matrix(Tensor::from_data(data, &device))
            }
        };
        let teacher = batch.teacher.map(|teacher| {
            let found = teacher.len() / batch.size.max(1);
            Tensor::<2>::from_data(TensorData::new(teacher.to_vec(), [batch.size, found]), &device)
        });
        let factor = match options.gather {
            GatherGradient::Full => 1.0,
            GatherGradient::Local => rows.len().div_ceil(options.parts.max(1)).max(1) as f64,
        };
        Self {
            rows,
            positives,
            teacher,
            distillation_weight: options.distillation_weight,
            factor: 1.0 / factor,
            texts: Tensor::cat(texts, 0),
            images,
        }
    }
}

/// The loss and its gradients; `scale` multiplies the gradients only.
pub(super) fn contrast(input: HeadInput, logit_scale: Tensor<1>, scale: f64) -> Result<Head, ModelError> {
    let leaf = |x: Tensor<2>| Tensor::from_inner(x).require_grad();
    let (images, texts) = (leaf(input.images), leaf(input.texts));
    let logit_scale = Tensor::from_inner(logit_scale).require_grad();
    let mut loss = contrastive_loss(images.clone(), texts.clone(), logit_scale.clone(), input.positives);
    if let Some(teacher) = input.teacher {
        let teacher = Tensor::from_inner(teacher);
        let student = resized(images.clone(), teacher.dims()[1]);
        let cosine: Tensor<1> = (unit(student) * unit(teacher)).sum_dim(1).mean();
        loss = loss + (cosine.neg().add_scalar(1.0)).mul_scalar(input.distillation_weight);
    }
    let value = scalar(loss.clone().inner())?;
    let mut gradients = loss.mul_scalar(scale).backward();
    let lost = || ModelError::Device { reason: "the loss gave no gradient".to_owned() };
    let by_images = images.grad_remove(&mut gradients).ok_or_else(lost)?.mul_scalar(input.factor);
    let by_texts = texts.grad_remove(&mut gradients).ok_or_else(lost)?.mul_scalar(input.factor);
    let by_scale = logit_scale.grad_remove(&mut gradients).ok_or_else(lost)?;
    let mut from = 0;
    let by_features = input.rows.into_iter().map(|rows| {
        let part = |x: &Tensor<2>| x.clone().narrow(0, from, rows);
        let parts = (part(&by_images), part(&by_texts));
        from += rows;
        parts
    });
    Ok(Head { loss: value, by_features: by_features.collect(), by_scale })
}

/// Rows stretched to another width by linear interpolation between entries (corners not aligned), as the reference makes a
/// student as wide as its teacher.
fn resized(x: Tensor<2>, width: usize) -> Tensor<2> {
    let found = x.dims()[1];
    if found == width {
        return x;
    }
    let mut weights = vec![0.0f32; found * width];
    for column in 0..width {
        let at = ((column as f64 + 0.5) * found as f64 / width as f64 - 0.5).max(0.0);
        let (low, share) = (at.floor() as usize, at.fract() as f32);
        let high = (low + 1).min(found - 1);
        for (row, weight) in [(low, 1.0 - share), (high, share)] {
            if let Some(entry) = weights.get_mut(row * width + column) {
                *entry += weight;
            }
        }
    }
    let device = x.device();
    x.matmul(Tensor::from_data(TensorData::new(weights, [found, width]), &device))
}
