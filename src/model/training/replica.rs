//! A copy of the model on one device, and what it computes of a batch.
use burn::module::ModuleMapper;
use burn::tensor::{Int, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::adamw::{Update, map_model};
use super::gradients::GradientMap;
use super::head::Head;
use super::options::{Tower, TrainerOptions};
use super::tower::ImageInput;
use super::work::{TowerRun, Work};
use crate::model::clip::{ClipModel, image_tensor, token_tensor};
use crate::model::config::{ClipConfig, VisionConfig};
use crate::model::device::ComputeDevice;
use crate::model::error::ModelError;
use crate::model::parameters::{KeyPath, StateDict};

/// The model on one device.
#[derive(Debug)]
pub(super) struct Replica {
    /// Taken while it is being mapped.
    model: Option<ClipModel>,
    pub(super) device: ComputeDevice,
    config: ClipConfig,
}

/// Rows of a batch that are computed together.
#[derive(Debug)]
pub(super) struct Part {
    pixels: Vec<f32>,
    tokens: Vec<u32>,
    pub(super) rows: usize,
    replica: usize,
    pub(super) seed: u64,
}

/// A part after its forward pass.
pub(super) struct PartRun {
    pub(super) part: Part,
    images: TowerRun,
    texts: TowerRun,
}

impl Part {
    pub(super) fn new(pixels: &[f32], tokens: &[u32], rows: usize, replica: usize, seed: u64) -> Self {
        Self { pixels: pixels.to_vec(), tokens: tokens.to_vec(), rows, replica, seed }
    }
}

impl PartRun {
    /// Features of images and texts, without a graph.
    pub(super) fn features(&self) -> (Tensor<2>, Tensor<2>) {
        (self.images.features.clone(), self.texts.features.clone())
    }
}

/// The forward passes of all parts, in order.
pub(super) fn forward(
    replicas: &[Replica],
    parts: Vec<Part>,
    options: &TrainerOptions,
) -> Result<Vec<PartRun>, ModelError> {
    let once = parts.len() <= replicas.len();
    on_each(replicas, parts, |part| part.replica, |replica, part| replica.forward(part, options, once))
}

/// The backward passes of all parts from the gradients of the loss by their features; sums on the first device.
pub(super) fn backward(
    replicas: &[Replica],
    runs: Vec<PartRun>,
    head: &Head,
    options: &TrainerOptions,
) -> Result<GradientMap, ModelError> {
    let work = runs.into_iter().zip(&head.by_features).collect();
    let maps = on_each(
        replicas,
        work,
        |(run, _): &(PartRun, _)| run.part.replica,
        |replica, (run, (by_images, by_texts))| replica.backward(run, by_images, by_texts, options),
    )?;
    let mut sum = GradientMap::default();
    if let Some(first) = replicas.first() {
        maps.into_iter().for_each(|map| sum.add(map, &first.device.plain()));
    }
    Ok(sum)
}

/// Does the work of every replica, in order; the replicas side by side where they are different devices.
fn on_each<W: Send, R: Send>(
    replicas: &[Replica],
    work: Vec<W>,
    replica_of: impl Fn(&W) -> usize,
    run: impl Fn(&Replica, W) -> Result<R, ModelError> + Sync,
) -> Result<Vec<R>, ModelError> {
    let mut shares: Vec<Vec<W>> = replicas.iter().map(|_| Vec::new()).collect();
    for item in work {
        if let Some(share) = shares.get_mut(replica_of(&item)) {
            share.push(item);
        }
    }
    let all = |replica: &Replica, share: Vec<W>| -> Result<Vec<R>, ModelError> {
        share.into_iter().map(|item| run(replica, item)).collect()
    };
    if replicas.iter().all(|replica| replica.device.is_cpu()) {
        let done = replicas.iter().zip(shares).map(|(replica, share)| all(replica, share));
        return Ok(done.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect());
    }
    std::thread::scope(|scope| {
        let all = &all;
        let threads = replicas.iter().zip(shares).map(|(replica, share)| scope.spawn(move || all(replica, share)));
        let threads: Vec<_> = threads.collect();
        let mut results = Vec::new();
        for thread in threads {
            match thread.join() {
                Ok(done) => results.extend(done?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(results)
    })
}

impl Replica {
    pub(super) fn new(config: &ClipConfig, mut state: StateDict, device: &ComputeDevice) -> Result<Self, ModelError> {
        let model = ClipModel::load(config, &mut state, &device.autodiff())?;
        Ok(Self { model: Some(model), device: device.clone(), config: config.clone() })
    }

    pub(super) fn model(&self) -> Result<&ClipModel, ModelError> {
        self.model.as_ref().ok_or_else(|| ModelError::Device { reason: "an earlier step failed".to_owned() })
    }

    /// Changes parameters.
    pub(super) fn map(&mut self, mapper: impl ModuleMapper) -> Result<(), ModelError> {
        self.model()?;
        self.model = self.model.take().map(|model| map_model(model, mapper));
        Ok(())
    }

    /// Takes over the weights of another device.
    pub(super) fn copy_from(&mut self, other: &Self) -> Result<(), ModelError> {
        let mut weights = GradientMap::default();
        let device = self.device.plain();
        other.model()?.flat_parameters(|key, value| weights.insert(key, value.to_device(&device)));
        self.set(weights)
    }

    /// Replaces the parameters that `weights` holds.
    pub(super) fn set(&mut self, weights: GradientMap) -> Result<(), ModelError> {
        let replace = |_: &str, _: Tensor<1>, new: Tensor<1>| new;
        self.map(Update { new_value: replace, gradients: weights, path: KeyPath::default() })
    }

    fn forward(&self, part: Part, options: &TrainerOptions, once: bool) -> Result<PartRun, ModelError> {
        let work = Work::new(self, &part, options)?;
        let (vision, text) = (work.vision(), work.text());
        let (images, texts) = self
            .device
            .join(|| vision.forward(Tower::Vision, options, once), || text.forward(Tower::Text, options, once));
        Ok(PartRun { part, images, texts })
    }

    fn backward(
        &self,
        run: PartRun,
        by_images: &Tensor<2>,
        by_texts: &Tensor<2>,
        options: &TrainerOptions,
    ) -> Result<GradientMap, ModelError> {
        let PartRun { part, images, texts } = run;
        let work = Work::new(self, &part, options)?;
        let device = self.device.plain();
        let (by_images, by_texts) = (by_images.clone().to_device(&device), by_texts.clone().to_device(&device));
        let (vision, text) = (work.vision(), work.text());
        let (vision, text) = self.device.join(
            || vision.backward(images, by_images, Tower::Vision, options),
            || text.backward(texts, by_texts, Tower::Text, options),
        );
        let mut map = vision?;
        map.add(text?, &device);
        Ok(map)
    }
    /// Tensors without a graph.
    pub(super) fn inputs(
        &self,
        part: &Part,
        options: &TrainerOptions,
    ) -> Result<(ImageInput, Tensor<2, Int>), ModelError> {
        let device = self.device.plain();
        let pixels = image_tensor(part.pixels.clone(), part.rows, &self.config, &device);
        let kept = match &self.config.vision {
            VisionConfig::Vit(vit) if options.mask_ratio > 0.0 => {
                let patches = vit.patches();
                let count = (patches as f64 * (1.0 - options.mask_ratio)) as usize;
                let rows = kept_patches(part, patches, count.max(1));
                Some(Tensor::from_data(TensorData::new(rows, [part.rows, count.max(1)]), &device))
            }
            _ => None,
        };
        let tokens = token_tensor(&part.tokens, part.rows, &self.config, &device)?;
        Ok((ImageInput { pixels, kept }, tokens))
    }
}

/// For each row the patches that stay, in order, `[rows, count]`.
fn kept_patches(part: &Part, patches: usize, count: usize) -> Vec<i64> {
    let mut rng = ChaCha8Rng::seed_from_u64(part.seed);
    let mut kept = Vec::with_capacity(part.rows * count);
    for _ in 0..part.rows {
        let mut order: Vec<(u64, i64)> = (0..patches as i64).map(|patch| (rng.next_u64(), patch)).collect();
        order.sort_unstable();
        let mut row: Vec<i64> = order.into_iter().take(count).map(|(_, patch)| patch).collect();
        row.sort_unstable();
        kept.extend(row);
    }
    kept
}
