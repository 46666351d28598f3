//! A model ready for inference, called with host memory.
use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::Device;

use super::clip::{ClipModel, image_tensor, read, token_tensor};
use super::config::{ClipConfig, VisionConfig};
use super::cpu::{CpuBert, CpuVisionTransformer, WeightFormat};
use super::device::ComputeDevice;
use super::error::ModelError;
use super::guard::guarded;
use super::layer::{Forward, Precision};
use super::parameters::{ParameterLoader, StateDict, state_dict};
use super::vision::VisionTower;

/// Lengths of texts are rounded up to this on a device, so that few shapes of kernels are needed.
const LENGTH_STEP: usize = 8;

/// Both towers of a model; cheap to clone.
#[derive(Debug, Clone)]
pub struct Encoder {
    towers: Arc<Towers>,
    config: ClipConfig,
    device: Device,
    precision: Precision,
}

/// On a CPU our own products run, on a device Burn's; the residual network always runs in Burn.
#[derive(Debug)]
enum Towers {
    Cpu { vision: CpuVision, text: CpuBert },
    Device(ClipModel),
}

#[derive(Debug)]
enum CpuVision {
    Vit(CpuVisionTransformer),
    ResNet(VisionTower),
}

impl Encoder {
    /// Builds the model from `state` and checks that no tensor is missing, misshapen or left over. On a CPU `bf16` is
    /// an arithmetic of its own, and `fp16` computes in 32 bits.
    pub fn new(
        config: &ClipConfig,
        state: StateDict,
        device: &ComputeDevice,
        precision: Precision,
    ) -> Result<Self, ModelError> {
        config.check()?;
        let mut state = config.fit(state)?;
        let towers = if device.is_cpu() {
            cpu_towers(config, &mut state, device, precision)?
        } else {
            Towers::Device(guarded(|| ClipModel::load(config, &mut state, &device.plain()))?)
        };
        Ok(Self { towers: Arc::new(towers), config: config.clone(), device: device.plain(), precision })
    }

    /// The weights of a model in training, in 32 bits.
    pub(crate) fn from_model(
        model: ClipModel,
        config: &ClipConfig,
        device: &ComputeDevice,
    ) -> Result<Self, ModelError> {
        let precision = Precision::Fp32;
        if device.is_cpu() {
            return Self::new(config, state_dict(&model)?, device, precision);
        }
        let towers = Arc::new(Towers::Device(model));
        Ok(Self { towers, config: config.clone(), device: device.plain(), precision })
    }

    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// Unit vectors `[count, embed_dim]` of preprocessed images `[count, 3, side, side]`.
    pub fn encode_images(&self, pixels: &[f32], count: usize) -> Result<Vec<f32>, ModelError> {
        let mut features = match &*self.towers {
            Towers::Cpu { vision: CpuVision::Vit(vit), .. } => vit.forward(pixels),
            Towers::Cpu { vision: CpuVision::ResNet(tower), .. } => {
                read(tower.forward(image_tensor(pixels.to_vec(), count, &self.config, &self.device), self.mode()))?
            }
            Towers::Device(model) => guarded(|| {
                let images = image_tensor(pixels.to_vec(), count, &self.config, &self.device);
                read(model.encode_image(images, self.mode()))
            })?,
        };
        normalize_rows(&mut features, self.config.embed_dim);
        Ok(features)
    }

    /// Unit vectors `[count, embed_dim]` of token ids `[count, tokens]`; padding at the end costs nothing.
    pub fn encode_texts(&self, tokens: &[u32], count: usize) -> Result<Vec<f32>, ModelError> {
        let length = tokens.len() / count.max(1);
        let expected = self.config.text.max_position_embeddings;
        if length > expected {
            return Err(ModelError::ContextTooLong { expected, found: length });
        }
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut features = match &*self.towers {
            Towers::Cpu { text, .. } => text.forward(tokens, length)?,
            Towers::Device(model) => guarded(|| self.encode_by_length(model, tokens, length))?,
        };
        normalize_rows(&mut features, self.config.embed_dim);
        Ok(features)
    }

