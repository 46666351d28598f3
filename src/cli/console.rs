//! Progress and messages on stderr: bars on a terminal, plain or JSON lines elsewhere.
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;

use super::Failure;
use super::library_log::{LogLevel, watch_libraries};
use crate::data::conceal;
use crate::stage::{Monitor, Progress, StageError, StopSignal};

/// Seconds between two lines about the same piece of work where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// How messages look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Bars on a terminal, lines elsewhere.
    Auto,
    Plain,
    Json,
}

/// Writes to stderr.
pub struct Console {
    style: Style,
    /// The least important messages that are shown.
    level: LogLevel,
    bars: MultiProgress,
    pub signal: StopSignal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Bars,
    Plain,
    Json,
    Quiet,
}

impl Console {
    /// With a level, what the libraries say is shown too.
    pub fn new(format: LogFormat, quiet: bool, level: Option<LogLevel>) -> Self {
        let is_json = format == LogFormat::Json;
        let style = match format {
            _ if quiet => Style::Quiet,
            LogFormat::Json => Style::Json,
            LogFormat::Auto if std::io::stderr().is_terminal() => Style::Bars,
            LogFormat::Auto | LogFormat::Plain => Style::Plain,
        };
        let bars = MultiProgress::new();
        let level = level.map(|level| if quiet { LogLevel::Error } else { level });
        if let Some(level) = level {
            watch_libraries(level, is_json, &bars);
        }
        Self { style, level: level.unwrap_or(LogLevel::Info), bars, signal: StopSignal::default() }
    }

    /// Takes bars off the screen.
    pub fn close(&self) {
        // A terminal that is gone needs no tidying.
        let _ = self.bars.clear();
    }

    /// The last words of a run that failed.
    pub fn error(&self, failure: &Failure) {
        if self.style == Style::Json {
            let code = failure.class.exit_code();
            let message = conceal(&failure.message);
            line(&json!({ "level": "error", "message": message, "exit_code": code }).to_string());
            return;
        }
        for problem in &failure.diagnostics {
            line(&format!("error: {problem}"));
        }
        line(&format!("error: {}", conceal(&failure.message)));
    }

    fn say(&self, level: LogLevel, message: &str) {
        let message = conceal(message);
        match self.style {
            _ if level > self.level => {}
            Style::Quiet => {}
            Style::Json => {
                let level = if level == LogLevel::Warn { "warn" } else { "info" };
                line(&json!({ "level": level, "message": message }).to_string());
            }
            Style::Plain | Style::Bars => {
                let mark = if level == LogLevel::Warn { "warning: " } else { "" };
                // A terminal that is gone cannot be told anything.
                let _ = self.bars.suspend(|| writeln!(std::io::stderr(), "{mark}{message}"));
            }
        }
    }
}

impl Monitor for Console {
    fn begin(&self, what: &str, total: Option<u64>, unit: &'static str) -> Box<dyn Progress> {
        // Progress is as important as a note.
        let style = if self.level < LogLevel::Info { Style::Quiet } else { self.style };
        match style {
            Style::Bars => Box::new(self.bar(what, total, unit)),
            style => Box::new(Lines {
                style,
                what: what.to_owned(),
                total,
                unit,
                done: AtomicU64::new(0),
                remark: Mutex::new(String::new()),
                begun: Instant::now(),
                last: Mutex::new(Instant::now()),
            }),
        }
    }

    fn note(&self, message: &str) {
        self.say(LogLevel::Info, message);
    }

    fn warn(&self, message: &str) {
        self.say(LogLevel::Warn, message);
    }

    fn check_stop(&self) -> Result<(), StageError> {
        self.signal.check()
    }
}

impl Console {
    fn bar(&self, what: &str, total: Option<u64>, unit: &str) -> Bar {
        let template = match total {
            Some(_) => format!("{{prefix:<22}} {{bar:28}} {{pos}}/{{len}} {unit}  {{per_sec}}  eta {{eta}}  {{msg}}"),
            None => format!("{{prefix:<22}} {{spinner}} {{pos}} {unit}  {{per_sec}}  {{msg}}"),
        };
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new).with_style(style);
        bar.set_prefix(what.to_owned());
        Bar { bar: self.bars.add(bar) }
    }
}

struct Bar {
    bar: ProgressBar,
}

impl Progress for Bar {
    fn advance(&self, units: u64) {
        self.bar.inc(units);
    }

    fn remark(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Progress where there is no terminal: a line now and then.
struct Lines {
    style: Style,
    what: String,
    total: Option<u64>,
    unit: &'static str,
    done: AtomicU64,
    remark: Mutex<String>,
    begun: Instant,
    last: Mutex<Instant>,
}

impl Progress for Lines {
    fn advance(&self, units: u64) {
        let done = self.done.fetch_add(units, Ordering::Relaxed) + units;
        let Ok(mut last) = self.last.lock() else { return };
        if last.elapsed() < LINE_INTERVAL {
            return;
        }
        *last = Instant::now();
        let remark = self.remark.lock().map(|remark| remark.clone()).unwrap_or_default();
        let per_second = done as f64 / self.begun.elapsed().as_secs_f64();
        match self.style {
            Style::Json => line(
                &json!({ "level": "info", "work": self.what, "done": done, "total": self.total, "unit": self.unit, "per_second": per_second, "remark": remark })
                    .to_string(),
            ),
            Style::Plain => {
                let total = self.total.map_or(String::new(), |total| format!("/{total}"));
                let digits = if per_second < 1.0 { 3 } else { 1 };
                line(&format!(
                    "{}: {done}{total} {unit}, {per_second:.digits$} {unit}/s  {remark}",
                    self.what,
                    unit = self.unit
                ));
            }
            Style::Quiet | Style::Bars => {}
        }
    }

    fn remark(&self, text: &str) {
        if let Ok(mut remark) = self.remark.lock() {
            text.clone_into(&mut remark);
        }
    }
}

fn line(text: &str) {
    // stderr that is closed cannot be told about.
    let _ = writeln!(std::io::stderr(), "{text}");
}
