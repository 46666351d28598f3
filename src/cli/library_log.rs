//! `--log-level`: what the libraries below say, a line on stderr for each event, as text or as JSON.
use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use std::time::SystemTime;

use clap::ValueEnum;
use indicatif::MultiProgress;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::telemetry::utc;
use crate::data::conceal;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Writes events of libraries, whichever of the two logging crates they use.
struct LibraryLog {
    is_json: bool,
    bars: MultiProgress,
}

/// From now on events up to `level` are written; `bars` are those that a line must not tear.
pub fn watch_libraries(level: LogLevel, is_json: bool, bars: &MultiProgress) {
    let (events, records) = match level {
        LogLevel::Error => (LevelFilter::ERROR, log::LevelFilter::Error),
        LogLevel::Warn => (LevelFilter::WARN, log::LevelFilter::Warn),
        LogLevel::Info => (LevelFilter::INFO, log::LevelFilter::Info),
        LogLevel::Debug => (LevelFilter::DEBUG, log::LevelFilter::Debug),
        LogLevel::Trace => (LevelFilter::TRACE, log::LevelFilter::Trace),
    };
    let new = || LibraryLog { is_json, bars: bars.clone() };
    // Both are set once, at the start of the program.
    let _ = tracing_subscriber::registry().with(events).with(new()).try_init();
    if log::set_logger(Box::leak(Box::new(new()))).is_ok() {
        log::set_max_level(records);
    }
}

impl LibraryLog {
    fn write(&self, level: &str, target: &str, message: &str, fields: &Map<String, Value>) {
        let time = utc(SystemTime::now());
        let line = if self.is_json {
            let event = json!({
                "time": time,
                "level": level.to_lowercase(),
                "target": target,
                "message": conceal(message),
                "fields": fields,
            });
            event.to_string()
        } else {
            let mut line = format!("{time} {level:<5} {target}: {message}");
            for (name, value) in fields {
                let _ = match value {
                    Value::String(text) => write!(line, " {name}={text}"),
                    other => write!(line, " {name}={other}"),
                };
            }
            // One event is one line.
            conceal(&line).replace('\n', "\\n")
        };
        // stderr that is closed cannot be told about.
        let _ = self.bars.suspend(|| writeln!(std::io::stderr(), "{line}"));
    }
}

impl<S: Subscriber> Layer<S> for LibraryLog {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = match *event.metadata().level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARN",
            Level::INFO => "INFO",
            Level::DEBUG => "DEBUG",
            Level::TRACE => "TRACE",
        };
        self.write(level, event.metadata().target(), &fields.message, &fields.others);
    }
}

impl log::Log for LibraryLog {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        if log::Log::enabled(self, record.metadata()) {
            self.write(record.level().as_str(), record.target(), &record.args().to_string(), &Map::new());
        }
    }

    fn flush(&self) {}
}

/// The message of an event, and what else it holds.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            name => drop(self.others.insert(name.to_owned(), Value::String(conceal(&text).into_owned()))),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.others.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.others.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.others.insert(field.name().to_owned(), value.into());
    }
}
