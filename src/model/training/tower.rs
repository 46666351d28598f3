//! A tower as a chain of segments, so that a backward pass can go one segment at a time.
use burn::module::Param;
use burn::tensor::{Gradients, Int, Tensor};

use crate::model::clip::ClipModel;
use crate::model::device::ComputeDevice;
use crate::model::error::ModelError;
use crate::model::layer::Forward;
use crate::model::text::Bert;
use crate::model::vision::VisionTower;

/// Segments: the start, the blocks, the end.
pub(super) trait Chain: Sync {
    type Input: Sync;

    /// Whether a forward pass draws from the device's generator.
    const DRAWS: bool;

    fn blocks(&self) -> usize;
    fn start(&self, input: &Self::Input, mode: Forward) -> Tensor<3>;
    fn block(&self, index: usize, x: Tensor<3>, input: &Self::Input, mode: Forward) -> Tensor<3>;
    fn end(&self, x: Tensor<3>, mode: Forward) -> Tensor<2>;
}

/// Images `[batch, 3, side, side]`, and which patches stay, `[batch, kept]`.
#[derive(Debug)]
pub(super) struct ImageInput {
    pub(super) pixels: Tensor<4>,
    pub(super) kept: Option<Tensor<2, Int>>,
}

impl Chain for VisionTower {
    type Input = ImageInput;
    const DRAWS: bool = false;

    fn blocks(&self) -> usize {
        self.depth()
    }

    fn start(&self, input: &ImageInput, mode: Forward) -> Tensor<3> {
        self.start(input.pixels.clone(), input.kept.clone(), mode)
    }

    fn block(&self, index: usize, x: Tensor<3>, _input: &ImageInput, mode: Forward) -> Tensor<3> {
        self.block(index, x, mode)
    }

    fn end(&self, x: Tensor<3>, mode: Forward) -> Tensor<2> {
        self.end(x, mode)
    }
}

/// BERT and the projection that the model keeps beside it.
pub(super) struct TextTower {
    bert: Bert,
    projection: Param<Tensor<2>>,
}

impl TextTower {
    pub(super) fn of(model: &ClipModel) -> Self {
        let (bert, projection) = model.text();
        Self { bert: bert.clone(), projection: projection.clone() }
    }
}

impl Chain for TextTower {
    /// Token ids `[batch, length]`.
    type Input = Tensor<2, Int>;
    const DRAWS: bool = true;

    fn blocks(&self) -> usize {
        self.bert.depth()
    }

    fn start(&self, input: &Tensor<2, Int>, mode: Forward) -> Tensor<3> {
        self.bert.start(input.clone(), mode)
    }

    fn block(&self, index: usize, x: Tensor<3>, input: &Tensor<2, Int>, mode: Forward) -> Tensor<3> {
        self.bert.block(index, x, Bert::padding(input.clone()), mode)
    }

    fn end(&self, x: Tensor<3>, mode: Forward) -> Tensor<2> {
        mode.precision.matmul(Bert::pooled(x), self.projection.val())
    }
}

/// A chain at work on one input. Every segment draws from a seed of its own, so that computing it again draws the same.
pub(super) struct Walk<'a, C: Chain> {
    pub(super) chain: C,
    pub(super) input: &'a C::Input,
    pub(super) mode: Forward,
    pub(super) device: &'a ComputeDevice,
    pub(super) seed: u64,
}

impl<C: Chain> Walk<'_, C> {
    /// Features `[batch, embed_dim]`; `visit` sees the input of every block and of the end.
    pub(super) fn forward(&self, mut visit: impl FnMut(&Tensor<3>)) -> Tensor<2> {
        let mut x = self.start();
        for index in 0..self.chain.blocks() {
            visit(&x);
            x = self.block(index, x);
        }
        visit(&x);
        self.end(x)
    }

    /// The backward pass from `gradient` by the features, segment by segment: each is computed again from its kept input
    /// and its gradients are handed to `collect` before the next one begins.
    pub(super) fn backward(
        &self,
        mut inputs: Vec<Tensor<3>>,
        gradient: Tensor<2>,
        mut collect: impl FnMut(Gradients),
    ) -> Result<(), ModelError> {
        let lost = || ModelError::Device { reason: "a segment gave no gradient".to_owned() };
        let leaf = |x: Option<Tensor<3>>| x.map(|x| Tensor::from_inner(x).require_grad()).ok_or_else(lost);
        let x = leaf(inputs.pop())?;
        let mut gradients = backward_from(self.end(x.clone()), gradient);
        let mut by_input = x.grad_remove(&mut gradients).ok_or_else(lost)?;
        collect(gradients);
        for index in (0..self.chain.blocks()).rev() {
            let x = leaf(inputs.pop())?;
            let mut gradients = backward_from(self.block(index, x.clone()), by_input);
            by_input = x.grad_remove(&mut gradients).ok_or_else(lost)?;
            collect(gradients);
        }
        collect(backward_from(self.start(), by_input));
        Ok(())
    }

    fn start(&self) -> Tensor<3> {
        self.draw_for(0);
        self.chain.start(self.input, self.mode)
    }

    fn block(&self, index: usize, x: Tensor<3>) -> Tensor<3> {
        self.draw_for(index + 1);
        self.chain.block(index, x, self.input, self.mode)
    }

    fn end(&self, x: Tensor<3>) -> Tensor<2> {
        self.chain.end(x, self.mode)
    }

    fn draw_for(&self, segment: usize) {
        if C::DRAWS {
            self.device.seed(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(segment as u64));
        }
    }
}

/// Carries the gradient of the loss by `features` back to the parameters.
pub(super) fn backward_from<const D: usize>(features: Tensor<D>, gradient: Tensor<D>) -> Gradients {
    (features * Tensor::from_inner(gradient)).sum().backward()
}
