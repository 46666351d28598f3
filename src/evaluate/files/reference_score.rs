//! The score JSON of the reference's `evaluation.py` and `evaluation_tr.py`, to the byte, its refusals included.
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::names::Names;
use super::plain_score::PlainTruth;
use super::python_json::{PyValue, loads};
use super::python_text::{float_text, json_text, python_str};
use crate::evaluate::Direction;

/// Length that every list must have.
pub(super) const K: usize = 10;

/// What the reference would write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceScore {
    /// One JSON object without a line end.
    pub json: String,
    /// Why it was not scored.
    pub refusal: Option<String>,
}

/// Scores the bytes of a prediction file against those of a truth file.
///
/// The one difference: where a `text_id` is no integer, the reference's text-to-image script fails over a name that is
/// not defined, or names the line before; this names the id itself, as its image-to-text script does. Ids without a
/// prediction are listed in the order of the truth, not of Python's hash table.
pub fn reference_score(truth: &[u8], predictions: &[u8], direction: Direction) -> ReferenceScore {
    score_json(recalls(truth, predictions, direction))
}

/// The score of these recalls at 1, 5 and 10, or why there is none.
pub fn score_json(recalls: Result<[f64; 3], String>) -> ReferenceScore {
    match recalls {
        Ok([r1, r5, r10]) => {
            let mean = (r1 + r5 + r10) / 3.0;
            let [mean, r1, r5, r10] = [mean, r1, r5, r10].map(|share| float_text(share * 100.0));
            let json = format!(
                "{{\"success\": true, \"score\": {mean}, \"scoreJson\": {{\"score\": {mean}, \"mean_recall\": {mean}, \"r1\": {r1}, \"r5\": {r5}, \"r10\": {r10}}}}}"
            );
            ReferenceScore { json, refusal: None }
        }
        Err(refusal) => {
            let text = json_text(&refusal);
            let json = format!(
                "{{\"errorDetail\": {text}, \"errorMsg\": {text}, \"score\": 0, \"scoreJson\": {{}}, \"success\": false}}"
            );
            ReferenceScore { json, refusal: Some(refusal) }
        }
    }
}

/// Shares of the queries with a relevant document among the first 1, 5 and 10.
fn recalls(truth: &[u8], predictions: &[u8], direction: Direction) -> Result<[f64; 3], String> {
    let plain = || {
        let plain = PlainTruth::read(truth, direction)?;
        plain.recalls(plain.ranks(predictions, direction)?)
    };
    if let Some(recalls) = plain() {
        return Ok(recalls);
    }
    let (truth, predictions) = (python_text(truth)?, python_text(predictions));
    let names = &Names::of(direction);
    let (truth, predictions) = rayon::join(
        || read_reference(&truth, names),
        || predictions.as_ref().map_err(String::clone).and_then(|text| read_submission(text, names)),
    );
    let (truth, predictions) = (truth?, predictions?);
    let missing: Vec<String> =
        truth.order.iter().filter(|(key, _)| !predictions.contains_key(key)).map(|(_, text)| text.clone()).collect();
    if !missing.is_empty() {
        return Err(format!(
            "The following {}s have no prediction in your submission, please check again: {}",
            names.query,
            missing.join(", ")
        ));
    }
    let mut hits = [0u64; 3];
    for (key, _) in &truth.order {
        let list = &predictions[key];
        let relevant = elements(&truth.relevant[key])?;
        let best = list.iter().position(|id| relevant.contains(id)).unwrap_or(K);
        hits.iter_mut().zip([1, 5, 10]).for_each(|(hits, k)| *hits += u64::from(best < k));
    }
    if truth.order.is_empty() {
        return Err("float division by zero".to_owned());
    }
    Ok(hits.map(|hits| hits as f64 / truth.order.len() as f64))
}

/// A truth file as Python's dictionary: keys with their text in first order, values the last.
struct Reference {
    order: Vec<(String, String)>,
    relevant: HashMap<String, PyValue>,
}

fn read_reference(text: &str, names: &Names) -> Result<Reference, String> {
    let mut reference = Reference { order: Vec::new(), relevant: HashMap::new() };
    for line in stripped_lines(text) {
        let object = loads(line)?;
        let value = subscript(&object, names.documents)?.clone();
        let query = subscript(&object, names.query)?;
        let key = key(query)?;
        if reference.relevant.insert(key.clone(), value).is_none() {
            reference.order.push((key, python_str(query)));
        }
    }
    Ok(reference)
}

/// Lists by the keys of their queries.
type Submission = HashMap<String, Vec<String>>;

