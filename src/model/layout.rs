//! The tensors of a configuration: names, shapes, and which of them training changes. The source for parameter counts,
//! random initialisation and the check of weights.
use super::config::{ClipConfig, ResNetConfig, TextConfig, VisionConfig, VitConfig};
use super::error::ModelError;
use super::init::RandomSource;
use super::parameters::{NamedTensor, ParameterSource, StateDict};
use super::vision::interpolate_positions;

const RUNNING_STATISTICS: [&str; 2] = ["running_mean", "running_var"];

/// One tensor of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorLayout {
    pub key: String,
    pub shape: Vec<usize>,
}

impl TensorLayout {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Statistics that a forward pass updates count as no parameter.
    pub fn is_parameter(&self) -> bool {
        is_parameter(&self.key)
    }
}

/// Whether an optimizer may change the tensor.
pub(crate) fn is_parameter(key: &str) -> bool {
    !RUNNING_STATISTICS.iter().any(|name| key.ends_with(name))
}

/// Parameters of a model by tower, as the reference counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterCount {
    pub vision: usize,
    pub text: usize,
    /// Of the text; that of the image is counted with its tower.
    pub text_projection: usize,
    pub total: usize,
}

impl ClipConfig {
    /// Every tensor of the model, with the reference's names.
    pub fn tensors(&self) -> Vec<TensorLayout> {
        let mut list = List { tensors: Vec::new() };
        match &self.vision {
            VisionConfig::Vit(vit) => list.vit(vit, self.embed_dim),
            VisionConfig::ResNet(resnet) => list.resnet(resnet, self.embed_dim),
        }
        list.bert(&self.text);
        list.add("text_projection", &[self.text.hidden_size, self.embed_dim]);
        list.add("logit_scale", &[1]);
        list.tensors
    }

    /// How many parameters the model has.
    pub fn parameters(&self) -> ParameterCount {
        let tensors = self.tensors();
        let count = |prefix: &str| -> usize {
            let chosen = tensors.iter().filter(|tensor| tensor.is_parameter() && tensor.key.starts_with(prefix));
            chosen.map(TensorLayout::len).sum()
        };
        ParameterCount {
            vision: count("visual."),
            text: count("bert."),
            text_projection: count("text_projection"),
            total: count(""),
        }
    }

    /// Fresh weights, the same for the same seed on every device.
    pub fn random_state(&self, seed: u64) -> Result<StateDict, ModelError> {
        let mut source = RandomSource::new(seed);
        let tensors = self.tensors().into_iter();
        let fresh = tensors.map(|TensorLayout { key, shape }| {
            let values = source.take(&key, &shape)?;
            Ok((key, NamedTensor { shape, values }))
        });
        fresh.collect()
    }

    /// Holds weights against the model: nothing missing, misshapen or left over. Position embeddings made for another
    /// resolution are interpolated.
    pub fn fit(&self, mut state: StateDict) -> Result<StateDict, ModelError> {
        let mut fitted = StateDict::new();
        for TensorLayout { key, shape } in self.tensors() {
            let values = match state.get(&key) {
                Some(found) if key.ends_with("positional_embedding") && found.shape != shape => {
                    interpolate_positions(&key, found, &shape)?
                }
                _ => state.take(&key, &shape)?,
            };
            state.remove(&key);
            fitted.insert(key, NamedTensor { shape, values });
        }
        reject_unused(&state)?;
        Ok(fitted)
    }
}

/// Fails when a state dict holds tensors that the model did not take.
pub(crate) fn reject_unused(state: &StateDict) -> Result<(), ModelError> {
    match state.keys().next() {
        None => Ok(()),
        Some(first) => Err(ModelError::UnusedTensors { count: state.len(), first: first.clone() }),
    }
}

struct List {
    tensors: Vec<TensorLayout>,
}

impl List {
    fn add(&mut self, key: impl Into<String>, shape: &[usize]) {
        self.tensors.push(TensorLayout { key: key.into(), shape: shape.to_vec() });
    }

    fn linear(&mut self, prefix: &str, input: usize, output: usize) {
        self.add(format!("{prefix}.weight"), &[output, input]);
        self.add(format!("{prefix}.bias"), &[output]);
    }

    fn norm(&mut self, prefix: &str, width: usize) {
        self.add(format!("{prefix}.weight"), &[width]);
        self.add(format!("{prefix}.bias"), &[width]);
    }

