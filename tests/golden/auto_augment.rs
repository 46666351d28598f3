use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use tuwen::augment::{AutoAugment, Operation, item_rng};
use tuwen::ingest::{Picture, decode};

use super::fixture;

fn open(name: &str) -> Picture {
    decode(&fs::read(fixture("auto_augment").join(name)).unwrap()).unwrap().0
}

fn read(name: &str) -> Vec<Value> {
    serde_json::from_slice(&fs::read(fixture("auto_augment").join(name)).unwrap()).unwrap()
}

fn operation(op: &str, params: &Value) -> Operation {
    let number = |name: &str| params[name].as_f64().unwrap();
    let count = |name: &str| params[name].as_u64().unwrap() as u32;
    match op {
        "auto_contrast" => Operation::AutoContrast,
        "color" => Operation::Color { factor: number("factor") },
        "contrast" => Operation::Contrast { factor: number("factor") },
        "equalize" => Operation::Equalize,
        "invert" => Operation::Invert,
        "posterize" => Operation::Posterize { bits: count("bits") },
        "rotate" => Operation::Rotate { degrees: number("degrees") },
        "sharpness" => Operation::Sharpness { factor: number("factor") },
        "shear_x" => Operation::ShearX { factor: number("factor") },
        "solarize" => Operation::Solarize { threshold: count("threshold") },
        other => unreachable!("unknown operation {other}"),
    }
}

#[test]
fn operations_equal_timm_to_the_last_bit() {
    let mut wrong = Vec::new();
    let cases = read("cases.json");
    for case in &cases {
        let source = open(case["source"].as_str().unwrap());
        let found = operation(case["op"].as_str().unwrap(), &case["params"]).apply(source);
        let expected = open(case["expected"].as_str().unwrap());
        assert_eq!((found.width, found.height), (expected.width, expected.height), "{case}");
        let differing = found.pixels.iter().zip(&expected.pixels).filter(|(a, b)| a != b).count();
        if differing > 0 {
            wrong.push(format!("{}: {differing} of {} values", case["expected"], expected.pixels.len()));
        }
    }
    assert!(cases.len() >= 70, "only {} cases", cases.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What a step of a sub-policy may do, with the probability of each.
fn outcomes(step: &Value) -> Vec<(Option<Operation>, f64)> {
    let probability = step["probability"].as_f64().unwrap();
    let choices = step["params"].as_array().unwrap();
    let operations = choices.iter().map(|params| operation(step["op"].as_str().unwrap(), params));
    let applied = operations.map(|operation| (Some(operation), probability / choices.len() as f64));
    applied.chain([(None, 1.0 - probability)]).filter(|(_, probability)| *probability > 0.0).collect()
}

/// Arguments to nine decimals, because JSON is not read to the last bit.
fn name(applied: &[Operation]) -> String {
    format!("{applied:.9?}")
}

#[test]
fn sub_policies_and_their_operations_are_drawn_as_often_as_timm_says() {
    const DRAWS: u32 = 200_000;
    let sub_policies = read("policy.json");
    let mut expected: BTreeMap<String, f64> = BTreeMap::new();
    for sub_policy in &sub_policies {
        for (first, p) in outcomes(&sub_policy[0]) {
            for (second, q) in outcomes(&sub_policy[1]) {
                let applied: Vec<Operation> = first.into_iter().chain(second).collect();
                *expected.entry(name(&applied)).or_default() += p * q / sub_policies.len() as f64;
            }
        }
    }
    let mut found: BTreeMap<String, u32> = BTreeMap::new();
    for item in 0..DRAWS {
        let applied = AutoAugment::default().sample(&mut item_rng(7, 0, &item.to_string()));
        *found.entry(name(&applied)).or_default() += 1;
    }
    for (applied, count) in &found {
        assert!(expected.contains_key(applied), "{applied}, {count} times, is not in timm's policy");
    }
    for (applied, probability) in &expected {
        let count = f64::from(found.get(applied).copied().unwrap_or_default());
        let mean = probability * f64::from(DRAWS);
        let deviation = (mean * (1.0 - probability)).sqrt();
        assert!(
            (count - mean).abs() < 4.5 * deviation,
            "{applied}: {count} times instead of {mean:.0} ± {deviation:.0}"
        );
    }
}
