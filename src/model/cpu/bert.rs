//! The BERT text tower for encoding on the CPU: texts lie end to end, without padding.
use super::ROWS_AT_A_TIME;
use super::elementwise::Activation;
use super::layer::{Block, Norm, Scratch, load_linear};
use super::product::{Output, PackedLinear, Rows, WeightFormat};
use crate::model::config::TextConfig;
use crate::model::{ModelError, ParameterSource};

const LAYER_NORM_EPSILON: f32 = 1e-12;

/// Token ids to `[texts, embed_dim]`, pooled at the first token.
#[derive(Debug)]
pub(crate) struct CpuBert {
    words: Vec<f32>,
    /// Position and token type, added up: `[positions, hidden]`.
    positions: Vec<f32>,
    norm: Norm,
    blocks: Vec<Block>,
    projection: PackedLinear,
    hidden_size: usize,
    embed_dim: usize,
}

impl CpuBert {
    pub(crate) fn load(
        source: &mut dyn ParameterSource,
        config: &TextConfig,
        embed_dim: usize,
        format: WeightFormat,
    ) -> Result<Self, ModelError> {
        let hidden = config.hidden_size;
        let mut table = |name: &str, rows: usize| {
            source.take(&format!("bert.embeddings.{name}_embeddings.weight"), &[rows, hidden])
        };
        let words = table("word", config.vocab_size)?;
        let mut positions = table("position", config.max_position_embeddings)?;
        let types = table("token_type", config.type_vocab_size)?;
        for position in positions.chunks_mut(hidden) {
            position.iter_mut().zip(&types).for_each(|(position, first)| *position += first);
        }
        let norm = Norm::load(source, "bert.embeddings.LayerNorm", hidden, LAYER_NORM_EPSILON)?;
        let blocks = (0..config.layers).map(|layer| load_block(source, config, layer, format));
        let blocks = blocks.collect::<Result<Vec<_>, _>>()?;
        let projection = source.take("text_projection", &[hidden, embed_dim])?;
        let projection = PackedLinear::from_columns(&projection, embed_dim, format);
        Ok(Self { words, positions, norm, blocks, projection, hidden_size: hidden, embed_dim })
    }

    /// Text features `[texts, embed_dim]` of ids `[texts, length]`, not normalised; zeros are padding.
    pub(crate) fn forward(&self, ids: &[u32], length: usize) -> Result<Vec<f32>, ModelError> {
        let mut scratch = Scratch::default();
        let mut features = Vec::with_capacity(ids.len() / length * self.embed_dim);
        let (mut tokens, mut lengths) = (Vec::new(), Vec::new());
        for text in ids.chunks(length) {
            // Where all is padding, all positions weigh the same, as in the reference.
            let used = text.iter().rposition(|id| *id != 0).map_or(length, |last| last + 1);
            if !tokens.is_empty() && tokens.len() + used > ROWS_AT_A_TIME {
                features.extend(self.encode(&tokens, &lengths, &mut scratch)?);
                tokens.clear();
                lengths.clear();
            }
            tokens.extend_from_slice(&text[..used]);
            lengths.push(used);
        }
        if !tokens.is_empty() {
            features.extend(self.encode(&tokens, &lengths, &mut scratch)?);
        }
        Ok(features)
    }

    fn encode(&self, tokens: &[u32], lengths: &[usize], scratch: &mut Scratch) -> Result<Vec<f32>, ModelError> {
        let width = self.hidden_size;
        let mut x = self.embed(tokens, lengths)?;
        self.norm.apply(&mut x);
        for (layer, block) in self.blocks.iter().enumerate() {
            block.forward(&mut x, width, lengths, Some(tokens), layer + 1 == self.blocks.len(), scratch);
        }
        let mut features = vec![0.0; lengths.len() * self.embed_dim];
        self.projection.multiply(Rows::dense(&x, width), &mut features, Output::Write(Activation::Identity));
        Ok(features)
    }

    fn embed(&self, tokens: &[u32], lengths: &[usize]) -> Result<Vec<f32>, ModelError> {
        let width = self.hidden_size;
        let mut x = Vec::with_capacity(tokens.len() * width);
        let positions = lengths.iter().flat_map(|length| 0..*length);
        for (token, position) in tokens.iter().zip(positions) {
            let expected = self.words.len() / width;
            let word = self.words.chunks(width).nth(*token as usize);
            let word = word.ok_or(ModelError::UnknownToken { id: *token, expected })?;
            x.extend(word.iter().zip(&self.positions[position * width..]).map(|(word, position)| word + position));
        }
        Ok(x)
    }
}

fn load_block(
    source: &mut dyn ParameterSource,
    config: &TextConfig,
    layer: usize,
    format: WeightFormat,
) -> Result<Block, ModelError> {
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let prefix = format!("bert.encoder.layer.{layer}");
    let (mut weight, mut bias) = (Vec::new(), Vec::new());
    for part in ["query", "key", "value"] {
        weight.extend(source.take(&format!("{prefix}.attention.self.{part}.weight"), &[hidden, hidden])?);
        bias.extend(source.take(&format!("{prefix}.attention.self.{part}.bias"), &[hidden])?);
    }
    let attention = format!("{prefix}.attention.output");
    let output = format!("{prefix}.output");
    Ok(Block {
        qkv: PackedLinear::from_rows(&weight, hidden, bias, format),
        attention_output: load_linear(source, &format!("{attention}.dense"), hidden, hidden, format)?,
        hidden: load_linear(source, &format!("{prefix}.intermediate.dense"), hidden, inner, format)?,
        output: load_linear(source, &format!("{output}.dense"), inner, hidden, format)?,
        first_norm: Norm::load(source, &format!("{attention}.LayerNorm"), hidden, LAYER_NORM_EPSILON)?,
        second_norm: Norm::load(source, &format!("{output}.LayerNorm"), hidden, LAYER_NORM_EPSILON)?,
        activation: Activation::Gelu,
        norm_first: false,
        heads: config.heads,
        hidden_width: inner,
    })
}
