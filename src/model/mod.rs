//! What turns a picture or a sentence into a vector? Chinese-CLIP in Burn.
//!
//! The only room that names Burn; `device` is the only page that names devices and back ends.

mod checkpoint;
mod clip;
mod config;
mod cpu;
mod device;
mod encoder;
mod error;
mod guard;
mod init;
mod layer;
mod layout;
mod loss;
mod memory;
pub mod nearest;
mod parameters;
mod preset;
mod similarity;
pub mod text;
mod training;
pub mod vision;

pub use checkpoint::{
    Checkpoint, ModelFile, WEIGHTS_FILES, WeightsFormat, open_model, read_config, read_safetensors, weights_file,
    write_hugging_face, write_pytorch, write_safetensors,
};
pub use clip::ClipModel;
pub use config::{ClipConfig, ConfigChanges, ResNetConfig, TextConfig, VisionConfig, VitConfig};
pub use cpu::{fraction_f32, fractions_f32, has_fast_bf16, has_fast_fractions, has_fast_i8, rounds_alike, vectorized};
pub use device::{ComputeDevice, DeviceChoice};
pub use encoder::{Encoder, normalize_rows};
pub use error::ModelError;
pub use init::RandomSource;
pub use layer::{Forward, Precision};
pub use layout::{ParameterCount, TensorLayout};
pub use loss::{Positives, contrastive_loss};
pub use memory::keep_freed_memory;
pub use parameters::{NamedTensor, ParameterSource, StateDict};
pub use preset::{PRESETS, TEXT_PRESETS, preset, text_preset, text_preset_name};
pub use similarity::Gallery;
pub use text::tokenizer::{Encoding, Tokenizer, normalize_caption};
pub use training::{
    AdamWConfig, DecayRule, GatherGradient, LossScale, LowRankConfig, LowRankTarget, StepOutcome, Tower, Trainer,
    TrainerOptions, TrainingBatch,
};
pub use vision::{MEAN, STD};
