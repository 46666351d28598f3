//! Queries, maps, histograms and what an index finds.
use super::super::facts::*;
use super::super::{CutOff, StageVectors, calibrate, draw_maps};
use super::{DATASETS, DIMENSIONS, Dice, HOSTILE, MODELS, NOUNS};
use crate::evaluate::{Attribution, Direction, GateFinding, GateSpec, Losses, SystemHits};

pub(super) fn timings() -> Vec<TimingFacts> {
    let mut timings = Vec::new();
    for (kind, base) in [(TimingKind::Image, 4.1), (TimingKind::Text, 1.3)] {
        for batch_size in [1u64, 8, 32] {
            let p50_ms = base * (0.3 + 0.7 * batch_size as f64);
            timings.push(TimingFacts {
                model: MODELS[3].to_owned(),
                kind,
                device: "CPU, f32, 2 threads".to_owned(),
                batch_size,
                p50_ms,
                p90_ms: p50_ms * 1.1,
                p99_ms: p50_ms * 1.6,
                items_per_second: 1000.0 * batch_size as f64 / p50_ms,
            });
        }
    }
    timings
}

/// Clusters per data set and group that part stage by stage; texts lie beside images.
pub(super) fn map(dice: &mut Dice, count: usize, pictures: &[usize]) -> MapFacts {
    let point = |at: usize| MapPoint {
        id: format!("{at}"),
        kind: if at.is_multiple_of(2) { PointKind::Image } else { PointKind::Text },
        dataset: DATASETS[at / 2 % 3].to_owned(),
        group: NOUNS[at / 2 % NOUNS.len()].to_owned(),
        text: if at == 3 { HOSTILE.to_owned() } else { format!("{} {at}", NOUNS[at / 2 % NOUNS.len()]) },
        picture: pictures.get(at / 2).copied(),
    };
    let points: Vec<MapPoint> = (0..count).map(point).collect();
    let centres: Vec<Vec<f64>> =
        (0..NOUNS.len()).map(|_| (0..DIMENSIONS).map(|_| 0.3 * dice.normal()).collect()).collect();
    let mut vectors = Vec::new();
    for stage in 0..MODELS.len() {
        let mut values = Vec::new();
        for (at, point) in points.iter().enumerate() {
            let gap = if point.kind == PointKind::Text { 1.0 - 0.25 * stage as f64 } else { 0.0 };
            let centre = &centres[at / 2 % NOUNS.len()];
            values.extend(centre.iter().enumerate().map(|(axis, value)| {
                (value * (0.3 + 0.3 * stage as f64) + if axis == 0 { gap } else { 0.0 } + 0.12 * dice.normal()) as f32
            }));
        }
        vectors.push(values);
    }
    let stages: Vec<StageVectors<'_>> = MODELS
        .iter()
        .zip(&vectors)
        .map(|(model, values)| StageVectors { model, values, dimensions: DIMENSIONS })
        .collect();
    draw_maps(points, 2406, &stages)
}

pub(super) fn case(query: &str, dice: &mut Dice, pictures: &[usize]) -> CaseFacts {
    let stages = MODELS.iter().enumerate().map(|(stage, model)| {
        let hits = (0..5).map(|rank| {
            let right = dice.unit() < 0.2 * stage as f64;
            CaseHit {
                id: format!("{}", dice.below(700)),
                text: if right { query.to_owned() } else { NOUNS[dice.below(NOUNS.len())].to_owned() },
                dataset: DATASETS[dice.below(3)].to_owned(),
                split: "valid".to_owned(),
                score: 0.6 - 0.03 * rank as f32,
                truth: match query {
                    HOSTILE => Truth::Unknown,
                    _ if right => Truth::Right,
                    _ => Truth::Wrong,
                },
                picture: Some(pictures[dice.below(pictures.len())]),
            }
        });
        CaseStage { model: (*model).to_owned(), hits: hits.collect() }
    });
    CaseFacts { query: query.to_owned(), stages: stages.collect() }
}

