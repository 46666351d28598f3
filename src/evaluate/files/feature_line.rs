//! One line of a feature file.
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use super::json_numbers::{read_numbers, skip_space};
use super::lines::id_text;

/// Appends the vector of a line and returns its id.
pub fn parse_line(line: &[u8], key: &str, vectors: &mut Vec<f32>) -> Result<String, String> {
    let before = vectors.len();
    if let Some(id) = plain_line(line, key, vectors) {
        return Ok(id);
    }
    vectors.truncate(before);
    let broken =
        |at: usize| format!("no feature line at column {}; a line is {{\"{key}\": 1, \"feature\": [0.1, …]}}", at + 1);
    let mut id = None;
    let mut at = skip_space(line, 0);
    let mut expected = b'{';
    let mut complete = false;
    while line.get(at) == Some(&expected) {
        let (name, end) = value::<String>(line, skip_space(line, at + 1)).ok_or_else(|| broken(at + 1))?;
        at = skip_space(line, end);
        if line.get(at) != Some(&b':') {
            return Err(broken(at));
        }
        at = skip_space(line, at + 1);
        at = if name == key {
            let (found, end) = value::<Value>(line, at).ok_or_else(|| broken(at))?;
            id = Some(id_text(&found)?);
            end
        } else if name == "feature" {
            vectors.truncate(before);
            at + read_numbers(&line[at..], vectors).ok_or_else(|| broken(at))?
        } else {
            value::<IgnoredAny>(line, at).ok_or_else(|| broken(at))?.1
        };
        at = skip_space(line, at);
        expected = b',';
        complete = line.get(at) == Some(&b'}');
    }
    if !complete || skip_space(line, at + 1) != line.len() {
        return Err(broken(at));
    }
    id.ok_or_else(|| format!("`{key}` is missing; give the file of the other side, or add it"))
}

/// A line as the reference writes it, with an integer for an id; `None` if it is another.
fn plain_line(line: &[u8], key: &str, vectors: &mut Vec<f32>) -> Option<String> {
    let rest = line.strip_prefix(b"{\"")?.strip_prefix(key.as_bytes())?.strip_prefix(b"\": ")?;
    let (id, rest) = rest.split_at(rest.iter().take_while(|byte| byte.is_ascii_digit()).count());
    if id.is_empty() || id.len() > 18 || (id[0] == b'0' && id.len() > 1) {
        return None;
    }
    let numbers = rest.strip_prefix(b", \"feature\": ")?;
    let end = read_numbers(numbers, vectors)?;
    (numbers[end..].trim_ascii_end() == b"}").then(|| String::from_utf8_lossy(id).into_owned())
}

/// A JSON value at `at`, and where it ends.
fn value<T: DeserializeOwned>(line: &[u8], at: usize) -> Option<(T, usize)> {
    let mut stream = serde_json::Deserializer::from_slice(line.get(at..)?).into_iter::<T>();
    let value = stream.next()?.ok()?;
    Some((value, at + stream.byte_offset()))
}
