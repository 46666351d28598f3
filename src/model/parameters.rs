//! Named tensors on the host, keyed as the reference's state dict, and their way into and out of a module.
use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::ModelError;

/// One tensor: shape and row-major values.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// Tensors by reference key, e.g. `visual.transformer.resblocks.0.attn.in_proj_weight`.
pub type StateDict = BTreeMap<String, NamedTensor>;

/// Where a module's parameters come from: a file or a random generator.
pub trait ParameterSource {
    /// The values of `key` in row-major order; `shape` is what the model expects.
    fn take(&mut self, key: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError>;
}

impl ParameterSource for StateDict {
    fn take(&mut self, key: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let tensor = self
            .remove(key)
            .ok_or_else(|| ModelError::MissingTensor { key: key.to_owned(), expected: shape.to_vec() })?;
        if tensor.shape != shape {
            return Err(ModelError::WrongShape { key: key.to_owned(), expected: shape.to_vec(), found: tensor.shape });
        }
        Ok(tensor.values)
    }
}

/// Builds a module's parameters one by one under a growing key prefix.
pub(crate) struct ParameterLoader<'a> {
    source: &'a mut dyn ParameterSource,
    device: Device,
    prefix: String,
}

impl<'a> ParameterLoader<'a> {
    pub(crate) fn new(source: &'a mut dyn ParameterSource, device: &Device) -> Self {
        Self { source, device: device.clone(), prefix: String::new() }
    }

    /// A loader for the part `name` of the current module.
    pub(crate) fn at(&mut self, name: impl std::fmt::Display) -> ParameterLoader<'_> {
        let prefix = format!("{}{name}.", self.prefix);
        ParameterLoader { source: &mut *self.source, device: self.device.clone(), prefix }
    }

    /// The parameter `name` of the current module.
    pub(crate) fn parameter<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Param<Tensor<D>>, ModelError> {
        let values = self.source.take(&format!("{}{name}", self.prefix), &shape)?;
        let tensor = Tensor::from_data(TensorData::new(values, shape), &self.device);
        Ok(Param::from_tensor(tensor))
    }
}

/// Follows a traversal of a module and knows the reference key of the current parameter.
#[derive(Debug, Default)]
pub(crate) struct KeyPath {
    parts: Vec<String>,
}

impl KeyPath {
    pub(crate) fn enter(&mut self, field: &str, container: &str) {
        // Field names that Rust or its style cannot spell as the reference does; a variant of an enum has no name there.
        let part = match field {
            _ if container.starts_with("Enum:") => "",
            "self_attention" => "self",
            "layer_norm" => "LayerNorm",
            "shortcut_conv" => "0",
            "shortcut_norm" => "1",
            other => other,
        };
        self.parts.push(part.to_owned());
    }

    pub(crate) fn exit(&mut self) {
        self.parts.pop();
    }

    pub(crate) fn key(&self) -> String {
        let named: Vec<&str> = self.parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        named.join(".")
    }
}

/// All parameters on the host.
pub(crate) fn state_dict<M: Module>(module: &M) -> Result<StateDict, ModelError> {
    let mut visitor = StateVisitor::default();
    module.visit(&mut visitor);
    match visitor.failed {
        Some(reason) => Err(ModelError::Device { reason }),
        None => Ok(visitor.state),
    }
}

#[derive(Default)]
struct StateVisitor {
    path: KeyPath,
    state: StateDict,
    failed: Option<String>,
}

impl ModuleVisitor for StateVisitor {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let shape = tensor.dims().to_vec();
        match tensor.try_into_vec_as::<f32>() {
            Ok(values) => {
                self.state.insert(self.path.key(), NamedTensor { shape, values });
            }
            Err(error) => self.failed = Some(format!("{error:?}")),
        }
    }

    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }
}
