use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::receiver::{Manner, Receiver, nobody};
use crate::support::{Ran, Workspace};

const RUN: [&str; 6] = ["run", "pipeline.yaml", "--until", "base", "--run-id", "night-1"];

fn ran(command: &mut Command) -> Ran {
    Ran::new(&command.output().unwrap())
}

/// `type job` of every event.
fn told(events: &[Value]) -> Vec<String> {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    events.iter().map(|event| format!("{} {}", word(&event["eventType"]), word(&event["job"]["name"]))).collect()
}

#[test]
fn lineage_tells_of_the_run_and_its_stages_what_they_read_and_made() {
    let workspace = Workspace::with_pipeline();
    let server = Receiver::new(Manner::Accept);
    let mut command = workspace.command(&["run", "pipeline.yaml", "--until", "vectors", "--run-id", "night-1"]);
    command.env("OPENLINEAGE_URL", server.url()).env("OPENLINEAGE_NAMESPACE", "shop");
    ran(command.env("OPENLINEAGE_API_KEY", "the-key")).succeeds();
    for request in server.requests() {
        assert_eq!(request.line, "POST /api/v1/lineage HTTP/1.1");
        assert_eq!(request.header("authorization"), Some("Bearer the-key"));
        assert_eq!(request.header("content-type"), Some("application/json"));
    }
    let events = server.json();
    let stages = ["muge", "surfaces", "base", "first", "second", "vectors"];
    let between = stages.iter().flat_map(|stage| [format!("START small.{stage}"), format!("COMPLETE small.{stage}")]);
    let expected: Vec<String> =
        ["START small".to_owned()].into_iter().chain(between).chain(["COMPLETE small".to_owned()]).collect();
    assert_eq!(told(&events), expected);
    let run_id = &events[0]["run"]["runId"];
    for pair in events[1..events.len() - 1].chunks(2) {
        assert_eq!(pair[0]["run"]["runId"], pair[1]["run"]["runId"]);
        assert_eq!(&pair[0]["run"]["facets"]["parent"]["run"]["runId"], run_id);
        assert_eq!(pair[0]["run"]["facets"]["tuwen_run"]["runId"], "night-1");
        assert!(pair[0]["eventTime"].as_str() <= pair[1]["eventTime"].as_str());
    }
    assert_eq!(run_id, &events[events.len() - 1]["run"]["runId"]);
    // What a stage reads is what another made, by namespace and name.
    let first = &events[8];
    let made: Vec<(&Value, &Value)> =
        [2, 6].map(|at| &events[at]["outputs"][0]).iter().map(|o| (&o["namespace"], &o["name"])).collect();
    let read: Vec<(&Value, &Value)> =
        first["inputs"].as_array().unwrap().iter().map(|input| (&input["namespace"], &input["name"])).collect();
    assert!(read.len() == 2 && made.iter().all(|one| read.contains(one)), "{made:?} {read:?}");
    let name = made[0].1.as_str().unwrap();
    assert!(
        workspace.path("artifacts").join("artifacts/dataset").exists()
            && name.contains("/artifacts/artifacts/dataset/")
    );
    assert!(name.ends_with(events[2]["outputs"][0]["facets"]["version"]["datasetVersion"].as_str().unwrap()));
    assert!(events[1]["inputs"][0]["name"].as_str().unwrap().ends_with("/muge"));
    let rows = &events[2]["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"];
    assert!(rows.as_u64().unwrap() > 0);
}

#[test]
fn a_run_that_fails_or_is_stopped_says_so_to_lineage() {
    let workspace = Workspace::with_pipeline();
    workspace.write("failing.yaml", workspace.read("pipeline.yaml").replace("root: muge", "root: nowhere"));
    let server = Receiver::new(Manner::Accept);
    let mut command = workspace.command(&["run", "failing.yaml"]);
    ran(command.env("OPENLINEAGE_URL", server.url())).fails(66, &["nowhere"]);
    let events = server.json();
    assert_eq!(told(&events), ["START small", "FAIL small"]);
    let error = &events[1]["run"]["facets"]["errorMessage"];
    assert!(error["message"].as_str().unwrap().contains("nowhere") && error["programmingLanguage"] == "Rust");

    let server = Receiver::new(Manner::Accept);
    let long = workspace.read("pipeline.yaml").replacen("epochs: 3", "epochs: 3000", 1);
    workspace.write("long.yaml", long);
    let line = format!(
        "export OPENLINEAGE_URL={}; \"$0\" run long.yaml 2>log & child=$!; \
         while ! grep -q 'first: finetune' log; do sleep 0.1; done; kill -INT $child; wait $child",
        server.url()
    );
    // A shell without job control starts children that ignore SIGINT.
    Ran::new(&workspace.shell(&format!("set -m; {line}"))).fails(130, &[]);
    let told = told(&server.json());
    assert_eq!(told[told.len() - 2..], ["ABORT small.first", "ABORT small"]);
}