    fn vit(&mut self, config: &VitConfig, embed_dim: usize) {
        let (width, patch) = (config.width, config.patch_size);
        self.add("visual.class_embedding", &[width]);
        self.add("visual.positional_embedding", &[config.patches() + 1, width]);
        self.add("visual.proj", &[width, embed_dim]);
        self.add("visual.conv1.weight", &[width, 3, patch, patch]);
        self.norm("visual.ln_pre", width);
        for layer in 0..config.layers {
            let prefix = format!("visual.transformer.resblocks.{layer}");
            self.add(format!("{prefix}.attn.in_proj_weight"), &[3 * width, width]);
            self.add(format!("{prefix}.attn.in_proj_bias"), &[3 * width]);
            self.linear(&format!("{prefix}.attn.out_proj"), width, width);
            self.norm(&format!("{prefix}.ln_1"), width);
            self.linear(&format!("{prefix}.mlp.c_fc"), width, 4 * width);
            self.linear(&format!("{prefix}.mlp.c_proj"), 4 * width, width);
            self.norm(&format!("{prefix}.ln_2"), width);
        }
        self.norm("visual.ln_post", width);
    }

    fn resnet(&mut self, config: &ResNetConfig, embed_dim: usize) {
        let stem = config.width / 2;
        for (index, (input, output)) in [(3, stem), (stem, stem), (stem, config.width)].into_iter().enumerate() {
            self.convolution("visual", index + 1, input, output, 3);
        }
        let mut input = config.width;
        for (stage, blocks) in config.layers.into_iter().enumerate() {
            let planes = config.width << stage;
            for block in 0..blocks {
                let prefix = format!("visual.layer{}.{block}", stage + 1);
                self.convolution(&prefix, 1, input, planes, 1);
                self.convolution(&prefix, 2, planes, planes, 3);
                self.convolution(&prefix, 3, planes, 4 * planes, 1);
                if block == 0 {
                    self.add(format!("{prefix}.downsample.0.weight"), &[4 * planes, input, 1, 1]);
                    self.batch_norm(&format!("{prefix}.downsample.1"), 4 * planes);
                }
                input = 4 * planes;
            }
        }
        let channels = config.channels();
        self.add("visual.attnpool.positional_embedding", &[config.cells() + 1, channels]);
        for part in ["k_proj", "q_proj", "v_proj"] {
            self.linear(&format!("visual.attnpool.{part}"), channels, channels);
        }
        self.linear("visual.attnpool.c_proj", channels, embed_dim);
    }

    /// `conv{index}` and the `bn{index}` after it.
    fn convolution(&mut self, prefix: &str, index: usize, input: usize, output: usize, kernel: usize) {
        self.add(format!("{prefix}.conv{index}.weight"), &[output, input, kernel, kernel]);
        self.batch_norm(&format!("{prefix}.bn{index}"), output);
    }

    fn batch_norm(&mut self, prefix: &str, width: usize) {
        self.norm(prefix, width);
        RUNNING_STATISTICS.iter().for_each(|name| self.add(format!("{prefix}.{name}"), &[width]));
    }

    fn bert(&mut self, config: &TextConfig) {
        let hidden = config.hidden_size;
        let tables = [
            ("word", config.vocab_size),
            ("position", config.max_position_embeddings),
            ("token_type", config.type_vocab_size),
        ];
        for (name, rows) in tables {
            self.add(format!("bert.embeddings.{name}_embeddings.weight"), &[rows, hidden]);
        }
        self.norm("bert.embeddings.LayerNorm", hidden);
        for layer in 0..config.layers {
            let prefix = format!("bert.encoder.layer.{layer}");
            for part in ["query", "key", "value"] {
                self.linear(&format!("{prefix}.attention.self.{part}"), hidden, hidden);
            }
            self.linear(&format!("{prefix}.attention.output.dense"), hidden, hidden);
            self.norm(&format!("{prefix}.attention.output.LayerNorm"), hidden);
            self.linear(&format!("{prefix}.intermediate.dense"), hidden, config.intermediate_size);
            self.linear(&format!("{prefix}.output.dense"), config.intermediate_size, hidden);
            self.norm(&format!("{prefix}.output.LayerNorm"), hidden);
        }
    }
}
