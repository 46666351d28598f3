use std::fs;

use serde_json::Value;
use tuwen::ingest::{Mode, decode};

use super::fixture;

#[test]
fn jpeg_files_of_every_kind_decode_to_pillows_pixels_or_say_why_not() {
    let folder = fixture("jpeg");
    let cases: Vec<Value> = serde_json::from_slice(&fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let read = |name: &Value| fs::read(folder.join(name.as_str().unwrap())).unwrap();
    let (mut equal, mut refused) = (0, 0);
    for case in &cases {
        let decoded = decode(&read(&case["file"]));
        if let Some(reason) = case["error"].as_str() {
            let error = decoded.unwrap_err().to_string();
            // Two are stopped before: by their size, and by not looking like a JPEG at all.
            let stopped_before = ["huge.jpg", "not_jpeg.jpg"].contains(&case["file"].as_str().unwrap());
            assert!(error.contains(reason) || stopped_before, "{case}: {error}");
            refused += 1;
            continue;
        }
        let (picture, format) = decoded.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(format, "jpeg");
        let expected = read(&case["expected"]);
        let expected = if picture.mode == Mode::Cmyk { expected } else { decode(&expected).unwrap().0.pixels };
        assert!(picture.pixels == expected, "{case}");
        equal += 1;
    }
    assert!(equal >= 34 && refused >= 9, "{equal} equal, {refused} refused");
}
