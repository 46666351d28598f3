use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tuwen::data::ItemKind;
use tuwen::evaluate::files::{
    outcomes, parse_predictions, parse_truth, read_features, read_qrels, read_run, reference_score, transposed,
    write_features, write_predictions, write_transposed,
};
use tuwen::evaluate::zero_shot::{
    Classifier, ElevaterModel, Templates, ZeroShotError, elevater_json, softmax_rows, zero_shot_score,
};
use tuwen::evaluate::{Direction, Outcome};

use super::fixture;

fn file(name: &str) -> PathBuf {
    fixture("files").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap()
}

fn json(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap() as f32],
    }
}

#[test]
fn feature_files_are_read_and_written_to_the_byte() {
    for (name, kind) in [("imgs.img_feat.jsonl", ItemKind::Image), ("texts.txt_feat.jsonl", ItemKind::Text)] {
        let features = read_features(&file(name), kind).unwrap();
        assert_eq!(features.dimension, 24);
        let mut out = Vec::new();
        write_features(&mut out, kind, &features.ids, &features.vectors).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), text(name));
        let other = if kind == ItemKind::Image { ItemKind::Text } else { ItemKind::Image };
        let message = read_features(&file(name), other).unwrap_err().to_string();
        assert!(message.contains(":1: `") && message.contains("is missing"), "{message}");
    }
}

#[test]
fn features_give_the_predictions_and_scores_of_the_reference() {
    let images = read_features(&file("imgs.img_feat.jsonl"), ItemKind::Image).unwrap();
    let texts = read_features(&file("texts.txt_feat.jsonl"), ItemKind::Text).unwrap();
    let cases = [
        (Direction::TextToImage, &texts, &images, "texts.jsonl", "predictions.jsonl", "score.json"),
        (Direction::ImageToText, &images, &texts, "texts.tr.jsonl", "predictions_tr.jsonl", "score_tr.json"),
    ];
    for (direction, queries, documents, truth, predictions, score) in cases {
        let mut out = Vec::new();
        write_predictions(&mut out, direction, &queries.nearest(documents, 10).unwrap(), 10).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), text(predictions));
        let found = reference_score(text(truth).as_bytes(), text(predictions).as_bytes(), direction);
        assert_eq!((found.json, found.refusal), (text(score), None));
        let truth = parse_truth(&file(truth), text(truth).as_bytes(), direction).unwrap();
        let outcomes =
            outcomes(&truth, &parse_predictions(&file(predictions), text(predictions).as_bytes(), direction).unwrap());
        let hits = |k| outcomes.iter().filter(|o| o.found.first().is_some_and(|hit| hit.0 <= k)).count() as f64;
        for (name, k) in [("r1", 1), ("r5", 5), ("r10", 10)] {
            let expected = json(score)["scoreJson"][name].as_f64().unwrap();
            assert!((100.0 * hits(k) / outcomes.len() as f64 - expected).abs() < 1e-9, "{name}");
        }
    }
}

#[test]
fn the_truth_turned_around_is_that_of_the_reference() {
    let truth = parse_truth(&file("texts.jsonl"), text("texts.jsonl").as_bytes(), Direction::TextToImage).unwrap();
    let mut out = Vec::new();
    write_transposed(&mut out, &transposed(&truth)).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), text("texts.tr.jsonl"));
}

#[test]
fn scores_and_refusals_are_those_of_the_reference_to_the_byte() {
    let cases = json("scores.json");
    let (mut refused, mut scored) = (0, 0);
    for case in cases.as_array().unwrap() {
        let direction = if case["turned"] == true { Direction::ImageToText } else { Direction::TextToImage };
        let bytes = |name: &str| case[name].as_str().unwrap().as_bytes().to_vec();
        let found = reference_score(&bytes("truth"), &bytes("predictions"), direction);
        assert_eq!(found.json, case["score"].as_str().unwrap(), "{case}");
        refused += usize::from(found.refusal.is_some());
        scored += usize::from(found.refusal.is_none());
    }
    assert!(refused >= 80 && scored >= 20, "{refused} refused, {scored} scored");
}

