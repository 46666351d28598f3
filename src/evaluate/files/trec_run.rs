//! Rankings as TREC writes them: `query Q0 document rank score tag`.
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::Path;

use super::FileError;
use super::lines::each_line;
use crate::evaluate::Ranking;

/// Reads a run as `trec_eval` does: ranks and the order of the lines are ignored; documents come by score as f32,
/// highest first, and of equal scores by id, the last in byte order first. Queries in the order of their first line.
pub fn read_run(path: &Path) -> Result<Vec<Ranking>, FileError> {
    let mut place: HashMap<String, usize> = HashMap::new();
    let mut run: Vec<Ranking> = Vec::new();
    each_line(path, |_, line| {
        let text = str::from_utf8(line).map_err(|_| "not UTF-8; convert the file".to_owned())?;
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [query, _, document, _, score, _] = fields[..] else {
            return Err(format!("{} columns; a line is `query Q0 document rank score tag`", fields.len()));
        };
        let score = score
            .parse::<f64>()
            .ok()
            .filter(|score| !score.is_nan())
            .ok_or_else(|| format!("score `{score}` is no number; a line is `query Q0 document rank score tag`"))?;
        let at = match place.get(query) {
            Some(at) => *at,
            None => {
                place.insert(query.to_owned(), run.len());
                run.push(Ranking { query_id: query.to_owned(), documents: Vec::new() });
                run.len() - 1
            }
        };
        run[at].documents.push((document.to_owned(), score as f32));
        Ok(())
    })?;
    for ranking in &mut run {
        ranking.documents.sort_unstable_by(|a, b| (b.1 + 0.0).total_cmp(&(a.1 + 0.0)).then_with(|| b.0.cmp(&a.0)));
        let mut seen = HashSet::with_capacity(ranking.documents.len());
        if let Some((twice, _)) = ranking.documents.iter().find(|(id, _)| !seen.insert(id.as_str())) {
            return Err(repeated(path, &ranking.query_id, twice));
        }
    }
    Ok(run)
}

/// The second line that names a document for a query.
fn repeated(path: &Path, query: &str, document: &str) -> FileError {
    let mut first = None;
    let names_both = |line: &[u8]| {
        let mut fields = str::from_utf8(line).unwrap_or_default().split_ascii_whitespace();
        fields.next() == Some(query) && fields.nth(1) == Some(document)
    };
    let found = each_line(path, |number, line| match first {
        Some(before) if names_both(line) => {
            Err(format!("`{document}` was listed for `{query}` in line {before} already; a list names a document once"))
        }
        None if names_both(line) => {
            first = Some(number);
            Ok(())
        }
        _ => Ok(()),
    });
    found.err().unwrap_or_else(|| FileError::Empty { path: path.to_owned() })
}

/// Writes rankings so that `trec_eval` orders them exactly as they stand.
///
/// `trec_eval` sorts by score as f32, and equal scores by id in descending byte order. A score stays as it is where that
/// keeps its place; where it does not (an equal score with a larger id, a score above the one before, no number), the
/// next f32 below the score before takes its place.
pub fn write_run(out: &mut impl Write, path: &Path, rankings: &[Ranking], tag: &str) -> Result<(), FileError> {
    check_id(tag)?;
    for ranking in rankings {
        check_id(&ranking.query_id)?;
        let mut before: Option<(f32, &str)> = None;
        for ((id, score), rank) in ranking.documents.iter().zip(1..) {
            check_id(id)?;
            let score = match before {
                Some((above, other)) if !follows((above, other), (*score, id)) => above.next_down(),
                None if score.is_nan() => 0.0,
                _ => *score,
            };
            writeln!(out, "{} Q0 {id} {rank} {score} {tag}", ranking.query_id).map_err(FileError::io(path))?;
            before = Some((score, id));
        }
    }
    Ok(())
}

/// Whether `trec_eval` puts the second after the first.
fn follows(first: (f32, &str), second: (f32, &str)) -> bool {
    second.0 < first.0 || (second.0 == first.0 && second.1 < first.1)
}

/// Columns are divided by white space, so none may be in them.
pub fn check_id(id: &str) -> Result<(), FileError> {
    if id.is_empty() || id.bytes().any(|byte| byte.is_ascii_whitespace() || byte == 0x0b) {
        return Err(FileError::SpacedId { id: id.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_in_its_order_and_only_scores_that_must_change_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let scores =
            [("a", 1.0), ("b", 1.0), ("c", 1.0), ("B", 1.0), ("d", 0.5), ("A", 0.5), ("z", 0.75), ("y", f32::NAN)];
        let documents: Vec<(String, f32)> = scores.iter().map(|(id, score)| ((*id).to_owned(), *score)).collect();
        let ranking = Ranking { query_id: "q".to_owned(), documents };
        let mut out = Vec::new();
        write_run(&mut out, file.path(), std::slice::from_ref(&ranking), "tuwen").unwrap();
        std::fs::write(file.path(), &out).unwrap();
        let read = read_run(file.path()).unwrap();
        let ids = |r: &Ranking| r.documents.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&read[0]), ids(&ranking));
        let kept = read[0].documents.iter().zip(&scores).filter(|(read, given)| read.1 == given.1).count();
        assert_eq!(kept, 3, "{read:?}");
    }

    #[test]
    fn a_document_that_is_listed_twice_is_named_with_both_lines() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "q Q0 a 1 2 t\np Q0 a 1 2 t\nq Q0 a 2 1 t\n").unwrap();
        let message = read_run(file.path()).unwrap_err().to_string();
        assert!(message.contains(":3: `a` was listed for `q` in line 1 already"), "{message}");
    }

    #[test]
    fn ids_with_white_space_are_refused() {
        let ranking = Ranking { query_id: "q".to_owned(), documents: vec![("a b".to_owned(), 1.0)] };
        assert!(write_run(&mut Vec::new(), Path::new("run"), &[ranking], "t").is_err());
    }
}
