//! `--metrics-file`: the numbers of a run as a textfile for Prometheus' node exporter, one file a pipeline.
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::Account;
use super::exposition::{Gauge, Label, Sample, find, first_value, label_list, render};
use crate::data::ErrorClass;
use crate::pipeline::{RunEnding, RunEvent, RunListener, Step, StepOutcome};
use crate::stage::StageError;
use crate::store::write_whole;

const SUCCESS: &str = "tuwen_run_success";
const LAST_SUCCESS: &str = "tuwen_run_last_success_timestamp_seconds";
const RELEASE: &str = "tuwen_run_release";

/// Collects what a run tells and writes it when the run has ended.
pub struct MetricsFile {
    path: PathBuf,
    /// By which a pipeline goes whose file could never be read.
    stem: String,
    started: SystemTime,
    begun: Instant,
    gathered: Mutex<Gathered>,
}

#[derive(Default)]
struct Gathered {
    /// Unknown until the pipeline file was read.
    pipeline: Option<String>,
    /// The release that the plan rests on.
    release: Option<u64>,
    stages: Vec<StageNumbers>,
    problem: Option<String>,
}

struct StageNumbers {
    labels: Vec<Label>,
    outcome: &'static str,
    seconds: f64,
    /// In, out, to quarantine, left out; unknown where the stage did not run to its end.
    rows: Option<[(&'static str, u64); 4]>,
}

impl MetricsFile {
    pub fn new(path: &Path, pipeline_file: &Path) -> Self {
        Self {
            path: path.to_owned(),
            stem: pipeline_file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            started: SystemTime::now(),
            begun: Instant::now(),
            gathered: Mutex::default(),
        }
    }

    fn write(&self, gathered: &Gathered, ending: &RunEnding<'_>) -> Result<(), String> {
        let before = std::fs::read_to_string(&self.path).unwrap_or_default();
        let text = render(&self.gauges(gathered, ending, &before));
        write_whole(&self.path, text.as_bytes()).map_err(|error| format!("the metrics file was not written: {error}"))
    }

    /// What this run does not know stays as an earlier one of the same pipeline left it in the file.
    fn gauges(&self, gathered: &Gathered, ending: &RunEnding<'_>, before: &str) -> Vec<Gauge> {
        let earlier = || first_value(find(before, SUCCESS)?.0);
        let name = gathered.pipeline.clone().or_else(earlier).unwrap_or_else(|| self.stem.clone());
        let pipeline = vec![("pipeline", name)];
        let kept =
            |name| find(before, name).filter(|(labels, _)| *labels == label_list(&pipeline)).map(|(_, value)| value);
        let one = |name, help, value: Option<f64>| {
            let sample = value.map(|value| Sample { labels: pipeline.clone(), value });
            Gauge { name, help, samples: sample.into_iter().collect() }
        };
        let succeeded = ending.failure.is_none();
        let now = unix(SystemTime::now());
        let release = ending.release.or(gathered.release).map(|release| release as f64).or_else(|| kept(RELEASE));
        let last_success = if succeeded { Some(now) } else { kept(LAST_SUCCESS) };
        let stages = &gathered.stages;
        let sample = |stage: &StageNumbers, label, value| stage.sample(&pipeline, label, value);
        vec![
            one(SUCCESS, "Whether the newest run ended well.", Some(f64::from(u8::from(succeeded)))),
            one("tuwen_run_exit_code", "Exit code of the newest run.", Some(f64::from(ending.exit_code))),
            one("tuwen_run_started_timestamp_seconds", "When the newest run began.", Some(unix(self.started))),
            one(
                "tuwen_run_duration_seconds",
                "How long the newest run took.",
                Some(self.begun.elapsed().as_secs_f64()),
            ),
            one(LAST_SUCCESS, "When a run last ended well.", last_success),
            one(RELEASE, "Number of the current release, 0 before the first.", release),
            one(
                "tuwen_run_published",
                "Whether the newest run published a release.",
                Some(f64::from(u8::from(ending.published))),
            ),
            Gauge {
                name: "tuwen_stage_duration_seconds",
                help: "How long a stage of the newest run took; its outcome is done, reused, failed or stopped.",
                samples: stages.iter().map(|stage| sample(stage, ("outcome", stage.outcome), stage.seconds)).collect(),
            },
            Gauge {
                name: "tuwen_stage_rows",
                help: "Rows that a stage of the newest run took in, gave out, put in quarantine or left out.",
                samples: stages
                    .iter()
                    .flat_map(|stage| stage.rows.iter().flatten().map(move |(rows, count)| (stage, *rows, *count)))
                    .map(|(stage, rows, count)| sample(stage, ("rows", rows), count as f64))
                    .collect(),
            },
        ]
    }
}

impl RunListener for MetricsFile {
    fn hear(&self, event: &RunEvent<'_>) {
        let Ok(mut gathered) = self.gathered.lock() else { return };
        match event {
            RunEvent::Began { pipeline, .. } => gathered.pipeline = Some((*pipeline).to_owned()),
            RunEvent::Planned { plan } => gathered.release = Some(plan.base),
            RunEvent::StageBegan { .. } => {}
            RunEvent::StageEnded { step, seconds, ending, .. } => {
                gathered.stages.push(StageNumbers::new(step, *seconds, *ending));
            }
            RunEvent::Ended(ending) => gathered.problem = self.write(&gathered, ending).err(),
        }
    }
}

impl Account for MetricsFile {
    fn close(self: Box<Self>, _deadline: Instant) -> Option<String> {
        self.gathered.into_inner().ok()?.problem
    }
}

impl StageNumbers {
    fn new(step: &Step, seconds: f64, ending: Result<&StepOutcome, &StageError>) -> Self {
        let labels = vec![("stage", step.stage.id.clone()), ("kind", step.stage.spec.kind().as_str().to_owned())];
        let outcome = match ending.map_err(StageError::class) {
            Ok(outcome) if outcome.reused => "reused",
            Ok(_) => "done",
            Err(ErrorClass::Interrupted | ErrorClass::Terminated) => "stopped",
            Err(_) => "failed",
        };
        let rows = ending.ok().filter(|outcome| !outcome.reused).map(|outcome| {
            [
                ("in", outcome.rows_in),
                ("out", outcome.rows_out),
                ("quarantined", outcome.rows_quarantined),
                ("left_out", outcome.rows_left_out),
            ]
        });
        Self { labels, outcome, seconds, rows }
    }

    fn sample(&self, pipeline: &[Label], (name, label): (&'static str, &str), value: f64) -> Sample {
        let own = self.labels.iter().cloned().chain([(name, label.to_owned())]);
        Sample { labels: pipeline.iter().cloned().chain(own).collect(), value }
    }
}

/// Seconds since 1970.
fn unix(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
