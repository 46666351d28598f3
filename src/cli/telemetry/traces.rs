//! `OTEL_EXPORTER_OTLP_ENDPOINT`: one span for the run and one below it for every stage, sent by OTLP over HTTP (protobuf).
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span, SpanKind, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanData, SpanExporter as _, SpanProcessor};

use super::Account;
use super::courier::{Courier, innermost};
use super::environment::{is_true, shown_url, variable};
use super::otlp_client::OtlpClient;
use crate::data::{ErrorClass, conceal};
use crate::pipeline::{RunEnding, RunEvent, RunListener, Step, StepOutcome};
use crate::stage::StageError;

/// Time for one span, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise.
const LIMIT: Duration = Duration::from_secs(5);
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const LIMITS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];

/// The spans of one run.
pub struct Traces {
    server: String,
    courier: Arc<Mutex<Option<Courier>>>,
    /// Ends the processor when it goes.
    _provider: SdkTracerProvider,
    tracer: SdkTracer,
    open: Mutex<Open>,
}

/// Spans that have not ended.
struct Open {
    root: Context,
    stage: Option<opentelemetry_sdk::trace::Span>,
}

impl Traces {
    /// `None` unless the environment asks for it. The run's span begins here.
    pub fn from_environment() -> Result<Option<Self>, String> {
        let Some(server) = ENDPOINTS.into_iter().find_map(variable) else { return Ok(None) };
        let is_off =
            is_true("OTEL_SDK_DISABLED") || variable("OTEL_TRACES_EXPORTER").is_some_and(|name| name == "none");
        if is_off {
            return Ok(None);
        }
        let server = shown_url(&server);
        let protocol = PROTOCOLS.into_iter().find_map(variable);
        if let Some(other) = protocol.filter(|name| name != "http/protobuf") {
            return Err(format!("protocol `{other}` is not spoken; set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"));
        }
        let limit = match LIMITS.into_iter().find_map(variable) {
            Some(text) => Duration::from_millis(
                text.parse().map_err(|_| format!("OTEL_EXPORTER_OTLP_TIMEOUT `{text}`: give milliseconds"))?,
            ),
            None => LIMIT,
        };
        let client = Arc::new(OtlpClient::new()?);
        let exporter = SpanExporter::builder()
            .with_http()
            .with_shared_http_client(client.clone())
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(limit)
            .with_retry_policy(RetryPolicy::recommended().with_max_retries(1));
        let mut exporter = exporter.build().map_err(|error| format!("endpoint {server}: {}", innermost(&error)))?;
        let resource = resource();
        exporter.set_resource(&resource);
        let courier = Courier::new(limit).map_err(|error| error.to_string())?;
        let courier = Arc::new(Mutex::new(Some(courier)));
        let outbox = Outbox { exporter: Arc::new(exporter), client, courier: Arc::clone(&courier) };
        let provider = SdkTracerProvider::builder().with_resource(resource).with_span_processor(outbox).build();
        let tracer = provider.tracer("tuwen");
        let root = tracer.span_builder("tuwen run").with_kind(SpanKind::Internal);
        let root = Context::new().with_span(root.start_with_context(&tracer, &parent()));
        let open = Mutex::new(Open { root, stage: None });
        Ok(Some(Self { server, courier, _provider: provider, tracer, open }))
    }
}

impl RunListener for Traces {
    fn hear(&self, event: &RunEvent<'_>) {
        let Ok(mut open) = self.open.lock() else { return };
        match event {
            RunEvent::Began { run_id, pipeline, logical_date } => {
                let root = open.root.span();
                root.update_name(format!("tuwen run {pipeline}"));
                root.set_attribute(KeyValue::new("tuwen.run_id", (*run_id).to_owned()));
                root.set_attribute(KeyValue::new("tuwen.pipeline", (*pipeline).to_owned()));
                if let Some(date) = logical_date {
                    root.set_attribute(KeyValue::new("tuwen.logical_date", (*date).to_owned()));
                }
            }
            RunEvent::Planned { plan } => {
                open.root.span().set_attribute(KeyValue::new("tuwen.stages", plan.steps.len() as i64));
            }
            RunEvent::StageBegan { step, .. } => {
                let span = self.tracer.span_builder(step.stage.id.clone()).with_attributes(attributes(step));
                open.stage = Some(span.start_with_context(&self.tracer, &open.root));
            }
            RunEvent::StageEnded { ending, .. } => {
                if let Some(span) = open.stage.take() {
                    end_stage(span, *ending);
                }
            }
            RunEvent::Ended(ending) => end_run(&open.root, ending),
        }
    }
}