pub(super) fn ranks(dataset: &str, dice: &mut Dice, pictures: &[usize]) -> RankFacts {
    let mut change = |before: u64, after: u64| RankChange {
        query: NOUNS[dice.below(NOUNS.len())].to_owned(),
        rank_before: before,
        rank_after: after,
        picture: Some(pictures[dice.below(pictures.len())]),
        image_id: format!("{}", dice.below(80)),
    };
    RankFacts {
        dataset: dataset.to_owned(),
        before: MODELS[0].to_owned(),
        after: MODELS[3].to_owned(),
        pool: 80,
        best: vec![change(78, 1), change(70, 2), change(66, 1)],
        worst: vec![change(12, 79), change(70, 70)],
    }
}

pub(super) fn histogram(dataset: &str, dice: &mut Dice) -> ScoreHistogram {
    let positives: Vec<f32> = (0..160).map(|_| (0.55 + 0.1 * dice.normal()) as f32).collect();
    let negatives: Vec<f32> = (0..160).map(|_| (0.42 + 0.08 * dice.normal()) as f32).collect();
    let edges: Vec<f64> = (0..=24u32).map(|at| 0.1 + 0.03 * f64::from(at)).collect();
    let counts = |scores: &[f32]| {
        let mut counts = vec![0u64; 24];
        for score in scores {
            counts[(((f64::from(*score) - 0.1) / 0.03) as usize).min(23)] += 1;
        }
        counts
    };
    let cut_off: Option<CutOff> = calibrate(&positives, &negatives);
    ScoreHistogram {
        model: MODELS[3].to_owned(),
        dataset: dataset.to_owned(),
        edges,
        matching: counts(&positives),
        other: counts(&negatives),
        cut_off,
    }
}

pub(super) fn attribution(dataset: &str) -> Attribution {
    let system = |(system, hit1): (&str, f64)| SystemHits {
        system: system.to_owned(),
        hit1,
        hit5: hit1 + 0.21,
        hit10: hit1 + 0.33,
    };
    Attribution {
        model: "private-tuned".to_owned(),
        dataset: dataset.to_owned(),
        queries: 160,
        systems: [("exact", 0.31), ("approximate", 0.3), ("keywords", 0.22), ("hybrid", 0.36)].map(system).to_vec(),
        losses: Some(Losses { encoder: 31, index: 2, tokenizer: 5, fusion: 12 }),
        tuned_here: dataset == "muge",
    }
}

pub(super) fn gate() -> GateFacts {
    let gate: GateSpec = serde_json::from_str(r#"{"metric": "hit@1", "min_delta": -0.005}"#).unwrap();
    let finding = |(dataset, passed): (&str, bool)| GateFinding {
        dataset: dataset.to_owned(),
        direction: "text_to_image".to_owned(),
        passed,
        sentence: if passed { "passed: nothing changed" } else { "refused: hit@1 went from 0.4200 to 0.3100" }
            .to_owned(),
        judgement: None,
    };
    GateFacts { release: 41, gate, findings: [("muge", true), ("flickr", false)].map(finding).to_vec() }
}

pub(super) fn churn(dice: &mut Dice) -> Vec<ChurnFacts> {
    let mut churn = Vec::new();
    for dataset in DATASETS {
        for pair in MODELS.windows(2) {
            churn.push(ChurnFacts {
                dataset: dataset.to_owned(),
                direction: Direction::TextToImage,
                from: pair[0].to_owned(),
                to: pair[1].to_owned(),
                queries: 160,
                overlap: 0.2 + 0.5 * dice.unit(),
            });
        }
    }
    churn
}

pub(super) fn query(text: &str, dice: &mut Dice, pictures: &[usize]) -> QueryFacts {
    let hit = |rank: usize, dice: &mut Dice| HitFacts {
        id: format!("muge/{rank}"),
        score: 0.03 - 0.001 * rank as f32,
        text: text.to_owned(),
        split: "train".to_owned(),
        picture: Some(pictures[dice.below(pictures.len())]),
    };
    QueryFacts { text: text.to_owned(), hits: (0..8).map(|rank| hit(rank, dice)).collect() }
}
