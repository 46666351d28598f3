//! A report for programs.
use super::ReportFacts;
use crate::stage::StageError;

/// All facts but the pictures.
pub fn render_json(facts: &ReportFacts) -> Result<String, StageError> {
    serde_json::to_string_pretty(facts).map_err(|error| StageError::internal(error.to_string()))
}
