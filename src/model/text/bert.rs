//! The post-norm BERT encoder of the reference's `modeling_bert.py`, pooled at `[CLS]`.
use burn::module::Module;
use burn::tensor::activation::gelu;
use burn::tensor::{Int, Tensor};

use crate::model::config::TextConfig;
use crate::model::error::ModelError;
use crate::model::layer::{Embedding, Forward, LayerNorm, Linear, attention, merge_heads, positions, split_heads};
use crate::model::parameters::ParameterLoader;

const LAYER_NORM_EPSILON: f64 = 1e-12;
/// Added to the scores of padded positions.
const MASKED_SCORE: f64 = -10_000.0;

/// `[batch, tokens]` to the hidden state of `[CLS]`, `[batch, hidden]`.
#[derive(Module, Debug)]
pub struct Bert {
    embeddings: Embeddings,
    encoder: Encoder,
}

#[derive(Module, Debug)]
struct Embeddings {
    word_embeddings: Embedding,
    position_embeddings: Embedding,
    token_type_embeddings: Embedding,
    layer_norm: LayerNorm,
    dropout: f64,
}

#[derive(Module, Debug)]
struct Encoder {
    layer: Vec<Layer>,
}

#[derive(Module, Debug)]
struct Layer {
    attention: Attention,
    intermediate: Intermediate,
    output: Output,
}

#[derive(Module, Debug)]
struct Attention {
    self_attention: SelfAttention,
    output: Output,
}

#[derive(Module, Debug)]
struct SelfAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    heads: usize,
    dropout: f64,
}

#[derive(Module, Debug)]
struct Intermediate {
    dense: Linear,
}

/// Projection, dropout, residual and norm: the end of both halves of a layer.
#[derive(Module, Debug)]
struct Output {
    dense: Linear,
    layer_norm: LayerNorm,
    dropout: f64,
}

impl Bert {
    pub(crate) fn load(mut at: ParameterLoader<'_>, config: &TextConfig) -> Result<Self, ModelError> {
        let embeddings = Embeddings::load(at.at("embeddings"), config)?;
        let mut layer = Vec::with_capacity(config.layers);
        for index in 0..config.layers {
            layer.push(Layer::load(at.at(format!("encoder.layer.{index}")), config)?);
        }
        Ok(Self { embeddings, encoder: Encoder { layer } })
    }

    /// The hidden state of `[CLS]`; zeros in `tokens` are padding.
    pub fn forward(&self, tokens: Tensor<2, Int>, mode: Forward) -> Tensor<2> {
        let padding = Self::padding(tokens.clone());
        let x = self.start(tokens, mode);
        Self::pooled(self.encoder.layer.iter().fold(x, |x, layer| layer.forward(x, padding.clone(), mode)))
    }

    /// Layers.
    pub(crate) fn depth(&self) -> usize {
        self.encoder.layer.len()
    }

    /// Embeddings `[batch, tokens, hidden]`.
    pub(crate) fn start(&self, tokens: Tensor<2, Int>, mode: Forward) -> Tensor<3> {
        self.embeddings.forward(tokens, mode)
    }

    /// One layer; none beyond the last.
    pub(crate) fn block(&self, index: usize, x: Tensor<3>, padding: Tensor<4>, mode: Forward) -> Tensor<3> {
        match self.encoder.layer.get(index) {
            Some(layer) => layer.forward(x, padding, mode),
            None => x,
        }
    }

    /// The first token's row of `[batch, tokens, hidden]`.
    pub(crate) fn pooled(x: Tensor<3>) -> Tensor<2> {
        x.narrow(1, 0, 1).squeeze_dim(1)
    }

    /// What is added to attention scores, `[batch, 1, 1, tokens]`.
    pub(crate) fn padding(tokens: Tensor<2, Int>) -> Tensor<4> {
        let [batch, length] = tokens.dims();
        tokens.equal_scalar(0).float().mul_scalar(MASKED_SCORE).reshape([batch, 1, 1, length])
    }
}

impl Embeddings {
    fn load(mut at: ParameterLoader<'_>, config: &TextConfig) -> Result<Self, ModelError> {
        let hidden = config.hidden_size;
        let positions = config.max_position_embeddings;
        Ok(Self {
            word_embeddings: Embedding::load(at.at("word_embeddings"), config.vocab_size, hidden)?,
            position_embeddings: Embedding::load(at.at("position_embeddings"), positions, hidden)?,
            token_type_embeddings: Embedding::load(at.at("token_type_embeddings"), config.type_vocab_size, hidden)?,
            layer_norm: LayerNorm::load(at.at("LayerNorm"), hidden, LAYER_NORM_EPSILON)?,
            dropout: config.hidden_dropout,
        })
    }

    fn forward(&self, tokens: Tensor<2, Int>, mode: Forward) -> Tensor<3> {
        let length = tokens.dims()[1];
        let positions = positions(length, &tokens.device());
        let words = burn::tensor::module::embedding(self.word_embeddings.weight.val(), tokens);
        let position = self.position_embeddings.weight.val().select(0, positions);
        let kind = self.token_type_embeddings.weight.val().narrow(0, 0, 1);
        let x = words + (position + kind).unsqueeze();
        mode.dropout(self.layer_norm.forward(x), self.dropout)
    }
}

impl Layer {
    fn load(mut at: ParameterLoader<'_>, config: &TextConfig) -> Result<Self, ModelError> {
        let hidden = config.hidden_size;
        let mut part = at.at("attention.self");
        let self_attention = SelfAttention {
            query: Linear::load(part.at("query"), hidden, hidden)?,
            key: Linear::load(part.at("key"), hidden, hidden)?,
            value: Linear::load(part.at("value"), hidden, hidden)?,
            heads: config.heads,
            dropout: config.attention_dropout,
        };
        let output = Output::load(at.at("attention.output"), hidden, config)?;
        let dense = Linear::load(at.at("intermediate.dense"), hidden, config.intermediate_size)?;
        Ok(Self {
            attention: Attention { self_attention, output },
            intermediate: Intermediate { dense },
            output: Output::load(at.at("output"), config.intermediate_size, config)?,
        })
    }

    fn forward(&self, x: Tensor<3>, padding: Tensor<4>, mode: Forward) -> Tensor<3> {
        let context = self.attention.self_attention.forward(&x, padding, mode);
        let x = self.attention.output.forward(context, x, mode);
        let hidden = gelu(self.intermediate.dense.forward(x.clone(), mode));
        self.output.forward(hidden, x, mode)
    }
}

impl SelfAttention {
    fn forward(&self, x: &Tensor<3>, padding: Tensor<4>, mode: Forward) -> Tensor<3> {
        let part = |linear: &Linear| split_heads(linear.forward(x.clone(), mode), self.heads);
        let (query, key, value) = (part(&self.query), part(&self.key), part(&self.value));
        merge_heads(attention(query, key, value, Some(padding), self.dropout, mode))
    }
}

impl Output {
    fn load(mut at: ParameterLoader<'_>, input: usize, config: &TextConfig) -> Result<Self, ModelError> {
        let hidden = config.hidden_size;
        Ok(Self {
            dense: Linear::load(at.at("dense"), input, hidden)?,
            layer_norm: LayerNorm::load(at.at("LayerNorm"), hidden, LAYER_NORM_EPSILON)?,
            dropout: config.hidden_dropout,
        })
    }

    fn forward(&self, x: Tensor<3>, residual: Tensor<3>, mode: Forward) -> Tensor<3> {
        let x = mode.dropout(self.dense.forward(x, mode), self.dropout);
        self.layer_norm.forward(x + residual)
    }
}
