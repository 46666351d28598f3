//! What happens to a run, in order, for whoever keeps account of it. Nothing is decided by a listener.
use super::plan::{Plan, Step};
use super::run::StepOutcome;
use crate::data::ErrorClass;
use crate::stage::StageError;

/// Hears of a run while it goes on; it must not hold the run up.
pub trait RunListener: Sync {
    fn hear(&self, event: &RunEvent<'_>);
}

/// One thing that happened.
#[derive(Debug, Clone, Copy)]
pub enum RunEvent<'a> {
    /// The pipeline file was read, its sources were not yet.
    Began {
        run_id: &'a str,
        pipeline: &'a str,
        logical_date: Option<&'a str>,
    },
    /// It is known what has to be done.
    Planned {
        plan: &'a Plan,
    },
    StageBegan {
        plan: &'a Plan,
        step: &'a Step,
    },
    StageEnded {
        plan: &'a Plan,
        step: &'a Step,
        seconds: f64,
        ending: Result<&'a StepOutcome, &'a StageError>,
    },
    /// The last event; the only one of a run whose file could not be read.
    Ended(RunEnding<'a>),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunEnding<'a> {
    pub exit_code: u8,
    pub failure: Option<(ErrorClass, &'a str)>,
    /// The release that the run published or found unchanged.
    pub release: Option<u64>,
    pub published: bool,
}

/// Nobody keeps account.
#[derive(Debug, Clone, Copy)]
pub struct NoListener;

impl RunListener for NoListener {
    fn hear(&self, _event: &RunEvent<'_>) {}
}
