//! The vision transformer of CLIP for encoding on the CPU.
use rayon::prelude::*;

use super::ROWS_AT_A_TIME;
use super::elementwise::Activation;
use super::layer::{Block, Norm, Scratch, load_linear};
use super::product::{Output, PackedLinear, Rows, WeightFormat};
use crate::model::config::VitConfig;
use crate::model::{ModelError, ParameterSource};

const LAYER_NORM_EPSILON: f32 = 1e-5;

/// `[batch, 3, side, side]` to `[batch, embed_dim]`.
#[derive(Debug)]
pub(crate) struct CpuVisionTransformer {
    config: VitConfig,
    patch: PackedLinear,
    /// `[tokens, width]`; the class embedding is in the first row.
    positions: Vec<f32>,
    pre: Norm,
    blocks: Vec<Block>,
    post: Norm,
    projection: PackedLinear,
    embed_dim: usize,
}

impl CpuVisionTransformer {
    pub(crate) fn load(
        source: &mut dyn ParameterSource,
        config: &VitConfig,
        embed_dim: usize,
        format: WeightFormat,
    ) -> Result<Self, ModelError> {
        let (width, patch) = (config.width, config.patch_size);
        let kernel = source.take("visual.conv1.weight", &[width, 3, patch, patch])?;
        let mut positions = source.take("visual.positional_embedding", &[config.patches() + 1, width])?;
        let class = source.take("visual.class_embedding", &[width])?;
        positions.iter_mut().zip(&class).for_each(|(position, class)| *position += class);
        let pre = Norm::load(source, "visual.ln_pre", width, LAYER_NORM_EPSILON)?;
        let blocks = (0..config.layers).map(|layer| load_block(source, config, layer, format));
        let blocks = blocks.collect::<Result<Vec<_>, _>>()?;
        let post = Norm::load(source, "visual.ln_post", width, LAYER_NORM_EPSILON)?;
        let projection = source.take("visual.proj", &[width, embed_dim])?;
        Ok(Self {
            config: config.clone(),
            patch: PackedLinear::from_rows(&kernel, 3 * patch * patch, Vec::new(), format),
            positions,
            pre,
            blocks,
            post,
            projection: PackedLinear::from_columns(&projection, embed_dim, format),
            embed_dim,
        })
    }

    /// Image features `[count, embed_dim]`, not normalised.
    pub(crate) fn forward(&self, pixels: &[f32]) -> Vec<f32> {
        let image = 3 * self.config.image_resolution.pow(2);
        let at_a_time = (ROWS_AT_A_TIME / self.tokens()).max(1);
        let mut scratch = Scratch::default();
        pixels.chunks(at_a_time * image).flat_map(|pixels| self.encode(pixels, &mut scratch)).collect()
    }

    fn encode(&self, pixels: &[f32], scratch: &mut Scratch) -> Vec<f32> {
        let width = self.config.width;
        let mut x = self.embed(pixels);
        self.pre.apply(&mut x);
        let lengths = vec![self.tokens(); x.len() / (width * self.tokens())];
        for (layer, block) in self.blocks.iter().enumerate() {
            block.forward(&mut x, width, &lengths, None, layer + 1 == self.blocks.len(), scratch);
        }
        self.post.apply(&mut x);
        let mut features = vec![0.0; lengths.len() * self.embed_dim];
        self.projection.multiply(Rows::dense(&x, width), &mut features, Output::Write(Activation::Identity));
        features
    }

    /// Patches through the convolution, with class token and positions: `[images × tokens, width]`.
    fn embed(&self, pixels: &[f32]) -> Vec<f32> {
        let (side, patch, width) = (self.config.image_resolution, self.config.patch_size, self.config.width);
        let grid = side / patch;
        let length = 3 * patch * patch;
        let images = pixels.len() / (3 * side * side);
        let mut patches = vec![0.0; images * grid * grid * length];
        patches.par_chunks_mut(grid * length).enumerate().for_each(|(row, out)| {
            let image = &pixels[row / grid * 3 * side * side..];
            for (column, out) in out.chunks_mut(length).enumerate() {
                for (line, out) in out.chunks_mut(patch).enumerate() {
                    let y = row % grid * patch + line % patch;
                    out.copy_from_slice(&image[(line / patch * side + y) * side + column * patch..][..patch]);
                }
            }
        });
        let mut embedded = vec![0.0; images * grid * grid * width];
        self.patch.multiply(Rows::dense(&patches, length), &mut embedded, Output::Write(Activation::Identity));
        let mut x = Vec::with_capacity(images * self.positions.len());
        for image in embedded.chunks(grid * grid * width) {
            let (class, rest) = self.positions.split_at(width);
            x.extend_from_slice(class);
            x.extend(image.iter().zip(rest).map(|(x, position)| x + position));
        }
        x
    }

    fn tokens(&self) -> usize {
        self.config.patches() + 1
    }
}

fn load_block(
    source: &mut dyn ParameterSource,
    config: &VitConfig,
    layer: usize,
    format: WeightFormat,
) -> Result<Block, ModelError> {
    let (width, hidden_width) = (config.width, 4 * config.width);
    let prefix = format!("visual.transformer.resblocks.{layer}");
    let weight = source.take(&format!("{prefix}.attn.in_proj_weight"), &[3 * width, width])?;
    let bias = source.take(&format!("{prefix}.attn.in_proj_bias"), &[3 * width])?;
    Ok(Block {
        qkv: PackedLinear::from_rows(&weight, width, bias, format),
        attention_output: load_linear(source, &format!("{prefix}.attn.out_proj"), width, width, format)?,
        hidden: load_linear(source, &format!("{prefix}.mlp.c_fc"), width, hidden_width, format)?,
        output: load_linear(source, &format!("{prefix}.mlp.c_proj"), hidden_width, width, format)?,
        first_norm: Norm::load(source, &format!("{prefix}.ln_1"), width, LAYER_NORM_EPSILON)?,
        second_norm: Norm::load(source, &format!("{prefix}.ln_2"), width, LAYER_NORM_EPSILON)?,
        activation: Activation::QuickGelu,
        norm_first: true,
        heads: config.heads(),
        hidden_width,
    })
}