#[test]
fn an_id_of_a_text_that_is_no_integer_is_named() {
    let line = "{\"text_id\": \"a\", \"image_ids\": []}";
    let found = reference_score(line.as_bytes(), line.as_bytes(), Direction::TextToImage);
    assert!(found.refusal.unwrap().starts_with("Found an invalid text_id a, it should be an integer"));
}

fn average_precision(outcome: &Outcome) -> f64 {
    let precision = |((rank, _), seen): (&(u32, u32), f64)| seen / f64::from(*rank);
    let sum: f64 = outcome.found.iter().zip((1..).map(f64::from)).map(precision).sum();
    sum / outcome.ideal.len().max(1) as f64
}

fn ndcg(outcome: &Outcome) -> f64 {
    let dcg =
        |gains: &[(u32, u32)]| -> f64 { gains.iter().map(|(r, g)| f64::from(*g) / f64::from(r + 1).log2()).sum() };
    let ideal: Vec<(u32, u32)> = (1..).zip(outcome.ideal.iter().copied()).collect();
    if ideal.is_empty() { 0.0 } else { dcg(&outcome.found) / dcg(&ideal) }
}

#[test]
fn a_run_is_ordered_and_judged_as_trec_eval_does() {
    let outcomes = outcomes(&read_qrels(&file("qrels.txt")).unwrap(), &read_run(&file("run.txt")).unwrap());
    let expected = json("trec_eval.json");
    let mut checked = 0;
    for outcome in &outcomes {
        let Some(expected) = expected.get(&outcome.query) else { continue };
        let close = |name: &str, value: f64| {
            let expected = expected[name].as_f64().unwrap();
            assert!((value - expected).abs() < 1e-9, "{} {name}: {value}, trec_eval {expected}", outcome.query);
        };
        close("map", average_precision(outcome));
        close("ndcg", ndcg(outcome));
        close("recip_rank", outcome.found.first().map_or(0.0, |hit| 1.0 / f64::from(hit.0)));
        close("num_rel", outcome.ideal.len() as f64);
        close("num_rel_ret", outcome.found.len() as f64);
        close("P_5", outcome.found.iter().filter(|hit| hit.0 <= 5).count() as f64 / 5.0);
        checked += 1;
    }
    assert_eq!((checked, outcomes.len()), (3, 5));
}

#[test]
fn zero_shot_logits_and_accuracy_are_those_of_the_reference() {
    let case = json("zero_shot.json");
    let classes: Vec<String> = serde_json::from_value(case["classes"].clone()).unwrap();
    let expected: Vec<Vec<String>> = serde_json::from_value(case["prompts"].clone()).unwrap();
    let (vectors, mut calls) = (numbers(&case["text_vectors"]), 0);
    let encode = |texts: &[String]| {
        assert_eq!(texts, expected[calls]);
        calls += 1;
        Ok::<_, ZeroShotError>(vectors[(calls - 1) * 80..calls * 80].to_vec())
    };
    let classifier = Classifier::new(&classes, &Templates::of_dataset("country211").unwrap(), encode).unwrap();
    let logits = classifier.logits(&numbers(&case["image_vectors"])).unwrap();
    let furthest = |found: &[f32], expected: &[f32]| {
        assert_eq!(found.len(), expected.len());
        found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    // 100 times a cosine: near 64 and above neighbours in 32 bits are 7.6e-6 apart.
    let far = furthest(&logits, &numbers(&case["logits"]));
    assert!(far < 4e-5, "{far}");
    let probabilities = softmax_rows(&logits, 7);
    assert!(furthest(&probabilities, &numbers(&case["probabilities"])) < 1e-5);
    let targets: Vec<usize> = serde_json::from_value(case["targets"].clone()).unwrap();
    let score = zero_shot_score(&logits, &targets, 7).unwrap();
    assert_eq!(score.top1, case["top1"].as_f64().unwrap());
    assert_eq!(score.confusion.iter().sum::<u64>(), 40);
}

#[test]
fn the_predictions_file_of_elevater_is_the_references_to_the_byte() {
    let probabilities = numbers(&json("zero_shot.json")["probabilities"]);
    let model = ElevaterModel { name: "CN-CLIP-ViT-B-16", parameters: 188_262_913, visual_parameters: 86_192_640 };
    let mut out = Vec::new();
    elevater_json(&mut out, model, "country211", &probabilities, 7).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), text("elevater.json"));
}
