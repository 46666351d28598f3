//! Maps of embeddings.
use serde::Serialize;

use super::super::gallery::PictureId;

/// The same points under every stage.
#[derive(Debug, Clone, Serialize)]
pub struct MapFacts {
    pub points: Vec<MapPoint>,
    /// Images and texts that the points were sampled from.
    pub of: u64,
    pub stages: Vec<MapStage>,
}

/// An image or a text.
#[derive(Debug, Clone, Serialize)]
pub struct MapPoint {
    pub id: String,
    pub kind: PointKind,
    pub dataset: String,
    /// What it is about, e.g. a family, a class or a split; empty if nothing is known.
    pub group: String,
    /// The text, or the first caption of the image.
    pub text: String,
    /// The image, or the first image of the text.
    pub picture: Option<PictureId>,
}

/// Which tower a point comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PointKind {
    Image,
    Text,
}

/// Where the points lie under one stage.
#[derive(Debug, Clone, Serialize)]
pub struct MapStage {
    pub model: String,
    /// `[points][2]`, principal components.
    pub pca: Vec<[f32; 2]>,
    /// `[points][2]`, t-SNE.
    pub tsne: Vec<[f32; 2]>,
    /// Share of the variance along both principal components.
    pub explained: [f64; 2],
}
