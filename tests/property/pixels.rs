use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tuwen::augment::{
    AugmentSpec, ItemRng, augment, evaluation_pixels, evaluation_pixels_of, item_rng, normalize, training_picture,
    training_pixels,
};
use tuwen::ingest::{Region, decode, decode_region};

/// Every image among the golden files that can be decoded, by name.
fn images() -> Vec<(PathBuf, Vec<u8>)> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folders = ["jpeg", "augment", "preprocess", "auto_augment"];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(golden.join(folder)).unwrap());
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let images = paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap()));
    images.filter(|(_, bytes)| decode(bytes).is_ok()).collect()
}

/// A part of a picture; every other one is at an edge.
fn region(width: u32, height: u32, rng: &mut ItemRng) -> Region {
    let (width_of_part, height_of_part) = (1 + rng.below(width), 1 + rng.below(height));
    let mut place = |free: u32| [0, free, rng.below(free + 1), rng.below(free + 1)][rng.below(4) as usize];
    let (left, top) = (place(width - width_of_part), place(height - height_of_part));
    Region { left, top, width: width_of_part, height: height_of_part }
}

#[test]
fn a_decoded_region_equals_that_part_of_the_whole_picture() {
    let (mut checked, mut rng) = (0, item_rng(1, 0, "regions"));
    for (path, bytes) in images() {
        let whole = decode(&bytes).unwrap().0;
        for _ in 0..30 {
            let region = region(whole.width, whole.height, &mut rng);
            let found = decode_region(&bytes, region).unwrap();
            assert!(Some(found) == whole.cut(region), "{path:?} {region:?}");
            checked += 1;
        }
        let beyond = Region { left: 1, top: 0, width: whole.width, height: whole.height };
        assert!(decode_region(&bytes, beyond).is_err(), "{path:?}");
    }
    assert!(checked > 3000, "only {checked} regions");
}

#[test]
fn training_pixels_equal_the_steps_taken_one_by_one() {
    let crop = json!({ "random_resized_crop": {} });
    let bicubic = json!({ "random_resized_crop": { "scale": [0.9, 1.0], "interpolation": "bicubic" } });
    let small = json!({ "random_resized_crop": { "size": 24, "ratio": [0.2, 5.0] } });
    let flip = json!({ "random_horizontal_flip": {} });
    let jitter = json!({ "color_jitter": { "brightness": 0.9, "contrast": 0.9, "saturation": 0.9 } });
    let hue = json!({ "color_jitter": { "contrast": 1.5, "saturation": 3.0, "hue": 0.4 } });
    let policy = json!({ "auto_augment": {} });
    let lists = [
        json!([crop, flip, jitter]),
        json!([bicubic, flip, policy]),
        json!([small, hue, flip, policy, jitter]),
        json!([flip, crop, jitter]),
        json!([crop, crop]),
        json!([jitter]),
        json!([]),
    ];
    let mut checked = 0;
    for (path, bytes) in images() {
        for (number, list) in lists.iter().enumerate() {
            let steps: Vec<AugmentSpec> = serde_json::from_value(list.clone()).unwrap();
            for side in [32, 57] {
                let mut expected_rng = item_rng(number as u64, 0, &path.to_string_lossy());
                let (mut rng, mut picture_rng) = (expected_rng.clone(), expected_rng.clone());
                let expected = augment(&decode(&bytes).unwrap().0, &steps, side, &mut expected_rng);
                let mut expected_pixels = vec![0.0; 3 * (side * side) as usize];
                normalize(&expected, &mut expected_pixels);
                let mut found = vec![0.0; expected_pixels.len()];
                training_pixels(&bytes, &steps, side, &mut rng, &mut found).unwrap();
                assert!(found == expected_pixels, "{path:?} {list} {side}");
                let picture = training_picture(&bytes, &steps, side, &mut picture_rng).unwrap();
                assert!(picture == expected, "{path:?} {list} {side}");
                assert_eq!(rng.below(u32::MAX), expected_rng.below(u32::MAX), "{path:?} {list}: drawn differently");
                checked += 1;
            }
        }
    }
    assert!(checked > 1000, "only {checked} cases");
}

#[test]
fn evaluation_pixels_do_not_depend_on_the_way_there() {
    for (path, bytes) in images() {
        for side in [32, 224] {
            let (mut found, mut expected) =
                (vec![0.0; (3 * side * side) as usize], vec![0.0; (3 * side * side) as usize]);
            evaluation_pixels(&decode(&bytes).unwrap().0, side, &mut expected);
            evaluation_pixels_of(&bytes, side, &mut found).unwrap();
            assert!(found == expected, "{path:?} {side}");
        }
    }
}
