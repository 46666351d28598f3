//! A report for spreadsheets: one row per score, with its interval.
use super::ReportFacts;
use crate::evaluate::Score;
use crate::stage::StageError;

const COLUMNS: [&str; 11] =
    ["model", "dataset", "split", "subset", "direction", "metric", "value", "lower", "upper", "queries", "documents"];

/// All scores; an interval that is not known is empty.
pub fn render_csv(facts: &ReportFacts) -> Result<String, StageError> {
    let broken = |error: csv::Error| StageError::internal(error.to_string());
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(broken)?;
    for score in &facts.scores {
        writer.write_record(row(score)).map_err(broken)?;
    }
    let bytes = writer.into_inner().map_err(|error| StageError::internal(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| StageError::internal(error.to_string()))
}

fn row(score: &Score) -> [String; 11] {
    let end = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    [
        score.model.clone(),
        score.dataset.clone(),
        score.split.clone(),
        score.subset.clone(),
        score.direction.clone(),
        score.metric.clone(),
        score.value.to_string(),
        end(score.lower),
        end(score.upper),
        score.queries.to_string(),
        score.documents.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::facts;
    use super::*;

    #[test]
    fn every_score_is_a_row_that_reads_back() {
        let facts = facts(1);
        let text = render_csv(&facts).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), COLUMNS);
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), facts.scores.len());
        for (row, score) in rows.iter().zip(&facts.scores) {
            assert_eq!(row[0], score.model);
            assert_eq!(row[6].parse::<f64>().unwrap(), score.value);
            assert_eq!(row[7].parse::<f64>().ok(), score.lower);
        }
    }
}
