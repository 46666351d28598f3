//! The score JSON of the reference's `evaluation.py` and `evaluation_tr.py`, to the byte, its refusals included.
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::plain_line::plain_line;
use super::python_json::{PyValue, loads};
use super::python_text::{float_text, json_text, python_str};
use crate::data::ItemKind;
use crate::evaluate::Direction;

/// Length that every list must have.
const K: usize = 10;

/// What the reference would write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceScore {
    /// One JSON object without a line end.
    pub json: String,
    /// Why it was not scored.
    pub refusal: Option<String>,
}

/// Names of one direction in files and in messages.
struct Names {
    query: &'static str,
    documents: &'static str,
    message: &'static str,
    plural: &'static str,
}

/// Scores the bytes of a prediction file against those of a truth file.
///
/// The one difference: where a `text_id` is no integer, the reference's text-to-image script fails over a name that is
/// not defined, or names the line before; this names the id itself, as its image-to-text script does. Ids without a
/// prediction are listed in the order of the truth, not of Python's hash table.
pub fn reference_score(truth: &[u8], predictions: &[u8], direction: Direction) -> ReferenceScore {
    let names = match direction.kinds().0 {
        ItemKind::Text => Names { query: "text_id", documents: "image_ids", message: "Text_id", plural: "images" },
        ItemKind::Image => Names { query: "image_id", documents: "text_ids", message: "Image_id", plural: "texts" },
    };
    match recalls(truth, predictions, &names) {
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
fn recalls(truth: &[u8], predictions: &[u8], names: &Names) -> Result<[f64; 3], String> {
    let (truth, predictions) = (python_text(truth)?, python_text(predictions));
    let (truth, predictions) = rayon::join(
        || read_reference(&truth, names),
        || predictions.as_ref().map_err(String::clone).and_then(|text| read_submission(text, names)),
    );
    let (truth, predictions) = (truth?, predictions?);
    let missing: Vec<String> = truth
        .order
        .iter()
        .filter(|(key, _)| !predictions.contains_key(key))
        .map(|(_, text)| text.to_string())
        .collect();
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
        let best = match &truth.relevant[key] {
            Relevant::Plain(ids) => list.iter().position(|id| ids.contains(&&**id)),
            Relevant::Value(value) => {
                let relevant = elements(value)?;
                list.iter().position(|id| relevant.contains(&**id))
            }
        };
        let best = best.unwrap_or(K);
        hits.iter_mut().zip([1, 5, 10]).for_each(|(hits, k)| *hits += u64::from(best < k));
    }
    if truth.order.is_empty() {
        return Err("float division by zero".to_owned());
    }
    Ok(hits.map(|hits| hits as f64 / truth.order.len() as f64))
}

/// A truth file as Python's dictionary: keys with their text in first order, values the last.
struct Reference<'t> {
    order: Vec<(Cow<'t, str>, Cow<'t, str>)>,
    relevant: HashMap<Cow<'t, str>, Relevant<'t>>,
}

/// What is relevant to a query.
enum Relevant<'t> {
    /// Integers.
    Plain(Vec<&'t str>),
    Value(PyValue),
}

fn read_reference<'t>(text: &'t str, names: &Names) -> Result<Reference<'t>, String> {
    let lines = line_count(text);
    let mut reference = Reference { order: Vec::with_capacity(lines), relevant: HashMap::with_capacity(lines) };
    for line in stripped_lines(text) {
        let (key, text, value) = match plain_line(line, names.query, names.documents) {
            Some((id, ids)) => (Cow::Borrowed(id), Cow::Borrowed(id), Relevant::Plain(ids)),
            None => {
                let object = loads(line)?;
                let value = subscript(&object, names.documents)?.clone();
                let query = subscript(&object, names.query)?;
                (key(query)?.into(), python_str(query).into(), Relevant::Value(value))
            }
        };
        if reference.relevant.insert(key.clone(), value).is_none() {
            reference.order.push((key, text));
        }
    }
    Ok(reference)
}

/// Lists by the keys of their queries.
type Submission<'t> = HashMap<Cow<'t, str>, Vec<Cow<'t, str>>>;

fn read_submission<'t>(text: &'t str, names: &Names) -> Result<Submission<'t>, String> {
    let Names { query, documents, message, plural } = *names;
    let mut submission = HashMap::with_capacity(line_count(text));
    for line in stripped_lines(text) {
        let plain = plain_line(line, query, documents);
        if let Some((id, ids)) = plain.filter(|(_, ids)| ids.len() == K && all_differ(ids)) {
            submission.insert(Cow::Borrowed(id), ids.into_iter().map(Cow::Borrowed).collect());
            continue;
        }
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
        submission.insert(key.into(), ids.into_iter().map(Cow::from).collect());
    }
    Ok(submission)
}

fn all_differ(ids: &[&str]) -> bool {
    ids.iter().enumerate().all(|(place, id)| !ids[..place].contains(id))
}

/// A text file as Python opens it: `\r\n` and `\r` end a line too.
fn python_text(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    // All that Python's exception has for a message is the name of the encoding.
    let text = str::from_utf8(bytes).map_err(|_| "utf-8".to_owned())?;
    Ok(if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n").into() } else { text.into() })
}

/// About how many lines there are: a table that grows takes new memory each time.
fn line_count(text: &str) -> usize {
    memchr::memchr_iter(b'\n', text.as_bytes()).count() + 1
}

/// `line.strip()` of every line.
fn stripped_lines(text: &str) -> impl Iterator<Item = &str> {
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
