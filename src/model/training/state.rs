//! The state of a training run on the host, to continue from.
use burn::tensor::{Tensor, TensorData};

use super::Trainer;
use super::adamw::Moments;
use super::gradients::GradientMap;
use super::low_rank::LowRank;
use crate::model::clip::read;
use crate::model::error::ModelError;
use crate::model::parameters::{NamedTensor, StateDict};

const FIRST: &str = "first.";
const SECOND: &str = "second.";

impl Trainer {
    /// Everything beside the weights that the next step depends on: `first.<key>` and `second.<key>` of the optimiser,
    /// adapters, averages, and `steps`, `loss_scale`, `good_steps` as one value each.
    pub fn optimizer_state(&self) -> Result<StateDict, ModelError> {
        let mut state = StateDict::new();
        for (key, moments) in &self.optimizer.moments {
            for (name, tensor) in [(FIRST, &moments.first), (SECOND, &moments.second)] {
                let values = read(tensor.clone())?;
                state.insert(format!("{name}{key}"), NamedTensor { shape: vec![values.len()], values });
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
        self.restore_moments(optimizer)?;
        let (factor, good_steps) = (scalar_of(optimizer, "loss_scale")?, scalar_of(optimizer, "good_steps")?);
        self.loss_scale.restore(f64::from(factor), good_steps as u32);
        let device = self.first()?.device.plain();
        if let Some(low_rank) = &mut self.low_rank {
            low_rank.restore(optimizer, &device)?;
        }
        if let Some(average) = &mut self.average {
            average.restore(optimizer, &device)?;
        }
        Ok(())
    }

    /// Takes over moments and their step count only, of a run that may have had other settings. A moment of another shape,
    /// or none that fits, is an error.
    pub fn inherit_optimizer(&mut self, state: &StateDict) -> Result<(), ModelError> {
        self.restore_moments(state)?;
        if self.optimizer.moments.is_empty() && state.keys().any(|key| key.starts_with(FIRST)) {
            let first = state.keys().find(|key| key.starts_with(FIRST)).cloned().unwrap_or_default();
            return Err(ModelError::UnusedTensors { count: state.len(), first });
        }
        Ok(())
    }

    fn restore_moments(&mut self, state: &StateDict) -> Result<(), ModelError> {
        self.optimizer.steps = scalar_of(state, "steps")? as i32;
        let device = self.first()?.device.plain();
        let mut lengths = self.low_rank.as_ref().map(LowRank::lengths).unwrap_or_default();
        if self.low_rank.is_none() {
            self.model()?.flat_parameters(|key, value| {
                lengths.insert(key, value.dims()[0]);
            });
        }
        for (key, expected) in lengths {
            let moment = |name: &str| -> Result<Option<Tensor<1>>, ModelError> {
                let key = format!("{name}{key}");
                match state.get(&key) {
                    None => Ok(None),
                    Some(tensor) if tensor.values.len() == expected => {
                        Ok(Some(Tensor::from_data(TensorData::new(tensor.values.clone(), [expected]), &device)))
                    }
                    Some(tensor) => {
                        let found = vec![tensor.values.len()];
                        Err(ModelError::WrongShape { key, expected: vec![expected], found })
                    }
                }
            };
            if let (Some(first), Some(second)) = (moment(FIRST)?, moment(SECOND)?) {
                self.optimizer.moments.insert(key.clone(), Moments { first, second });
            }
        }
        Ok(())
    }
}

fn scalar_of(state: &StateDict, name: &str) -> Result<f32, ModelError> {
    let missing = || ModelError::MissingTensor { key: name.to_owned(), expected: vec![1] };
    state.get(name).and_then(|tensor| tensor.values.first().copied()).ok_or_else(missing)
}
