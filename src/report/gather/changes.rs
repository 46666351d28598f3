//! What changed from stage to stage: forgetting, comparisons, curves of hit@k, neighbour churn.
use crate::evaluate::{
    ALL_QUERIES, Comparison, Direction, Metric, OutcomeGroup, Paired, RankedGroup, ResamplingOptions, Score, churn,
    holm, measure,
};
use crate::report::facts::{ChangeFacts, ChurnFacts, ModelFacts, RecallCurve};
use crate::stage::StageError;

/// Curves of hit@k end here.
const CURVE_DEPTH: usize = 100;
const CHURN_DEPTH: usize = 10;
const COMPARED: [Metric; 4] = [Metric::Hit(1), Metric::Hit(5), Metric::Hit(10), Metric::MeanRecall];

/// The measurements of a report.
pub(super) struct Measured<'a> {
    pub models: &'a [ModelFacts],
    pub outcomes: &'a [OutcomeGroup],
    pub scores: &'a [Score],
}

impl Measured<'_> {
    /// Every stage against the best earlier one, and against the one before it.
    pub fn changes(&self) -> Result<(Vec<ChangeFacts>, Vec<ChangeFacts>), StageError> {
        let (mut forgetting, mut comparisons) = (Vec::new(), Vec::new());
        for (at, model) in self.models.iter().enumerate().skip(1) {
            let earlier = self.models.get(..at).unwrap_or_default();
            for group in self.cells().filter(|group| group.model == model.id) {
                let value = |model: &&ModelFacts| self.mean_recall(&model.id, group).unwrap_or(0.0);
                let best = earlier.iter().max_by(|a, b| value(a).total_cmp(&value(b)));
                if let Some(against) = best.and_then(|best| self.group(&best.id, group)) {
                    forgetting.extend(compare(against, group, &[Metric::MeanRecall])?);
                }
                if let Some(against) = earlier.last().and_then(|before| self.group(&before.id, group)) {
                    comparisons.extend(compare(against, group, &COMPARED)?);
                }
            }
        }
        correct(&mut forgetting);
        correct(&mut comparisons);
        Ok((forgetting, comparisons))
    }

    /// hit@k over k for every model, data set and direction.
    pub fn recall_curves(&self) -> Vec<RecallCurve> {
        let curve = |group: &OutcomeGroup| {
            let pool = self.scores.iter().find(|score| is_of(score, group)).map_or(0, |score| score.documents as usize);
            let hit = |k: usize| measure(Metric::Hit(k as u32), &group.outcomes).unwrap_or(0.0);
            RecallCurve {
                model: group.model.clone(),
                dataset: group.dataset.clone(),
                direction: group.direction,
                hits: (1..=pool.min(CURVE_DEPTH)).map(hit).collect(),
            }
        };
        self.cells().map(curve).collect()
    }

    /// How many of the first ten stay from one stage to the next.
    pub fn churn(&self, rankings: &[RankedGroup]) -> Vec<ChurnFacts> {
        let mut rows = Vec::new();
        for pair in self.models.windows(2) {
            let [from, to] = pair else { continue };
            for after in rankings.iter().filter(|group| group.model == to.id) {
                let before = rankings.iter().find(|group| {
                    group.model == from.id && group.dataset == after.dataset && group.direction == after.direction
                });
                let found = before.and_then(|before| churn(&before.rankings, &after.rankings, CHURN_DEPTH));
                let direction = Direction::CROSS_MODAL.into_iter().find(|known| known.as_str() == after.direction);
                if let (Some(found), Some(direction)) = (found, direction) {
                    rows.push(ChurnFacts {
                        dataset: after.dataset.clone(),
                        direction,
                        from: from.id.clone(),
                        to: to.id.clone(),
                        queries: found.queries as u64,
                        overlap: found.overlap,
                    });
                }
            }
        }
        rows
    }

    /// The measurements that the matrix shows.
    fn cells(&self) -> impl Iterator<Item = &OutcomeGroup> {
        self.outcomes.iter().filter(|group| Direction::CROSS_MODAL.contains(&group.direction))
    }

    fn group(&self, model: &str, like: &OutcomeGroup) -> Option<&OutcomeGroup> {
        self.outcomes
            .iter()
            .find(|group| group.model == model && group.dataset == like.dataset && group.direction == like.direction)
    }

    fn mean_recall(&self, model: &str, like: &OutcomeGroup) -> Option<f64> {
        measure(Metric::MeanRecall, &self.group(model, like)?.outcomes)
    }
}

fn is_of(score: &Score, group: &OutcomeGroup) -> bool {
    score.subset == ALL_QUERIES
        && score.model == group.model
        && score.dataset == group.dataset
        && score.direction == group.direction.as_str()
}

fn compare(before: &OutcomeGroup, after: &OutcomeGroup, metrics: &[Metric]) -> Result<Vec<ChangeFacts>, StageError> {
    let paired = Paired::join(&before.outcomes, &after.outcomes)?;
    let comparison = Comparison::new(&paired, metrics, ResamplingOptions::default());
    let fact = |change: crate::evaluate::Change| ChangeFacts {
        model: after.model.clone(),
        against: before.model.clone(),
        dataset: after.dataset.clone(),
        direction: after.direction,
        metric: change.metric.to_string(),
        change: change.improvement,
        lower: change.interval.map(|interval| interval.lower),
        upper: change.interval.map(|interval| interval.upper),
        p: Some(change.p),
    };
    Ok(comparison.changes.into_iter().map(fact).collect())
}

/// Holm's correction over a whole table.
fn correct(changes: &mut [ChangeFacts]) {
    let p: Vec<f64> = changes.iter().filter_map(|change| change.p).collect();
    for (change, p) in changes.iter_mut().zip(holm(&p)) {
        change.p = Some(p);
    }
}
