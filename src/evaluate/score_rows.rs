//! Outcomes to rows of the table `scores`, with intervals, for every subset of the queries.
use super::exact::Measured;
use super::scores::{ALL_QUERIES, Direction, Score, UNLEAKED_QUERIES};
use super::task::{RetrievalTask, Side};
use super::{CHANCE, Metric, Outcome, ResamplingOptions, chance, intervals, measure};

/// The rows of one measurement: all queries, those without a leak, and every group.
pub fn score_rows(
    task: &RetrievalTask,
    side: &Side,
    model: &str,
    measured: &Measured,
    metrics: &[Metric],
    options: ResamplingOptions,
) -> Vec<Score> {
    let all = |_: usize| true;
    let mut rows = subset_rows(task, model, ALL_QUERIES, measured, metrics, options, all);
    if !side.leaked.is_empty() {
        let clean = |query: usize| !side.leaked.get(query).copied().unwrap_or(false);
        rows.extend(subset_rows(task, model, UNLEAKED_QUERIES, measured, metrics, options, clean));
    }
    for (name, members) in &side.groups {
        let member = |query: usize| members.get(query).copied().unwrap_or(false);
        rows.extend(subset_rows(task, model, name, measured, metrics, options, member));
    }
    rows
}

/// The rows of chance level. Some metrics have none.
pub fn chance_rows(task: &RetrievalTask, direction: Direction, side: &Side, metrics: &[Metric]) -> Vec<Score> {
    let ideals: Vec<Vec<u32>> =
        side.relevant.iter().filter(|relevant| !relevant.is_empty()).map(|relevant| vec![1; relevant.len()]).collect();
    let documents = pool(task, direction);
    let row = |metric: &Metric| {
        let value = chance(*metric, ideals.iter().map(Vec::as_slice), documents)?;
        Some(score(task, CHANCE, ALL_QUERIES, direction, *metric, value, ideals.len()))
    };
    metrics.iter().filter_map(row).collect()
}

fn subset_rows(
    task: &RetrievalTask,
    model: &str,
    subset: &str,
    measured: &Measured,
    metrics: &[Metric],
    options: ResamplingOptions,
    keep: impl Fn(usize) -> bool,
) -> Vec<Score> {
    let kept = measured.outcomes.iter().zip(&measured.positions).filter(|(_, query)| keep(**query));
    let outcomes: Vec<Outcome> = kept.map(|(outcome, _)| outcome.clone()).collect();
    let bounds = intervals(metrics, &outcomes, options);
    let row = |(metric, interval): (&Metric, Option<super::Interval>)| {
        let value = measure(*metric, &outcomes)?;
        let score = score(task, model, subset, measured.direction, *metric, value, outcomes.len());
        let (lower, upper) = (interval.map(|interval| interval.lower), interval.map(|interval| interval.upper));
        Some(Score { lower, upper, ..score })
    };
    metrics.iter().zip(bounds).filter_map(row).collect()
}

/// Documents that can be found.
fn pool(task: &RetrievalTask, direction: Direction) -> usize {
    let (asks, answers) = direction.kinds();
    task.ids(answers).len() - usize::from(asks == answers)
}

fn score(
    task: &RetrievalTask,
    model: &str,
    subset: &str,
    direction: Direction,
    metric: Metric,
    value: f64,
    queries: usize,
) -> Score {
    Score {
        model: model.to_owned(),
        dataset: task.data.clone(),
        split: task.split.to_string(),
        subset: subset.to_owned(),
        direction: direction.as_str().to_owned(),
        metric: metric.to_string(),
        value,
        lower: None,
        upper: None,
        queries: queries as u64,
        documents: pool(task, direction) as u64,
    }
}