impl Account for Traces {
    fn close(self: Box<Self>, deadline: Instant) -> Option<String> {
        let courier = self.courier.lock().ok()?.take()?;
        let said = courier.close(deadline)?;
        Some(format!("traces at {}: of the spans {said}; the run itself is not touched by that", self.server))
    }
}

/// Sends every span as soon as it has ended: of a run that is killed the stages before are known.
#[derive(Debug)]
struct Outbox {
    exporter: Arc<SpanExporter>,
    client: Arc<OtlpClient>,
    courier: Arc<Mutex<Option<Courier>>>,
}

impl SpanProcessor for Outbox {
    fn on_start(&self, _span: &mut opentelemetry_sdk::trace::Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        let (exporter, client) = (Arc::clone(&self.exporter), Arc::clone(&self.client));
        let Ok(courier) = self.courier.lock() else { return };
        let Some(courier) = courier.as_ref() else { return };
        courier.send(Box::pin(async move {
            let sent = exporter.export(vec![span]).await;
            sent.map_err(|error| client.failure().unwrap_or_else(|| error.to_string()))
        }));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// What the program is, as `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say; else it is called tuwen.
fn resource() -> Resource {
    let named_by_attributes =
        variable("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|attributes| attributes.contains("service.name="));
    let builder = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if variable("OTEL_SERVICE_NAME").is_some() || named_by_attributes {
        return builder.build();
    }
    builder.with_service_name("tuwen").build()
}

/// The span that the caller is in: `TRACEPARENT` and `TRACESTATE`, as W3C Trace Context writes them.
fn parent() -> Context {
    let named = [("traceparent", "TRACEPARENT"), ("tracestate", "TRACESTATE")];
    let carrier: HashMap<String, String> =
        named.into_iter().filter_map(|(header, name)| Some((header.to_owned(), variable(name)?))).collect();
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
}

fn attributes(step: &Step) -> Vec<KeyValue> {
    vec![
        KeyValue::new("tuwen.stage", step.stage.id.clone()),
        KeyValue::new("tuwen.kind", step.stage.spec.kind().as_str()),
        KeyValue::new("tuwen.fingerprint", step.artifact.fingerprint.to_string()),
    ]
}

fn end_stage(mut span: opentelemetry_sdk::trace::Span, ending: Result<&StepOutcome, &StageError>) {
    match ending {
        Ok(outcome) => {
            span.set_attribute(KeyValue::new("tuwen.reused", outcome.reused));
            if !outcome.reused {
                let rows = [
                    ("tuwen.rows.in", outcome.rows_in),
                    ("tuwen.rows.out", outcome.rows_out),
                    ("tuwen.rows.quarantined", outcome.rows_quarantined),
                    ("tuwen.rows.left_out", outcome.rows_left_out),
                ];
                rows.into_iter().for_each(|(name, count)| span.set_attribute(KeyValue::new(name, count as i64)));
            }
            span.set_status(Status::Ok);
        }
        Err(error) => span.set_status(failed(error.class(), &error.to_string())),
    }
    span.end();
}

fn end_run(root: &Context, ending: &RunEnding<'_>) {
    let span = root.span();
    span.set_attribute(KeyValue::new("tuwen.exit_code", i64::from(ending.exit_code)));
    span.set_attribute(KeyValue::new("tuwen.published", ending.published));
    if let Some(release) = ending.release {
        span.set_attribute(KeyValue::new("tuwen.release", release as i64));
    }
    span.set_status(ending.failure.map_or(Status::Ok, |(class, message)| failed(class, message)));
    span.end();
}

fn failed(class: ErrorClass, message: &str) -> Status {
    Status::error(format!("exit {}: {}", class.exit_code(), conceal(message)))
}
