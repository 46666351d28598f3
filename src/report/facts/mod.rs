//! Everything a report shows, before it has a format.
mod about;
mod case;
mod data;
mod gate;
mod map;
mod search;
mod score;
mod training;

use serde::Serialize;

use super::gallery::Gallery;
use super::quality::LeakFacts;
use crate::evaluate::{ALL_QUERIES, Attribution, CHANCE, Score};

pub use about::{AboutFacts, ArtifactFacts};
pub use case::{CaseFacts, CaseHit, CaseStage, RankChange, RankFacts, Truth};
pub use data::DatasetFacts;
pub use gate::GateFacts;
pub use map::{MapFacts, MapPoint, MapStage, PointKind};
pub use score::{ChangeFacts, RecallCurve, ScoreHistogram, Verdict};
pub use search::{ChurnFacts, HitFacts, QueryFacts, TimingFacts, TimingKind};
pub use training::{Curve, ModelFacts};

/// The content of a report. What is empty or absent has no section.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ReportFacts {
    pub title: String,
    pub about: AboutFacts,
    pub datasets: Vec<DatasetFacts>,
    /// In the order of the stages, the untrained model first.
    pub models: Vec<ModelFacts>,
    pub scores: Vec<Score>,
    /// Against the published release, if a gate was asked for and something was published.
    pub gate: Option<GateFacts>,
    /// Every stage against the best earlier one, per data set and direction.
    pub forgetting: Vec<ChangeFacts>,
    /// Every stage against the one before it, per data set, direction and metric.
    pub comparisons: Vec<ChangeFacts>,
    pub curves: Vec<Curve>,
    pub recall_curves: Vec<RecallCurve>,
    pub timings: Vec<TimingFacts>,
    pub map: Option<MapFacts>,
    /// The queries of the YAML under every stage.
    pub cases: Vec<CaseFacts>,
    /// Best and worst queries per data set.
    pub ranks: Vec<RankFacts>,
    pub histograms: Vec<ScoreHistogram>,
    pub attribution: Vec<Attribution>,
    pub churn: Vec<ChurnFacts>,
    /// The queries of the YAML against the published index.
    pub queries: Vec<QueryFacts>,
    /// What an audit found, if there was one.
    pub leaks: Option<Vec<LeakFacts>>,
    /// The pictures that the facts refer to by number.
    #[serde(skip)]
    pub gallery: Gallery,
}

impl ReportFacts {
    /// One cell of the matrix.
    pub fn score(&self, model: &str, dataset: &str, direction: &str, metric: &str) -> Option<&Score> {
        self.score_of(ALL_QUERIES, model, dataset, direction, metric)
    }

    /// The same over a subset of the queries.
    pub fn score_of(&self, subset: &str, model: &str, dataset: &str, direction: &str, metric: &str) -> Option<&Score> {
        self.scores.iter().find(|score| {
            score.subset == subset
                && score.model == model
                && score.dataset == dataset
                && score.direction == direction
                && score.metric == metric
        })
    }

    /// The value of one cell of the matrix.
    pub fn value(&self, model: &str, dataset: &str, direction: &str, metric: &str) -> Option<f64> {
        self.score(model, dataset, direction, metric).map(|score| score.value)
    }

    /// The same over a subset of the queries.
    pub fn value_of(&self, subset: &str, model: &str, dataset: &str, direction: &str, metric: &str) -> Option<f64> {
        self.score_of(subset, model, dataset, direction, metric).map(|score| score.value)
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

    /// Chance, then the models in order.
    pub fn model_names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(CHANCE).chain(self.models.iter().map(|model| model.id.as_str()))
    }

    /// Whether a model was tuned last on a data set.
    pub fn is_own(&self, model: &str, dataset: &str) -> bool {
        let found = self.models.iter().find(|facts| facts.id == model);
        found.is_some_and(|facts| facts.tuned_on.as_deref() == Some(dataset))
    }
}

/// A direction in words.
pub fn direction_words(direction: &str) -> &'static str {
    match direction {
        "text_to_image" => "text → image",
        _ => "image → text",
    }
}