    /// Texts of similar length together, cut to the longest of them.
    fn encode_by_length(&self, model: &ClipModel, tokens: &[u32], length: usize) -> Result<Vec<f32>, ModelError> {
        let dimension = self.config.embed_dim;
        let mut buckets: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (row, text) in tokens.chunks(length).enumerate() {
            let used = text.iter().rposition(|id| *id != 0).map_or(length, |last| last + 1);
            buckets.entry(used.next_multiple_of(LENGTH_STEP).min(length)).or_default().push(row);
        }
        let mut features = vec![0.0; tokens.len() / length * dimension];
        for (used, rows) in buckets {
            let bucket: Vec<u32> = rows.iter().flat_map(|row| &tokens[row * length..][..used]).copied().collect();
            let ids = token_tensor(&bucket, rows.len(), &self.config, &self.device)?;
            let found = read(model.encode_text(ids, self.mode()))?;
            for (row, found) in rows.into_iter().zip(found.chunks(dimension)) {
                features[row * dimension..][..dimension].copy_from_slice(found);
            }
        }
        Ok(features)
    }

    fn mode(&self) -> Forward {
        // What Burn computes on a CPU is in 32 bits there.
        let on_cpu = matches!(&*self.towers, Towers::Cpu { .. });
        Forward { precision: if on_cpu { Precision::Fp32 } else { self.precision }, training: false }
    }
}

fn cpu_towers(
    config: &ClipConfig,
    state: &mut StateDict,
    device: &ComputeDevice,
    precision: Precision,
) -> Result<Towers, ModelError> {
    let format = match precision {
        Precision::Bf16 => WeightFormat::Bf16,
        Precision::Fp32 | Precision::Fp16 => WeightFormat::F32,
    };
    let vision = match &config.vision {
        VisionConfig::Vit(vit) => CpuVision::Vit(CpuVisionTransformer::load(state, vit, config.embed_dim, format)?),
        resnet @ VisionConfig::ResNet(_) => {
            let plain = device.plain();
            let mut at = ParameterLoader::new(state, &plain);
            CpuVision::ResNet(VisionTower::load(at.at("visual"), resnet, config.embed_dim)?)
        }
    };
    let text = CpuBert::load(state, &config.text, config.embed_dim, format)?;
    Ok(Towers::Cpu { vision, text })
}

/// Scales every row of `[n, dimension]` to length one; a zero row stays zero.
pub fn normalize_rows(values: &mut [f32], dimension: usize) {
    for row in values.chunks_exact_mut(dimension) {
        let norm = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        if norm > 0.0 {
            row.iter_mut().for_each(|v| *v = (f64::from(*v) / norm) as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::preset;

    #[test]
    fn a_device_and_our_own_products_give_the_same_vectors() {
        let config = preset("ViT-tiny-16").unwrap();
        let cpu = ComputeDevice::cpu();
        let own = Encoder::new(&config, config.random_state(5).unwrap(), &cpu, Precision::Fp32).unwrap();
        let model = ClipModel::load(&config, &mut config.random_state(5).unwrap(), &cpu.plain()).unwrap();
        let device = Encoder { towers: Arc::new(Towers::Device(model)), ..own.clone() };
        let pixels: Vec<f32> = (0..3 * 3 * 64 * 64).map(|i| (i * 31 % 97) as f32 / 48.0 - 1.0).collect();
        let mut tokens = vec![0; 3 * 20];
        for (row, length) in [(0, 20), (1, 3), (2, 9)] {
            (0..length).for_each(|i| tokens[row * 20 + i] = 100 + (row * 7 + i * 13) as u32);
        }
        let pairs = [
            (own.encode_images(&pixels, 3).unwrap(), device.encode_images(&pixels, 3).unwrap()),
            (own.encode_texts(&tokens, 3).unwrap(), device.encode_texts(&tokens, 3).unwrap()),
        ];
        for (own, device) in pairs {
            let worst = own.iter().zip(&device).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-5, "{worst}");
        }
    }
}
