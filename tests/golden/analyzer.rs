use std::fs;

use serde_json::Value;
use tuwen::index::{Analyzer, AnalyzerKind, UserDictionary};

use super::fixture;

/// As in `make_analyzer.py`.
const DICTIONARY: &str = "# version: golden\n碳纤维 2000 n\n预浸料 n\n喷砂铝合金\n黑色碳纤维材料 n\n肤色 1\n";
/// Latin words with signs inside, which the HMM of jieba-rs takes apart otherwise than that of jieba.
const OTHERWISE: [(&str, &[&str]); 3] = [
    ("Type-C数据线2.0", &["type", "type-c", "数据", "数据线", "2.0"]),
    ("USB3.0 128GB", &["usb3", "usb3.0", "128gb"]),
    ("x_y", &["x_y"]),
];

#[test]
fn every_caption_is_cut_as_jieba_and_opencc_do_it() {
    let dictionary = UserDictionary::parse(DICTIONARY).unwrap();
    let analyzers = [
        ("hmm", Analyzer::new(AnalyzerKind::Jieba, true, None).unwrap()),
        ("plain", Analyzer::new(AnalyzerKind::Jieba, false, None).unwrap()),
        ("user", Analyzer::new(AnalyzerKind::Jieba, true, Some(&dictionary)).unwrap()),
    ];
    let lines = fs::read_to_string(fixture("analyzer.jsonl")).unwrap();
    let mut checked = 0;
    for line in lines.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = case["text"].as_str().unwrap();
        assert_eq!(analyzers[0].1.normalize(text), case["normal"].as_str().unwrap(), "{text:?}");
        let otherwise = OTHERWISE.iter().find(|(known, _)| *known == text);
        for (name, analyzer) in &analyzers {
            let tokens = case.get(name).unwrap_or(&case["hmm"]);
            let expected: Vec<String> = match otherwise {
                Some((_, ours)) if *name != "plain" => ours.iter().copied().map(str::to_owned).collect(),
                _ => serde_json::from_value(tokens.clone()).unwrap(),
            };
            assert_eq!(analyzer.terms(text), expected, "{name}: {text:?}");
        }
        checked += 1;
    }
    assert!(checked > 350, "only {checked} cases");
}