#[test]
fn servers_that_are_down_slow_or_broken_cost_one_warning_each() {
    let workspace = Workspace::with_pipeline();
    workspace.tuwen(&RUN).succeeds();
    let (broken, slow) = (Receiver::new(Manner::Repeat(500)), Receiver::new(Manner::Silence));
    for (url, reason) in [(nobody(), "refused"), (broken.url(), "500"), (slow.url(), "no answer")] {
        let began = Instant::now();
        let mut command = workspace.command(&RUN);
        command.env("OPENLINEAGE_URL", &url).env("OTEL_EXPORTER_OTLP_ENDPOINT", &url);
        let ran = ran(&mut command).succeeds();
        // A run that waits for an answer at all would wait for ever.
        assert!(began.elapsed() < Duration::from_mins(2), "{url}: {:?}", began.elapsed());
        let warnings: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
        assert_eq!(warnings.len(), 2, "{}", ran.stderr);
        assert!(warnings[0].contains("lineage at http://127.0.0.1") && warnings[0].contains(reason), "{}", warnings[0]);
        assert!(warnings[1].contains("traces at http://127.0.0.1") && warnings[1].contains(reason), "{}", warnings[1]);
    }
    for (name, value, words) in [
        ("OPENLINEAGE_URL", "ftp://host", "no lineage is sent: OPENLINEAGE_URL"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url", "no traces are sent: endpoint"),
    ] {
        let ran = ran(workspace.command(&RUN).env(name, value)).succeeds();
        assert!(ran.stderr.contains(&format!("warning: {words}")), "{}", ran.stderr);
    }
    let quiet = Receiver::new(Manner::Accept);
    let mut command = workspace.command(&RUN);
    command.env("OPENLINEAGE_URL", quiet.url()).env("OPENLINEAGE_DISABLED", "true");
    ran(command.env("OTEL_EXPORTER_OTLP_ENDPOINT", quiet.url()).env("OTEL_SDK_DISABLED", "true")).succeeds();
    assert!(quiet.requests().is_empty());
}

#[test]
fn traces_have_a_span_for_the_run_and_each_stage_below_the_callers() {
    let workspace = Workspace::with_pipeline();
    let server = Receiver::new(Manner::Accept);
    let trace: [u8; 16] =
        [0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36];
    let mut command = workspace.command(&RUN);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", server.url()).env("OTEL_SERVICE_NAME", "nightly-shop");
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=shop,authorization=Bearer%20abc");
    command.env("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    ran(&mut command).succeeds();
    let requests = server.requests();
    assert_eq!(requests.len(), 2, "one for the stage, one for the run");
    for request in &requests {
        assert_eq!(request.line, "POST /v1/traces HTTP/1.1");
        assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
        assert_eq!((request.header("x-tenant"), request.header("authorization")), (Some("shop"), Some("Bearer abc")));
        let holds = |bytes: &[u8]| request.body.windows(bytes.len()).any(|window| window == bytes);
        assert!(holds(b"nightly-shop") && holds(&trace), "{:?}", String::from_utf8_lossy(&request.body));
    }
    let text = |at: usize| String::from_utf8_lossy(&requests[at].body).into_owned();
    assert!(text(0).contains("tuwen.fingerprint") && text(0).contains("tuwen.reused") && text(0).contains("base"));
    assert!(text(1).contains("tuwen run small") && text(1).contains("night-1"));

    let unsampled = Receiver::new(Manner::Accept);
    let mut command = workspace.command(&RUN);
    command.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("{}/own", unsampled.url()));
    ran(command.env("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")).succeeds();
    assert!(unsampled.requests().is_empty(), "the caller does not record this trace");
    ran(command.env_remove("TRACEPARENT")).succeeds();
    assert_eq!(unsampled.requests()[0].line, "POST /own HTTP/1.1");
}

#[test]
fn libraries_speak_only_when_asked_and_then_in_whole_lines() {
    let workspace = Workspace::with_pipeline();
    let mut refused =
        workspace.command(&["status", "--store", "s3://bucket/x", "--log-level", "trace", "--log-format", "json"]);
    let denied = Receiver::new(Manner::Repeat(403));
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "AK"),
        ("AWS_SECRET_ACCESS_KEY", "SK"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ALLOW_HTTP", "true"),
    ] {
        refused.env(name, value);
    }
    let output = ran(refused.env("AWS_ENDPOINT", denied.url()));
    assert_eq!(output.code, 77, "{}", output.stderr);
    let mut targets = Vec::new();
    for line in output.stderr.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(event["level"].is_string() && event["message"].is_string(), "{line}");
        targets.extend(event["target"].as_str().map(str::to_owned));
    }
    assert!(
        targets.iter().any(|target| target.starts_with("object_store") || target.starts_with("hyper")),
        "{targets:?}"
    );

    let plain = workspace.tuwen(&["run", "pipeline.yaml", "--until", "base"]).succeeds();
    let warn = workspace.tuwen(&["run", "pipeline.yaml", "--until", "base", "--log-level", "warn"]).succeeds();
    assert!(plain.stderr.contains("pipeline small on") && !warn.stderr.contains("pipeline small on"));
    let wrong = workspace.tuwen(&["status", "--log-level", "loud"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("[possible values: error, warn, info, debug, trace]"));
}
