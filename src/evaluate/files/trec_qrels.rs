//! Judgements as TREC writes them: `query 0 document relevance`.
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use super::lines::each_line;
use super::trec_run::check_id;
use super::{FileError, Judgements};

/// Reads qrels, queries in the order in which they first appear. The second column is ignored; a negative relevance
/// means not relevant, as `trec_eval` has it.
pub fn read_qrels(path: &Path) -> Result<Vec<Judgements>, FileError> {
    let mut place: HashMap<String, usize> = HashMap::new();
    let mut qrels: Vec<Judgements> = Vec::new();
    let mut seen: Vec<HashMap<String, u64>> = Vec::new();
    each_line(path, |number, line| {
        let text = str::from_utf8(line).map_err(|_| "not UTF-8; convert the file".to_owned())?;
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [query, _, document, relevance] = fields[..] else {
            return Err(format!("{} columns; a line is `query 0 document relevance`", fields.len()));
        };
        let relevance: i64 = relevance
            .parse()
            .map_err(|_| format!("relevance `{relevance}` is no integer; a line is `query 0 document relevance`"))?;
        let gain = u32::try_from(relevance.max(0))
            .map_err(|_| format!("relevance {relevance} is too large; use small integers"))?;
        let at = match place.get(query) {
            Some(at) => *at,
            None => {
                place.insert(query.to_owned(), qrels.len());
                qrels.push(Judgements { query_id: query.to_owned(), gains: Vec::new() });
                seen.push(HashMap::new());
                qrels.len() - 1
            }
        };
        if let Some(before) = seen[at].insert(document.to_owned(), number) {
            return Err(format!("`{document}` was judged for `{query}` in line {before} already; keep one of the two"));
        }
        qrels[at].gains.push((document.to_owned(), gain));
        Ok(())
    })?;
    Ok(qrels)
}

/// Writes judgements; ids may hold no white space.
pub fn write_trec_qrels(out: &mut impl Write, path: &Path, judgements: &[Judgements]) -> Result<(), FileError> {
    for entry in judgements {
        check_id(&entry.query_id)?;
        for (document, gain) in &entry.gains {
            check_id(document)?;
            writeln!(out, "{} 0 {document} {gain}", entry.query_id).map_err(FileError::io(path))?;
        }
    }
    Ok(())
}
