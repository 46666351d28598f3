//! What turns a picture or a sentence into a vector? Chinese-CLIP in Burn.
//!
//! The only room that names Burn; `device` is the only page that names devices and back ends.

mod checkpoint;
mod clip;
mod config;
mod device;
mod error;
mod init;
mod layer;
mod loss;
mod optimizer;
mod parameters;
mod preset;
mod similarity;
pub mod text;
pub mod vision;

pub use checkpoint::{Checkpoint, read_reference_weights, read_safetensors, write_safetensors};
pub use clip::{ClipModel, Encoder, normalize_rows, random_state};
pub use config::{ClipConfig, TextConfig, VisionConfig};
pub use device::{ComputeDevice, DeviceChoice};
pub use error::ModelError;
pub use init::RandomSource;
pub use layer::{Forward, Precision};
pub use loss::contrastive_loss;
pub use optimizer::{AdamW, AdamWConfig, LossScale, Step, StepOutcome};
pub use parameters::{NamedTensor, ParameterSource, StateDict};
pub use preset::{PRESETS, preset};
pub use similarity::Gallery;
pub use text::tokenizer::{Encoding, Tokenizer, normalize_caption};
