//! Gradients by reference key, flat, without a graph.
use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor};

use crate::model::clip::{ClipModel, read};
use crate::model::error::ModelError;
use crate::model::parameters::KeyPath;

/// A gradient for every parameter that has one.
#[derive(Debug, Default)]
pub(super) struct GradientMap {
    flat: BTreeMap<String, Tensor<1>>,
}

impl GradientMap {
    /// Takes the gradients of a model's parameters out of a backward pass.
    pub(super) fn collect(&mut self, model: &ClipModel, gradients: &mut Gradients) {
        model.visit(&mut Collector { path: KeyPath::default(), gradients, map: self });
    }

    /// Adds up where a key is there already.
    pub(super) fn insert(&mut self, key: String, gradient: Tensor<1>) {
        let sum = match self.flat.remove(&key) {
            Some(known) => known + gradient,
            None => gradient,
        };
        self.flat.insert(key, sum);
    }

    /// Adds gradients of another device.
    pub(super) fn add(&mut self, other: Self, device: &Device) {
        other.flat.into_iter().for_each(|(key, gradient)| self.insert(key, gradient.to_device(device)));
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Tensor<1>> {
        self.flat.remove(key)
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.flat.retain(|key, _| keep(key));
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = (String, Tensor<1>)> {
        self.flat.into_iter()
    }

    /// Euclidean norm over all of them.
    pub(super) fn norm(&self) -> Result<f64, ModelError> {
        if self.flat.is_empty() {
            return Ok(0.0);
        }
        let squares = self.flat.values().map(|gradient| gradient.clone().square().sum()).collect();
        Ok(scalar(Tensor::cat(squares, 0).sum())?.sqrt())
    }
}

/// The one value of a tensor.
pub(super) fn scalar(tensor: Tensor<1>) -> Result<f64, ModelError> {
    Ok(read(tensor)?.first().copied().map_or(f64::NAN, f64::from))
}

struct Collector<'a> {
    path: KeyPath,
    gradients: &'a mut Gradients,
    map: &'a mut GradientMap,
}

impl ModuleVisitor for Collector<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad_remove(self.gradients) {
            let count = gradient.dims().iter().product::<usize>();
            self.map.insert(self.path.key(), gradient.reshape([count]));
        }
    }

    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }
}
