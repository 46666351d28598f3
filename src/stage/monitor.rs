//! What a running stage tells, and how it is told to stop.
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use super::StageError;
use crate::data::ErrorClass;

/// Receives progress and messages; `cli` draws them.
pub trait Monitor: Sync {
    /// A piece of work of `total` units begins.
    fn begin(&self, what: &str, total: Option<u64>, unit: &'static str) -> Box<dyn Progress>;

    /// Something worth a line.
    fn note(&self, message: &str);

    /// Something that a person should look at.
    fn warn(&self, message: &str);

    /// An error when the run was asked to stop; long loops call this between steps.
    fn check_stop(&self) -> Result<(), StageError>;
}

/// A piece of work under way; ends when it is dropped.
pub trait Progress {
    fn advance(&self, units: u64);

    /// A short remark beside the bar, e.g. the current loss.
    fn remark(&self, text: &str);
}

/// The number of the signal that asks the run to stop, or 0.
#[derive(Debug, Clone, Default)]
pub struct StopSignal(Arc<AtomicI32>);

impl StopSignal {
    const SIGINT: i32 = 2;
    /// Raised when the time that a run was given is over; no signal has this number.
    pub const DEADLINE: i32 = i32::MAX;

    /// Asks the run to stop; safe inside a signal handler.
    pub fn raise(&self, signal: i32) {
        self.0.store(signal, Ordering::Relaxed);
    }

    /// An error once a signal was raised.
    pub fn check(&self) -> Result<(), StageError> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            Self::SIGINT => Err(StageError::new(ErrorClass::Interrupted, "interrupted; give the same command again")),
            Self::DEADLINE => {
                let message = "the deadline passed; give the same command again to go on";
                Err(StageError::new(ErrorClass::Temporary, message))
            }
            _ => Err(StageError::new(ErrorClass::Terminated, "terminated; give the same command again")),
        }
    }
}

/// Says nothing; for tests and for commands without a terminal.
#[derive(Debug, Default)]
pub struct NoMonitor;

struct NoProgress;

impl Monitor for NoMonitor {
    fn begin(&self, _what: &str, _total: Option<u64>, _unit: &'static str) -> Box<dyn Progress> {
        Box::new(NoProgress)
    }

    fn note(&self, _message: &str) {}

    fn warn(&self, _message: &str) {}

    fn check_stop(&self) -> Result<(), StageError> {
        Ok(())
    }
}

impl Progress for NoProgress {
    fn advance(&self, _units: u64) {}

    fn remark(&self, _text: &str) {}
}
