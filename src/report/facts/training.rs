//! Models and how they were trained.
use serde::Serialize;

/// A model of the matrix.
#[derive(Debug, Clone, Serialize)]
pub struct ModelFacts {
    pub id: String,
    /// Preset, e.g. `ViT-B-16`.
    pub preset: String,
    pub parameters: usize,
    /// The data set it was tuned on; absent for a starting model.
    pub tuned_on: Option<String>,
    /// The stage it was tuned from.
    pub tuned_from: Option<String>,
}

/// How a stage was trained.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Curve {
    pub model: String,
    /// Step and loss.
    pub loss: Vec<(f64, f64)>,
    /// Step and mean recall over the validation pool, a fraction; step 0 is the start.
    pub recall: Vec<(f64, f64)>,
    /// Step and learning rate.
    pub learning_rate: Vec<(f64, f64)>,
    /// Step and norm of the gradient before clipping.
    pub gradient_norm: Vec<(f64, f64)>,
    /// Step and factor of the logits.
    pub logit_factor: Vec<(f64, f64)>,
}
