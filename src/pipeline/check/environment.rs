//! `${env:NAME}` in the few fields whose values differ from machine to machine. Expanded after parsing, so that no value can add a
//! field; everywhere else it is a problem.
use super::Problems;
use crate::pipeline::node::{Node, NodeValue};

/// The fields, below the file or a stage.
const DECLARED: [&str; 4] = ["device", "source.root", "weights", "text.dictionary"];
const BEGIN: &str = "${env:";

/// What an environment variable holds.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(super) fn expand(root: &mut Node, lookup: Lookup<'_>, problems: &mut Problems) {
    let NodeValue::Fields(fields) = &mut root.value else { return };
    for (name, _, node) in fields {
        match &mut node.value {
            NodeValue::List(stages) if name == "stages" => {
                for (position, stage) in stages.iter_mut().enumerate() {
                    let path = problems.stage_path(position);
                    walk(stage, &path, "", lookup, problems);
                }
            }
            _ => walk(node, name, name, lookup, problems),
        }
    }
}

/// `path` is for people, `field` is that below the stage.
fn walk(node: &mut Node, path: &str, field: &str, lookup: Lookup<'_>, problems: &mut Problems) {
    match &mut node.value {
        NodeValue::Text(text) if text.contains(BEGIN) => match expanded(text, field, lookup) {
            Ok(value) => *text = value,
            Err((message, remedy)) => problems.report(node.location, path.to_owned(), message, remedy),
        },
        NodeValue::List(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                walk(item, &format!("{path}[{at}]"), &format!("{field}[]"), lookup, problems);
            }
        }
        NodeValue::Fields(fields) => {
            for (name, _, value) in fields {
                let below = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
                walk(value, &format!("{path}.{name}"), &below, lookup, problems);
            }
        }
        _ => {}
    }
}

/// The text with every variable in its place, or what is wrong and its remedy.
fn expanded(text: &str, field: &str, lookup: Lookup<'_>) -> Result<String, (String, String)> {
    if !DECLARED.contains(&field) {
        let remedy = format!("write the value here; variables may stand in {}", DECLARED.join(", "));
        return Err((format!("`{BEGIN}…}}` is not expanded in this field"), remedy));
    }
    let mut pieces = text.split(BEGIN);
    let mut value = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let unclosed = || (format!("`{BEGIN}` has no closing brace"), format!("write {BEGIN}NAME}}"));
        let (name, rest) = piece.split_once('}').ok_or_else(unclosed)?;
        let missing =
            || (format!("environment variable `{name}` is not set"), format!("set {name}, or write the value"));
        value.push_str(&lookup(name).ok_or_else(missing)?);
        value.push_str(rest);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::super::check;

    const FILE: &str = "kind: Pipeline\nversion: 1\nname: ROOT\nstages:\n  - { id: a, kind: ingest, source: { format: chinese-clip, root: \"SOURCE\" } }\n";

    fn problems(name: &str, source: &str) -> Vec<String> {
        let lookup = |name: &str| (name == "BUCKET").then(|| "s3://b\nkind: x".to_owned());
        let checked = check("p.yaml", &FILE.replace("ROOT", name).replace("SOURCE", source), &lookup);
        checked
            .err()
            .unwrap_or_default()
            .iter()
            .map(|problem| format!("{}: {}", problem.path, problem.message))
            .collect()
    }

    #[test]
    fn a_variable_stands_where_it_is_declared_and_nowhere_else() {
        assert_eq!(problems("shop", "${env:BUCKET}/muge"), [""; 0]);
        assert_eq!(
            problems("shop", "x/${env:NOBODY}"),
            ["stages[0] (a).source.root: environment variable `NOBODY` is not set"]
        );
        assert_eq!(problems("shop", "${env:BUCKET"), ["stages[0] (a).source.root: `${env:` has no closing brace"]);
        assert!(
            problems("\"${env:BUCKET}\"", "x").contains(&"name: `${env:…}` is not expanded in this field".to_owned())
        );
    }
}
