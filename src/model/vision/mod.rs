//! Vision towers.

mod vit;

pub use vit::VisionTransformer;
