//! What others keep account of a run with: a Prometheus textfile, OpenLineage events, OTLP traces. Each is off unless asked for, and
//! none can fail a run, or hold it up for more than [`PATIENCE`].

mod courier;
mod environment;
mod exposition;
mod lineage;
mod metrics;
mod otlp_client;
mod timestamp;
mod traces;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use super::console::Console;
use super::failure::Failure;
use crate::pipeline::{RunEnding, RunEvent, RunListener};
use crate::stage::Monitor;
use lineage::Lineage;
use metrics::MetricsFile;
use traces::Traces;

pub use environment::conceal_environment;
pub use timestamp::utc;

/// All that is not sent yet when a run ends has this long to get there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the account of a run goes.
#[derive(Debug, Clone, Args)]
pub struct TelemetryArgs {
    /// Write a textfile for Prometheus' node exporter at the end of the run, whether it went well or not.
    #[arg(long, env = "TUWEN_METRICS_FILE", value_name = "PATH")]
    metrics_file: Option<PathBuf>,
}

/// One way to keep account of a run.
trait Account: RunListener {
    /// Comes to an end by `deadline`; gives what a person should know.
    fn close(self: Box<Self>, deadline: Instant) -> Option<String>;
}

/// Everything that was asked for.
pub struct Telemetry {
    accounts: Vec<Box<dyn Account>>,
}

impl Telemetry {
    /// Reads what is asked for from flags and environment. What cannot be had is a warning.
    pub fn new(args: &TelemetryArgs, pipeline_file: &Path, store: &str, console: &Console) -> Self {
        let mut accounts: Vec<Box<dyn Account>> = Vec::new();
        if let Some(path) = &args.metrics_file {
            accounts.push(Box::new(MetricsFile::new(path, pipeline_file)));
        }
        match Lineage::from_environment(store) {
            Ok(lineage) => accounts.extend(lineage.map(|lineage| Box::new(lineage) as Box<dyn Account>)),
            Err(problem) => console.warn(&format!("no lineage is sent: {problem}")),
        }
        match Traces::from_environment() {
            Ok(traces) => accounts.extend(traces.map(|traces| Box::new(traces) as Box<dyn Account>)),
            Err(problem) => console.warn(&format!("no traces are sent: {problem}")),
        }
        Self { accounts }
    }

    /// Tells how the run ended and waits until that is known where it was asked for.
    pub fn close(self, ending: Result<RunEnding<'_>, &Failure>, console: &Console) {
        let ending = ending.unwrap_or_else(|failure| RunEnding {
            exit_code: failure.class.exit_code(),
            failure: Some((failure.class, &failure.message)),
            ..RunEnding::default()
        });
        self.hear(&RunEvent::Ended(ending));
        let deadline = Instant::now() + PATIENCE;
        for account in self.accounts {
            if let Some(warning) = account.close(deadline) {
                console.warn(&warning);
            }
        }
    }
}

impl RunListener for Telemetry {
    fn hear(&self, event: &RunEvent<'_>) {
        self.accounts.iter().for_each(|account| account.hear(event));
    }
}
