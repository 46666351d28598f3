//! An exponential moving average of the weights.
use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};

use crate::model::clip::{ClipModel, read};
use crate::model::error::ModelError;
use crate::model::layout::is_parameter;
use crate::model::parameters::{NamedTensor, StateDict};

const PREFIX: &str = "average.";

/// Averages by key, flat.
#[derive(Debug)]
pub(super) struct Average {
    decay: f64,
    values: BTreeMap<String, Tensor<1>>,
}

impl Average {
    /// Starts at the weights of `model`.
    pub(super) fn new(decay: f64, model: &ClipModel) -> Self {
        let mut values = BTreeMap::new();
        model.flat_parameters(|key, value| {
            if is_parameter(&key) {
                values.insert(key, value);
            }
        });
        Self { decay, values }
    }

    /// average + (1 - decay) · (weights - average), in which what does not change stays to the bit.
    pub(super) fn update(&mut self, model: &ClipModel) {
        let Self { decay, values } = self;
        model.flat_parameters(|key, value| {
            if let Some(average) = values.remove(&key) {
                let change = (value - average.clone()).mul_scalar(1.0 - *decay);
                values.insert(key, average + change);
            }
        });
    }

    /// The averages in the places of the weights.
    pub(super) fn replace(&self, mut state: StateDict) -> Result<StateDict, ModelError> {
        for (key, average) in &self.values {
            if let Some(tensor) = state.get_mut(key) {
                tensor.values = read(average.clone())?;
            }
        }
        Ok(state)
    }

    pub(super) fn save(&self, state: &mut StateDict) -> Result<(), ModelError> {
        for (key, average) in &self.values {
            let values = read(average.clone())?;
            state.insert(format!("{PREFIX}{key}"), NamedTensor { shape: vec![values.len()], values });
        }
        Ok(())
    }

    pub(super) fn restore(&mut self, state: &StateDict, device: &Device) -> Result<(), ModelError> {
        for (key, average) in &mut self.values {
            let key = format!("{PREFIX}{key}");
            let expected = average.dims();
            let Some(tensor) = state.get(&key).filter(|tensor| tensor.shape == expected) else {
                return Err(ModelError::MissingTensor { key, expected: expected.to_vec() });
            };
            *average = Tensor::from_data(TensorData::new(tensor.values.clone(), expected), device);
        }
        Ok(())
    }
}
