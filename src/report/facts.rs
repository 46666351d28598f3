//! Everything a report shows, before it has a format.
use serde::Serialize;

use super::quality::{LeakFacts, SheetItem};
use crate::evaluate::{ALL_QUERIES, Score};
use crate::ingest::Statistics;

/// The content of a report.
#[derive(Debug, Clone, Serialize)]
pub struct ReportFacts {
    pub title: String,
    pub datasets: Vec<DatasetFacts>,
    /// In the order of the stages, the untrained model first.
    pub models: Vec<ModelFacts>,
    pub scores: Vec<Score>,
    pub curves: Vec<Curve>,
    pub queries: Vec<QueryFacts>,
    /// What an audit found, if there was one.
    pub leaks: Option<Vec<LeakFacts>>,
}

/// A data set's size.
#[derive(Debug, Clone, Serialize)]
pub struct DatasetFacts {
    pub id: String,
    /// Split, images, texts, pairs.
    pub splits: Vec<(String, u64, u64, u64)>,
    pub quarantined: u64,
    /// The split that was measured.
    pub measured: String,
    pub statistics: Statistics,
    pub sheet: Vec<SheetItem>,
}

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
    /// `data:` URL of a small picture.
    #[serde(skip)]
    pub thumbnail: String,
}

impl ReportFacts {
    /// The value of one cell of the matrix.
    pub fn value(&self, model: &str, dataset: &str, direction: &str, metric: &str) -> Option<f64> {
        self.value_of(ALL_QUERIES, model, dataset, direction, metric)
    }

    /// The same over a subset of the queries.
    pub fn value_of(&self, subset: &str, model: &str, dataset: &str, direction: &str, metric: &str) -> Option<f64> {
        let found = self.scores.iter().find(|score| {
            score.subset == subset
                && score.model == model
                && score.dataset == dataset
                && score.direction == direction
                && score.metric == metric
        });
        found.map(|score| score.value)
    }

    /// Metrics in table order, without repeats.
    pub fn metrics(&self) -> Vec<&str> {
        let mut metrics: Vec<&str> = Vec::new();
        for score in &self.scores {
            if !metrics.contains(&score.metric.as_str()) {
                metrics.push(&score.metric);
            }
        }
        metrics
    }

    /// Queries and documents of a data set in one direction.
    pub fn pool(&self, dataset: &str, direction: &str) -> (u64, u64) {
        let found =
            self.scores.iter().find(|s| s.subset == ALL_QUERIES && s.dataset == dataset && s.direction == direction);
        found.map_or((0, 0), |score| (score.queries, score.documents))
    }

    /// The last model that was tuned on a data set.
    pub fn own_model(&self, dataset: &str) -> Option<&ModelFacts> {
        self.models.iter().rev().find(|model| model.tuned_on.as_deref() == Some(dataset))
    }
}

/// A direction in words.
pub fn direction_words(direction: &str) -> &'static str {
    match direction {
        "text_to_image" => "text → image",
        _ => "image → text",
    }
}
