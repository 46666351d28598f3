use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use tuwen::index::{Fusion, LegWeights, RANK_CONSTANT};

use super::fixture;

type Hits = Vec<(usize, f32)>;

/// Same documents, same scores, ours in order.
fn assert_same(ours: &Hits, theirs: &Hits, what: &str) {
    let expected: BTreeMap<usize, f32> = theirs.iter().copied().collect();
    assert_eq!(ours.len(), expected.len(), "{what}");
    for (document, score) in ours {
        assert!((score - expected[document]).abs() < 1e-6, "{what}: {document}: {score}, not {}", expected[document]);
    }
    for pair in ours.windows(2) {
        assert!(pair[0].1 > pair[1].1 || pair[0].1 == pair[1].1 && pair[0].0 < pair[1].0, "{what}: order");
    }
}

#[test]
fn fused_lists_are_those_of_ranx_and_qdrant() {
    let lines = fs::read_to_string(fixture("fusion.jsonl")).unwrap();
    let (mut checked, mut single) = (0, 0);
    for line in lines.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let hits = |value: &Value| -> Hits { serde_json::from_value(value.clone()).unwrap() };
        let (keywords, vectors) = (hits(&case["keywords"]), hits(&case["vectors"]));
        let alpha = case["alpha"].as_f64().unwrap();
        let weights = LegWeights::default();
        for (name, spec) in [
            ("rrf", Fusion::Rrf { k: RANK_CONSTANT, weights }),
            ("convex", Fusion::Convex { alpha }),
            ("dbsf", Fusion::Dbsf { weights }),
        ] {
            // Of a list with one score ranx makes 0; we make 1, as such a list would otherwise be lost.
            if name == "convex" && (keywords.len() == 1 || vectors.len() == 1) {
                single += 1;
                continue;
            }
            assert_same(&spec.fuse(&keywords, &vectors, usize::MAX), &hits(&case[name]), name);
        }
        checked += 1;
    }
    assert!(checked >= 50 && single < checked / 2, "{checked} cases, {single} of them with a list of one");
}
