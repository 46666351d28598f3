//! `OPENLINEAGE_URL`: what a run and its stages read and wrote, as events of OpenLineage 2-0-2
//! (<https://openlineage.io/spec/2-0-2/OpenLineage.json>).

mod dataset;
mod facet;
mod run_uuid;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use reqwest::Client;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};

use super::Account;
use super::courier::{Courier, innermost};
use super::environment::{is_true, shown_url, variable};
use super::timestamp::utc;
use crate::data::{ErrorClass, Secret, conceal};
use crate::pipeline::{Plan, RunEnding, RunEvent, RunListener, Step, StepOutcome};
use crate::stage::StageError;
use dataset::Datasets;
use facet::{PRODUCER, facet};
use run_uuid::run_uuid;

/// Time for one event.
const LIMIT: Duration = Duration::from_secs(5);
/// Before an event is tried a second time.
const PAUSE: Duration = Duration::from_millis(300);
const SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";

/// Sends the events of one run.
pub struct Lineage {
    courier: Courier,
    client: Client,
    url: reqwest::Url,
    headers: HeaderMap,
    namespace: String,
    datasets: Datasets,
    /// Whether the event before arrived: a server that is gone is not waited for at every event.
    is_there: Arc<AtomicBool>,
    run: Mutex<Option<Run>>,
}

#[derive(Debug, Clone)]
struct Run {
    run_id: String,
    pipeline: String,
    logical_date: Option<String>,
}

impl Lineage {
    /// `None` unless the environment asks for it; `store` is the URL of the store.
    pub fn from_environment(store: &str) -> Result<Option<Self>, String> {
        let Some(base) = variable("OPENLINEAGE_URL").filter(|_| !is_true("OPENLINEAGE_DISABLED")) else {
            return Ok(None);
        };
        let endpoint = variable("OPENLINEAGE_ENDPOINT").unwrap_or_else(|| "api/v1/lineage".to_owned());
        let joined = format!("{}/{}", base.trim_end_matches('/'), endpoint.trim_start_matches('/'));
        let wrong = |reason: String| format!("OPENLINEAGE_URL `{}`: {reason}", shown_url(&base));
        let url = reqwest::Url::parse(&joined).map_err(|error| wrong(error.to_string()))?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err(wrong("use http:// or https://".to_owned()));
        }
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        if let Some(key) = variable("OPENLINEAGE_API_KEY").map(Secret::new) {
            headers.insert(AUTHORIZATION, bearer(&key)?);
        }
        // A redirect would take the key elsewhere.
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        let namespace = variable("OPENLINEAGE_NAMESPACE").unwrap_or_else(|| "default".to_owned());
        Ok(Some(Self {
            courier: Courier::new(LIMIT).map_err(|error| wrong(error.to_string()))?,
            client: client.map_err(|error| wrong(innermost(&error)))?,
            url,
            headers,
            datasets: Datasets::new(store, &namespace),
            namespace,
            is_there: Arc::new(AtomicBool::new(true)),
            run: Mutex::new(None),
        }))
    }

    fn send(&self, event: &Value) {
        // These take the place of what a user in the URL stands for.
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).body(event.to_string());
        let is_there = Arc::clone(&self.is_there);
        self.courier.send(Box::pin(async move {
            // Until it has arrived: a time-out ends this in the middle.
            let was_there = is_there.swap(false, Ordering::Relaxed);
            let again = request.try_clone().filter(|_| was_there);
            let answer = match (post(request).await, again) {
                (Err(Refusal { passing: true, .. }), Some(again)) => {
                    tokio::time::sleep(PAUSE).await;
                    post(again).await
                }
                (answer, _) => answer,
            };
            is_there.store(answer.is_ok(), Ordering::Relaxed);
            answer.map_err(|refusal| refusal.reason)
        }));
    }

    fn event(&self, kind: &str, run: &Run, stage: Option<&Step>) -> Event {
        let id = |stage: &str| run_uuid(&[&self.namespace, &run.pipeline, &run.run_id, stage]);
        let own = facet(
            "RunFacet",
            json!({ "runId": run.run_id, "logicalDate": run.logical_date, "stage": stage.map(|step| &step.stage.id) }),
        );
        let engine = json!({ "version": env!("CARGO_PKG_VERSION"), "name": "tuwen" });
        let mut run_facets = Map::new();
        run_facets.insert("tuwen_run".to_owned(), own);
        run_facets.insert("processing_engine".to_owned(), facet("ProcessingEngineRunFacet", engine));
        let (name, job_type) = match stage {
            Some(step) => (format!("{}.{}", run.pipeline, step.stage.id), "STAGE"),
            None => (run.pipeline.clone(), "PIPELINE"),
        };
        if stage.is_some() {
            let parent = json!({
                "run": { "runId": id("") },
                "job": { "namespace": self.namespace, "name": run.pipeline },
            });
            run_facets.insert("parent".to_owned(), facet("ParentRunFacet", parent));
        }
        let job_type = json!({ "processingType": "BATCH", "integration": "TUWEN", "jobType": job_type });
        Event {
            kind: kind.to_owned(),
            run_id: id(stage.map_or("", |step| &step.stage.id)),
            run_facets,
            job: json!({
                "namespace": self.namespace,
                "name": name,
                "facets": { "jobType": facet("JobTypeJobFacet", job_type) },
            }),
            inputs: Vec::new(),
            outputs: Vec::new(),
        }
    }

    fn stage_began(&self, run: &Run, plan: &Plan, step: &Step) {
        let mut event = self.event("START", run, Some(step));
        event.inputs = self.datasets.inputs(plan, step);
        self.send(&event.into_json());
    }

    fn stage_ended(&self, run: &Run, plan: &Plan, step: &Step, ending: Result<&StepOutcome, &StageError>) {
        let message = ending.err().map(ToString::to_string);
        let failure = ending.err().map(StageError::class).zip(message.as_deref());
        let mut event = self.event(last_kind(failure), run, Some(step));
        event.inputs = self.datasets.inputs(plan, step);
        if let Ok(outcome) = ending {
            event.outputs.push(self.datasets.output(plan, step, outcome));
        }
        event.blame(failure);
        self.send(&event.into_json());
    }

    fn ended(&self, run: &Run, ending: &RunEnding<'_>) {
        let mut event = self.event(last_kind(ending.failure), run, None);
        if let Some(number) = ending.release {
            event.outputs.push(self.datasets.release(&run.pipeline, number));
        }
        event.blame(ending.failure);
        self.send(&event.into_json());
    }
}

