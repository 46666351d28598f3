//! The weight of a convex combination.
use std::fs;

use serde_json::Value;

use crate::support::{PIPELINE, Workspace, files_below};

#[test]
fn a_tuned_weight_comes_from_validation_queries_and_says_where_it_is_measured_on_them() {
    let workspace = Workspace::with_pipeline();
    let tuned = PIPELINE
        .replace("model: second } }", "model: second }, fusion: { method: convex, alpha: tuned } }")
        .replace("{ embeddings: vectors } }", "{ embeddings: vectors, index: index } }");
    workspace.write("pipeline.yaml", tuned);
    let ran = workspace.tuwen(&["run", "pipeline.yaml"]).succeeds();
    assert!(ran.stderr.contains("validation queries of muge, surfaces"), "{}", ran.stderr);
    let artifacts = workspace.path("artifacts/artifacts");
    let json = |name: &str| -> Value {
        let file = files_below(&artifacts).into_iter().find(|file| file.ends_with(name)).unwrap();
        serde_json::from_str(&fs::read_to_string(artifacts.join(file)).unwrap()).unwrap()
    };
    let about = json("index.json");
    let alpha = about["tuning"]["alpha"].as_f64().unwrap();
    assert_eq!(about["fusion"], serde_json::json!({ "method": "convex", "alpha": alpha }));
    assert!((0.0..=1.0).contains(&alpha) && about["tuning"]["mrr"].as_f64().unwrap() > 0.0, "{about}");
    // muge has labels in `valid` only, so it is measured there; surfaces is measured on `test`.
    let found = json("attribution.json");
    let flags: Vec<(&str, bool)> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["dataset"].as_str().unwrap(), one["tuned_here"].as_bool().unwrap()))
        .collect();
    assert_eq!(flags, [("muge", true), ("surfaces", false)]);
}