fn read_submission(text: &str, names: &Names) -> Result<Submission, String> {
    let Names { query, documents, message, plural } = *names;
    let mut submission = HashMap::new();
    for line in stripped_lines(text) {
        let object = loads(line).map_err(|_| format!("Cannot parse this line into json object: {line}"))?;
        if !contains(&object, query)? {
            return Err(format!("There exists one line not containing {query}: {line}"));
        }
        let id = subscript(&object, query)?;
        let Some(key) = integer(id) else {
            let id = python_str(id);
            return Err(format!(
                "Found an invalid {query} {id}, it should be an integer (not string), please check your schema"
            ));
        };
        let id = python_str(id);
        if !contains(&object, documents)? {
            return Err(format!("There exists one line not containing the predicted {documents}: {line}"));
        }
        let PyValue::List(list) = subscript(&object, documents)? else {
            return Err(format!("The {documents} field of {query} {id} is not a list, please check your schema"));
        };
        if list.len() != K {
            let found = list.len();
            return Err(format!(
                "{message} {id} has wrong number of predicted {documents}! Require {K}, but {found} founded."
            ));
        }
        let document = documents.trim_end_matches('s');
        let ids: Result<Vec<String>, String> = list.iter().zip(1..).map(|(value, rank)| {
            integer(value).ok_or_else(|| {
                let value = python_str(value);
                format!("{message} {id} has an invalid predicted {document} {value} at rank {rank}, it should be an integer (not string), please check your schema")
            })
        }).collect();
        let ids = ids?;
        if ids.iter().collect::<HashSet<_>>().len() != K {
            return Err(format!("{message} {id} has duplicate topk {plural} in your prediction. Pleace check again!"));
        }
        submission.insert(key, ids);
    }
    Ok(submission)
}

/// A text file as Python opens it: `\r\n` and `\r` end a line too.
pub(super) fn python_text(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    // All that Python's exception has for a message is the name of the encoding.
    let text = str::from_utf8(bytes).map_err(|_| "utf-8".to_owned())?;
    Ok(if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n").into() } else { text.into() })
}

/// `line.strip()` of every line.
pub(super) fn stripped_lines(text: &str) -> impl Iterator<Item = &str> {
    let white = |c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c);
    text.split_terminator('\n').map(move |line| line.trim_matches(white))
}

/// `key in object`.
fn contains(object: &PyValue, key: &str) -> Result<bool, String> {
    match object {
        PyValue::Dict(entries) => Ok(entries.iter().any(|(name, _)| name == key)),
        PyValue::List(values) => Ok(values.iter().any(|value| matches!(value, PyValue::Text(text) if text == key))),
        PyValue::Text(text) => Ok(text.contains(key)),
        other => Err(format!("argument of type '{}' is not iterable", other.type_name())),
    }
}

/// `object[key]`.
fn subscript<'a>(object: &'a PyValue, key: &str) -> Result<&'a PyValue, String> {
    match object {
        PyValue::Dict(entries) => {
            entries.iter().find(|(name, _)| name == key).map(|(_, value)| value).ok_or_else(|| key.to_owned())
        }
        PyValue::List(_) => Err("list indices must be integers or slices, not str".to_owned()),
        PyValue::Text(_) => Err("string indices must be integers, not 'str'".to_owned()),
        other => Err(format!("'{}' object is not subscriptable", other.type_name())),
    }
}

/// What an integer is known by; `True` and `False` are integers.
fn integer(value: &PyValue) -> Option<String> {
    match value {
        PyValue::Int(digits) => Some(digits.clone()),
        PyValue::Bool(value) => Some(u8::from(*value).to_string()),
        _ => None,
    }
}

/// What a value is known by in a set: equal values have one key, `1`, `1.0` and `True` too.
fn key(value: &PyValue) -> Result<String, String> {
    match value {
        PyValue::List(_) | PyValue::Dict(_) => Err(format!("unhashable type: '{}'", value.type_name())),
        PyValue::Float(float) if float.is_finite() && float.fract() == 0.0 => Ok(format!("{:.0}", float + 0.0)),
        PyValue::Text(text) => Ok(format!("\"{text}")),
        PyValue::None | PyValue::Float(_) => Ok(format!("\"\"{}", python_str(value))),
        PyValue::Int(_) | PyValue::Bool(_) => Ok(integer(value).unwrap_or_default()),
    }
}

/// `set(value)`.
fn elements(value: &PyValue) -> Result<HashSet<String>, String> {
    match value {
        PyValue::List(values) => values.iter().map(key).collect(),
        // Characters and names are no integers: nothing is found by them.
        PyValue::Text(_) | PyValue::Dict(_) => Ok(HashSet::new()),
        other => Err(format!("'{}' object is not iterable", other.type_name())),
    }
}
