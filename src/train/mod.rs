//! How does a checkpoint get better? The starting model, and contrastive fine-tuning stage by stage.

mod advice;
mod base_model;
mod device_check;
mod device_speed;
mod error;
mod find_rate;
mod finetune;
mod finetune_spec;
mod loader;
mod log;
mod model_spec;
mod pairs;
mod resume;
mod run;
mod sampler;
mod schedule;
mod timing;
mod validation;
mod weights;

pub use base_model::BaseModel;
pub use device_check::{DeviceCheck, check_device};
pub use device_speed::{DeviceSpeed, SpeedOptions, measure_device};
pub use error::TrainError;
pub use find_rate::{RateRange, RateTrial, suggested_rate};
pub use finetune::Finetune;
pub use finetune_spec::{
    DistillationSpec, EarlyStopping, FinetuneNeeds, FinetuneSpec, Keep, OptimizerStart, PositivesRule, SamplerRule,
};
pub use loader::{Batch, Demand, Loader, LoaderOptions};
pub use log::{LOG_FILE, LogLine, read_log};
pub use model_spec::ModelSpec;
pub use pairs::{DroppedItems, TrainingPairs};
pub use schedule::learning_rate;
pub use validation::{ValidationPool, ValidationScores};
pub use weights::weights_digest;

/// Version of the stages' results.
pub const VERSION: u32 = 2;
