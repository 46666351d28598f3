use std::fs;

use serde_json::Value;
use tuwen::augment::{
    CropBox, Interpolation, adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation, crop_resize, flip,
    squash,
};
use tuwen::ingest::{Picture, decode};

use super::fixture;

fn open(name: &str) -> Picture {
    decode(&fs::read(fixture("augment").join(name)).unwrap()).unwrap().0
}

fn apply(mut picture: Picture, op: &str, params: &Value) -> Picture {
    let number = |name: &str| params[name].as_f64().unwrap();
    let count = |name: &str| params[name].as_u64().unwrap() as u32;
    match op {
        "squash" => return squash(&picture, count("size")),
        "crop_resize" => {
            let crop = CropBox { left: count("x"), top: count("y"), width: count("width"), height: count("height") };
            let interpolation = serde_json::from_value::<Interpolation>(params["filter"].clone()).unwrap();
            return crop_resize(&picture, crop, count("size"), interpolation);
        }
        "flip" => return flip(picture),
        "brightness" => adjust_brightness(&mut picture, number("factor")),
        "contrast" => adjust_contrast(&mut picture, number("factor")),
        "saturation" => adjust_saturation(&mut picture, number("factor")),
        "hue" => adjust_hue(&mut picture, number("shift")),
        "sequence" => {
            for step in params["steps"].as_array().unwrap() {
                picture = apply(picture, step["op"].as_str().unwrap(), &step["params"]);
            }
        }
        other => unreachable!("unknown operation {other}"),
    }
    picture
}

#[test]
fn pictures_equal_pillow_to_the_last_bit() {
    let cases: Vec<Value> = serde_json::from_slice(&fs::read(fixture("augment/cases.json")).unwrap()).unwrap();
    let mut checked = 0;
    for case in &cases {
        let source = open(case["source"].as_str().unwrap());
        let found = apply(source, case["op"].as_str().unwrap(), &case["params"]);
        let expected = open(case["expected"].as_str().unwrap());
        let differing = found.pixels.iter().zip(&expected.pixels).filter(|(a, b)| a != b).count();
        assert_eq!(found.pixels.len(), expected.pixels.len(), "{case}");
        assert_eq!(differing, 0, "{case}: {differing} of {} values differ", expected.pixels.len());
        checked += 1;
    }
    assert!(checked >= 20, "only {checked} cases");
}

#[test]
fn every_kind_of_file_looks_to_the_model_as_the_reference_sees_it() {
    let folder = fixture("preprocess");
    let cases: Vec<Value> = serde_json::from_slice(&fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let read = |field: &str| decode(&fs::read(folder.join(case[field].as_str().unwrap())).unwrap()).unwrap().0;
        let found = squash(&read("source"), case["size"].as_u64().unwrap() as u32);
        let expected = read("expected").into_rgb();
        assert_eq!((found.width, found.height), (expected.width, expected.height), "{case}");
        let steps = found.pixels.iter().zip(&expected.pixels).map(|(a, b)| a.abs_diff(*b));
        let differing = steps.clone().filter(|step| *step > 0).count();
        if differing > 0 {
            wrong.push(format!("{}: {differing} values by up to {}", case["source"], steps.max().unwrap()));
        }
    }
    assert!(cases.len() >= 37, "only {} cases", cases.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}
