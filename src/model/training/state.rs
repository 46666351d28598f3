//! The state of a training run on the host, to continue from.
use burn::tensor::{Tensor, TensorData};

use super::Trainer;
use super::adamw::Moments;
use super::gradients::GradientMap;
use crate::model::clip::read;
use crate::model::error::ModelError;
use crate::model::parameters::{NamedTensor, StateDict};

impl Trainer {
    /// Everything beside the weights that the next step depends on: `first.<key>` and `second.<key>` of the optimiser,
    /// adapters, averages, and `steps`, `loss_scale`, `good_steps` as one value each.
    pub fn optimizer_state(&self) -> Result<StateDict, ModelError> {
        let mut state = StateDict::new();
        for (key, moments) in &self.optimizer.moments {
            for (name, tensor) in [("first", &moments.first), ("second", &moments.second)] {
                let values = read(tensor.clone())?;
                state.insert(format!("{name}.{key}"), NamedTensor { shape: vec![values.len()], values });
            }
        }
        let (factor, good_steps) = self.loss_scale.state();
        let scalars =
            [("steps", self.optimizer.steps as f32), ("loss_scale", factor as f32), ("good_steps", good_steps as f32)];
        for (name, value) in scalars {
            state.insert(name.to_owned(), NamedTensor { shape: vec![1], values: vec![value] });
        }
        if let Some(low_rank) = &self.low_rank {
            low_rank.save(&mut state)?;
        }
        if let Some(average) = &self.average {
            average.save(&mut state)?;
        }
        Ok(state)
    }

    /// Continues where `weights` and `optimizer` were saved. The trainer must have been built from the weights that the
    /// saved one was built from.
    pub fn restore(&mut self, weights: StateDict, optimizer: &StateDict) -> Result<(), ModelError> {
        let weights = self.config.fit(weights)?;
        for replica in &mut self.replicas {
            let device = replica.device.plain();
            let mut map = GradientMap::default();
            for (key, tensor) in &weights {
                let count = tensor.values.len();
                map.insert(key.clone(), Tensor::from_data(TensorData::new(tensor.values.clone(), [count]), &device));
            }
            replica.set(map)?;
        }
        self.restore_optimizer(optimizer)?;
        let device = self.first()?.device.plain();
        if let Some(low_rank) = &mut self.low_rank {
            low_rank.restore(optimizer, &device)?;
        }
        if let Some(average) = &mut self.average {
            average.restore(optimizer, &device)?;
        }
        Ok(())
    }

    /// Takes over moments and counters only, of a run that may have had other settings.
    pub fn restore_optimizer(&mut self, state: &StateDict) -> Result<(), ModelError> {
        let scalar = |name: &str| -> Result<f32, ModelError> {
            let missing = || ModelError::MissingTensor { key: name.to_owned(), expected: vec![1] };
            state.get(name).and_then(|tensor| tensor.values.first().copied()).ok_or_else(missing)
        };
        self.optimizer.steps = scalar("steps")? as i32;
        self.loss_scale.restore(f64::from(scalar("loss_scale")?), scalar("good_steps")? as u32);
        let device = self.first()?.device.plain();
        let moment = |name: &str, key: &str| -> Result<Tensor<1>, ModelError> {
            let key = format!("{name}.{key}");
            let Some(tensor) = state.get(&key) else {
                return Err(ModelError::MissingTensor { key, expected: Vec::new() });
            };
            let count = tensor.values.len();
            Ok(Tensor::from_data(TensorData::new(tensor.values.clone(), [count]), &device))
        };
        for key in state.keys().filter_map(|key| key.strip_prefix("first.")) {
            let moments = Moments { first: moment("first", key)?, second: moment("second", key)? };
            self.optimizer.moments.insert(key.to_owned(), moments);
        }
        Ok(())
    }
}