impl RunListener for Lineage {
    fn hear(&self, event: &RunEvent<'_>) {
        let Ok(mut known) = self.run.lock() else { return };
        if let RunEvent::Began { run_id, pipeline, logical_date } = event {
            let run = Run {
                run_id: (*run_id).to_owned(),
                pipeline: (*pipeline).to_owned(),
                logical_date: logical_date.map(ToOwned::to_owned),
            };
            self.send(&self.event("START", &run, None).into_json());
            *known = Some(run);
            return;
        }
        // Without a pipeline there is no job that could have failed.
        let Some(run) = known.as_ref() else { return };
        match event {
            RunEvent::StageBegan { plan, step } => self.stage_began(run, plan, step),
            RunEvent::StageEnded { plan, step, ending, .. } => self.stage_ended(run, plan, step, *ending),
            RunEvent::Ended(ending) => self.ended(run, ending),
            RunEvent::Began { .. } | RunEvent::Planned { .. } => {}
        }
    }
}

impl Account for Lineage {
    fn close(self: Box<Self>, deadline: Instant) -> Option<String> {
        let server = shown_url(self.url.as_str());
        let said = self.courier.close(deadline)?;
        Some(format!("lineage at {server}: of its events {said}; the run itself is not touched by that"))
    }
}

/// An event under construction.
struct Event {
    kind: String,
    run_id: String,
    run_facets: Map<String, Value>,
    job: Value,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
}

impl Event {
    fn blame(&mut self, failure: Option<(ErrorClass, &str)>) {
        let Some((_, message)) = failure else { return };
        let error = json!({ "message": conceal(message), "programmingLanguage": "Rust" });
        self.run_facets.insert("errorMessage".to_owned(), facet("ErrorMessageRunFacet", error));
    }

    fn into_json(self) -> Value {
        json!({
            "eventType": self.kind,
            "eventTime": utc(SystemTime::now()),
            "run": { "runId": self.run_id, "facets": self.run_facets },
            "job": self.job,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "producer": PRODUCER,
            "schemaURL": SCHEMA,
        })
    }
}

fn last_kind(failure: Option<(ErrorClass, &str)>) -> &'static str {
    match failure {
        None => "COMPLETE",
        Some((ErrorClass::Interrupted | ErrorClass::Terminated, _)) => "ABORT",
        Some(_) => "FAIL",
    }
}

fn bearer(key: &Secret) -> Result<HeaderValue, String> {
    let header = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
    let mut header = header.map_err(|_| "OPENLINEAGE_API_KEY holds characters that no header may".to_owned())?;
    header.set_sensitive(true);
    Ok(header)
}

struct Refusal {
    reason: String,
    /// Whether a second try may help.
    passing: bool,
}

/// The body of an answer may repeat what it was sent: only its number is told.
async fn post(request: reqwest::RequestBuilder) -> Result<(), Refusal> {
    let answer = request.send().await.map_err(|error| Refusal { reason: innermost(&error), passing: true })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    Err(Refusal { reason: format!("the server answers {status}"), passing: status.is_server_error() || status == 429 })
}

/// A path as it is from the root.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}
