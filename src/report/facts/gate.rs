//! What the gate said.
use serde::Serialize;

use crate::evaluate::{GateFinding, GateSpec};

/// The gate between the published release and what this report is about.
#[derive(Debug, Clone, Serialize)]
pub struct GateFacts {
    /// Number of the release that was published when the report was drawn.
    pub release: u64,
    pub gate: GateSpec,
    pub findings: Vec<GateFinding>,
}

impl GateFacts {
    /// Whether everything passed.
    pub fn is_open(&self) -> bool {
        self.findings.iter().all(|finding| finding.passed)
    }

    /// The verdict in one sentence.
    pub fn verdict(&self) -> String {
        let refused = self.findings.iter().filter(|finding| !finding.passed).count();
        match refused {
            0 => format!("Open: nothing stands against taking the place of release {}.", self.release),
            _ => format!(
                "Closed: {refused} of {} conditions against release {} failed; nothing is published.",
                self.findings.len(),
                self.release
            ),
        }
    }
}
