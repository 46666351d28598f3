//! What can go wrong while training.
use crate::data::ErrorClass;
use crate::stage::StageError;

/// Errors of the room `train`.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("data set `{data}` has no training pairs; check its source or its split")]
    NoPairs { data: String },
    #[error("batch_size is {batch_size} but data set `{data}` has only {pairs} training pairs; lower it")]
    BatchTooLarge { batch_size: usize, data: String, pairs: usize },
    #[error(
        "loss became {loss}, the gradient's norm {gradient_norm}, in epoch {epoch}, step {step}; lower learning_rate; the state before it is kept in {scratch} (weights.safetensors)"
    )]
    NotFinite { loss: f64, gradient_norm: f64, epoch: u32, step: u64, scratch: String },
    #[error("mask_ratio removes patches of a vision transformer, and this model is a residual network; remove it")]
    MaskedResidualNetwork,
    #[error(
        "nothing is left to train: lora adapts no matrix of the towers that are not frozen; change `lora` or `freeze`"
    )]
    NothingToTrain,
    #[error("stage `{stage}` kept no optimiser; give it `keep_optimizer: true`, or remove `optimizer: inherit` here")]
    NoOptimizer { stage: String },
    #[error("random_resized_crop.size is {found}, the model takes {expected}; remove `size` or set it to {expected}")]
    CropSize { expected: u32, found: u32 },
    #[error("training log: {reason}")]
    Log { reason: String },
}

impl From<TrainError> for StageError {
    fn from(error: TrainError) -> Self {
        let class = match error {
            TrainError::Log { .. } => ErrorClass::Internal,
            _ => ErrorClass::BadInput,
        };
        Self::new(class, error)
    }
}
