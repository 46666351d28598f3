//! The index: what it finds, what it misses and how long it takes.
use serde::Serialize;

use super::super::gallery::PictureId;
use crate::evaluate::Direction;

/// A query and what was found.
#[derive(Debug, Clone, Serialize)]
pub struct QueryFacts {
    pub text: String,
    pub hits: Vec<HitFacts>,
}

/// A found image.
#[derive(Debug, Clone, Serialize)]
pub struct HitFacts {
    pub id: String,
    pub score: f32,
    pub text: String,
    pub split: String,
    pub picture: Option<PictureId>,
}

/// How many of the ten nearest stay from one stage to the next.
#[derive(Debug, Clone, Serialize)]
pub struct ChurnFacts {
    pub dataset: String,
    pub direction: Direction,
    pub from: String,
    pub to: String,
    pub queries: u64,
    /// Mean share of the first ten that both have, a fraction.
    pub overlap: f64,
}

/// How fast a model encodes.
#[derive(Debug, Clone, Serialize)]
pub struct TimingFacts {
    pub model: String,
    pub kind: TimingKind,
    /// Device and precision in words.
    pub device: String,
    pub batch_size: u64,
    /// Percentiles of the time of a whole batch in milliseconds.
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub items_per_second: f64,
}

/// What was timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimingKind {
    Image,
    Text,
}

impl TimingKind {
    pub fn words(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Text => "text",
        }
    }
}
