use std::fs;

use serde_json::Value;
use tuwen::model::{Tokenizer, normalize_caption};

use super::fixture;

#[test]
fn every_string_gets_the_ids_of_the_reference() {
    let tokenizer = Tokenizer::default();
    let lines = fs::read_to_string(fixture("tokenizer.jsonl")).unwrap();
    let mut checked = 0;
    for line in lines.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = case["text"].as_str().unwrap();
        let ids = |name: &str| -> Vec<u32> { serde_json::from_value(case[name].clone()).unwrap() };
        assert_eq!(tokenizer.encode(&normalize_caption(text), 52).ids, ids("ids"), "as trained: {text:?}");
        assert_eq!(tokenizer.encode(text, 52).ids, ids("ids_raw"), "as is: {text:?}");
        checked += 1;
    }
    assert!(checked > 400, "only {checked} cases");
}

#[test]
fn a_text_that_does_not_fit_is_cut_and_says_so() {
    let tokenizer = Tokenizer::default();
    let long = tokenizer.encode(&"碳".repeat(60), 52);
    assert!(long.truncated);
    assert_eq!(long.ids.len(), 52);
    assert_eq!(long.ids.last(), Some(&102));
    assert!(!tokenizer.encode("碳纤维", 52).truncated);
    assert_eq!(tokenizer.encode("‘’", 52).unknown, 2);
}
