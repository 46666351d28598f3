//! Scores, their changes and how stages were trained.
use super::super::facts::*;
use super::{DATASETS, Dice, METRICS, MODELS};
use crate::evaluate::{ALL_QUERIES, CHANCE, Direction, Score, UNLEAKED_QUERIES};

pub(super) fn models() -> Vec<ModelFacts> {
    let model = |(at, id): (usize, &&str)| ModelFacts {
        id: (*id).to_owned(),
        preset: "ViT-tiny-16".to_owned(),
        parameters: 3_912_449,
        tuned_on: at.checked_sub(1).map(|data| DATASETS[data].to_owned()),
        tuned_from: at.checked_sub(1).map(|before| MODELS[before].to_owned()),
    };
    MODELS.iter().enumerate().map(model).collect()
}

/// Good where it was tuned last, half forgotten afterwards.
pub(super) fn level(stage: usize, data: usize) -> f64 {
    match stage.checked_sub(data + 1) {
        None => 0.08,
        Some(age) => 0.08 + 0.45 / (1.0 + age as f64),
    }
}

pub(super) fn scores(dice: &mut Dice) -> Vec<Score> {
    let mut scores = Vec::new();
    for (data, dataset) in DATASETS.iter().enumerate() {
        for (stage, model) in std::iter::once(&CHANCE).chain(&MODELS).enumerate() {
            for direction in Direction::CROSS_MODAL {
                for (metric, scale) in METRICS.iter().zip([0.35, 1.05, 1.5, 1.0]) {
                    for subset in [ALL_QUERIES, UNLEAKED_QUERIES] {
                        let base = stage.checked_sub(1).map_or(0.08, |stage| level(stage, data));
                        let value = (base * scale + 0.01 * dice.normal()).clamp(0.0, 1.0);
                        let known = *model != CHANCE;
                        scores.push(Score {
                            model: (*model).to_owned(),
                            dataset: (*dataset).to_owned(),
                            split: "valid".to_owned(),
                            subset: subset.to_owned(),
                            direction: direction.as_str().to_owned(),
                            metric: (*metric).to_owned(),
                            value,
                            lower: known.then(|| (value - 0.05).max(0.0)),
                            upper: known.then(|| (value + 0.05).min(1.0)),
                            queries: 160,
                            documents: 80,
                        });
                    }
                }
            }
        }
    }
    scores
}

pub(super) fn changes(dice: &mut Dice) -> (Vec<ChangeFacts>, Vec<ChangeFacts>) {
    let (mut forgetting, mut comparisons) = (Vec::new(), Vec::new());
    for (stage, model) in MODELS.iter().enumerate().skip(1) {
        for (data, dataset) in DATASETS.iter().enumerate() {
            for direction in Direction::CROSS_MODAL {
                let best = (0..stage).max_by(|a, b| level(*a, data).total_cmp(&level(*b, data))).unwrap_or(0);
                let mut change = |against: usize, metric: &str| {
                    let change = level(stage, data) - level(against, data) + 0.01 * dice.normal();
                    ChangeFacts {
                        model: (*model).to_owned(),
                        against: MODELS[against].to_owned(),
                        dataset: (*dataset).to_owned(),
                        direction,
                        metric: metric.to_owned(),
                        change,
                        lower: Some(change - 0.04),
                        upper: Some(change + 0.04),
                        p: Some((-60.0 * change.abs()).exp()),
                    }
                };
                forgetting.push(change(best, "mean_recall"));
                for metric in ["hit@1", "mean_recall"] {
                    comparisons.push(change(stage - 1, metric));
                }
            }
        }
    }
    (forgetting, comparisons)
}

pub(super) fn curve(model: &str, dice: &mut Dice) -> Curve {
    let steps = || (0..900u32).map(f64::from);
    Curve {
        model: model.to_owned(),
        loss: steps().map(|step| (step, 0.8 + 3.2 * (-step / 200.0).exp() + 0.05 * dice.normal().abs())).collect(),
        recall: (0..12u32).map(|epoch| (f64::from(75 * epoch), 0.5 - 0.42 * (-f64::from(epoch) / 4.0).exp())).collect(),
        learning_rate: steps().map(|step| (step, 1e-3 * (1.0 - step / 900.0).min(step / 20.0))).collect(),
        gradient_norm: steps().map(|step| (step, 1.0 + (-step / 300.0).exp() + 0.2 * dice.normal().abs())).collect(),
        logit_factor: steps().map(|step| (step, 14.3 + step / 400.0)).collect(),
    }
}

pub(super) fn recall_curves() -> Vec<RecallCurve> {
    let mut curves = Vec::new();
    for (stage, model) in MODELS.iter().enumerate() {
        for (data, dataset) in DATASETS.iter().enumerate() {
            for direction in Direction::CROSS_MODAL {
                let hits = (1..=80u32).map(|k| 1.0 - (1.0 - level(stage, data) * 0.4).powf(f64::from(k))).collect();
                curves.push(RecallCurve {
                    model: (*model).to_owned(),
                    dataset: (*dataset).to_owned(),
                    direction,
                    hits,
                });
            }
        }
    }
    curves
}
