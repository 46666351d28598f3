//! One part of a batch on one device: both towers, with and without a graph.
use burn::module::Module;
use burn::tensor::{Int, Tensor};

use super::gradients::GradientMap;
use super::options::{Tower, TrainerOptions};
use super::replica::{Part, Replica};
use super::tower::{Chain, ImageInput, TextTower, Walk, backward_from};
use crate::model::clip::ClipModel;
use crate::model::device::ComputeDevice;
use crate::model::error::ModelError;
use crate::model::layer::Forward;
use crate::model::vision::VisionTower;

/// The model and the input of a part, each with and without a graph.
pub(super) struct Work<'a> {
    model: &'a ClipModel,
    plain: ClipModel,
    images: [ImageInput; 2],
    tokens: [Tensor<2, Int>; 2],
    device: &'a ComputeDevice,
    options: &'a TrainerOptions,
    seed: u64,
}

/// One tower of it.
pub(super) struct TowerWork<'a, C: Chain> {
    model: &'a ClipModel,
    graph: Walk<'a, C>,
    plain: Walk<'a, C>,
}

/// What a forward pass of a tower left.
pub(super) struct TowerRun {
    /// `[rows, embed_dim]`, without a graph.
    pub(super) features: Tensor<2>,
    kept: Kept,
}

/// What a forward pass keeps for the backward pass.
enum Kept {
    /// Nothing: it is computed again.
    Nothing,
    /// The features with their graph.
    Graph(Tensor<2>),
    /// The input of every segment.
    Inputs(Vec<Tensor<3>>),
}

impl<'a> Work<'a> {
    pub(super) fn new(replica: &'a Replica, part: &Part, options: &'a TrainerOptions) -> Result<Self, ModelError> {
        let model = replica.model()?;
        let (images, tokens) = replica.inputs(part, options)?;
        let traced = ImageInput {
            pixels: Tensor::from_inner(images.pixels.clone()),
            kept: images.kept.clone().map(Tensor::from_inner),
        };
        Ok(Self {
            model,
            plain: model.clone().valid(),
            images: [traced, images],
            tokens: [Tensor::from_inner(tokens.clone()), tokens],
            device: &replica.device,
            options,
            seed: part.seed,
        })
    }

    pub(super) fn vision(&self) -> TowerWork<'_, VisionTower> {
        let [traced, plain] = &self.images;
        TowerWork {
            model: self.model,
            graph: self.walk(Tower::Vision, self.model.vision().clone(), traced),
            plain: self.walk(Tower::Vision, self.plain.vision().clone(), plain),
        }
    }

    pub(super) fn text(&self) -> TowerWork<'_, TextTower> {
        let [traced, plain] = &self.tokens;
        TowerWork {
            model: self.model,
            graph: self.walk(Tower::Text, TextTower::of(self.model), traced),
            plain: self.walk(Tower::Text, TextTower::of(&self.plain), plain),
        }
    }

    /// A frozen tower is run as in evaluation: without dropout, its batch norms with their running statistics.
    fn walk<'b, C: Chain>(&'b self, tower: Tower, chain: C, input: &'b C::Input) -> Walk<'b, C> {
        let mode = Forward { precision: self.options.precision, training: self.options.trains_tower(tower) };
        Walk { chain, input, mode, device: self.device, seed: self.seed }
    }
}

impl<C: Chain> TowerWork<'_, C> {
    /// With `once` this is the only part of the device, and what the backward pass needs may stay in memory.
    pub(super) fn forward(&self, tower: Tower, options: &TrainerOptions, once: bool) -> TowerRun {
        if !options.trains_tower(tower) || !once {
            return TowerRun { features: self.plain.forward(|_| {}), kept: Kept::Nothing };
        }
        if options.checkpointing {
            let (features, inputs) = self.forward_keeping_inputs();
            return TowerRun { features, kept: Kept::Inputs(inputs) };
        }
        let features = self.graph.forward(|_| {});
        TowerRun { features: features.clone().inner(), kept: Kept::Graph(features) }
    }

    /// Gradients of the tower's parameters from those of its features.
    pub(super) fn backward(
        &self,
        run: TowerRun,
        gradient: Tensor<2>,
        tower: Tower,
        options: &TrainerOptions,
    ) -> Result<GradientMap, ModelError> {
        let mut map = GradientMap::default();
        if !options.trains_tower(tower) {
            return Ok(map);
        }
        let mut collect = |mut gradients| map.collect(self.model, &mut gradients);
        match run.kept {
            Kept::Graph(features) => collect(backward_from(features, gradient)),
            Kept::Inputs(inputs) => self.graph.backward(inputs, gradient, collect)?,
            Kept::Nothing if options.checkpointing => {
                let (_, inputs) = self.forward_keeping_inputs();
                self.graph.backward(inputs, gradient, collect)?;
            }
            Kept::Nothing => collect(backward_from(self.graph.forward(|_| {}), gradient)),
        }
        Ok(map)
    }

    fn forward_keeping_inputs(&self) -> (Tensor<2>, Vec<Tensor<3>>) {
        let mut inputs = Vec::new();
        let features = self.plain.forward(|x| inputs.push(x.clone()));
        (features, inputs)
    }
}
