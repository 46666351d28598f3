//! How does a checkpoint get better? The starting model, and contrastive fine-tuning stage by stage.

mod base_model;
mod error;
mod finetune;
mod loader;
mod log;
mod resume;
mod schedule;
mod spec;
mod validation;

pub use base_model::BaseModel;
pub use error::TrainError;
pub use finetune::Finetune;
pub use log::{LOG_FILE, LogLine, read_log};
pub use schedule::learning_rate;
pub use spec::{FinetuneNeeds, FinetuneSpec, Keep, ModelSpec};
pub use validation::{ValidationPool, ValidationScores};

/// Version of the stages' results.
pub const VERSION: u32 = 1;
