//! The file against its JSON Schema: unknown and missing fields, types, ranges, names.
use regex::Regex;
use serde_json::Value;

use super::Problems;
use crate::data::closest;
use crate::pipeline::node::{Node, NodeValue};

pub(super) fn check(root: &Node, schema: &Value, problems: &mut Problems) {
    Shape { schema, problems }.value(root, schema, "");
}

struct Shape<'a> {
    schema: &'a Value,
    problems: &'a mut Problems,
}

impl Shape<'_> {
    fn value(&mut self, node: &Node, schema: &Value, path: &str) {
        let schema = self.resolve(schema).clone();
        if node.value == NodeValue::Null && allows_null(&schema) {
            return;
        }
        if let Some(options) = schema.get("anyOf").and_then(Value::as_array) {
            let options: Vec<&Value> = options.iter().filter(|option| !is_null(option)).collect();
            let word = |option: &&&Value| !choice_names(self.resolve(option)).is_empty();
            let fitting = options.iter().find(|option| matches!(node.value, NodeValue::Text(_)) && word(option));
            if let Some(option) = fitting.or(options.first()) {
                self.value(node, option, path);
            }
            return;
        }
        if let Some(options) = schema.get("oneOf").and_then(Value::as_array) {
            self.one_of(node, options, path);
            return;
        }
        if let Some(expected) = schema.get("const") {
            if node.to_json() != *expected {
                self.report(
                    node,
                    path,
                    format!("expected {expected}, found {}", show(node)),
                    format!("write {expected}"),
                );
            }
            return;
        }
        if let Some(options) = schema.get("enum").and_then(Value::as_array) {
            self.choice(node, &texts(options), path);
            return;
        }
        self.typed(node, &schema, path);
    }

    fn typed(&mut self, node: &Node, schema: &Value, path: &str) {
        let expected = type_name(schema);
        match (&node.value, expected) {
            (NodeValue::Fields(_), "object") => self.object(node, schema, path),
            (NodeValue::List(items), "array") => {
                self.length(node, items.len(), schema, path);
                for (at, item) in items.iter().enumerate() {
                    if let Some(schema) = schema.get("items") {
                        let path =
                            if path == "stages" { self.problems.stage_path(at) } else { format!("{path}[{at}]") };
                        self.value(item, schema, &path);
                    }
                }
            }
            (NodeValue::Text(text), "string") => self.pattern(node, text, schema, path),
            (NodeValue::Number(number), "number" | "integer") => {
                if expected == "integer" && number.as_i64().is_none() && number.as_u64().is_none() {
                    self.report(node, path, format!("expected a whole number, found {number}"), remedy(schema));
                } else {
                    self.range(node, number.as_f64().unwrap_or(f64::NAN), schema, path);
                }
            }
            (NodeValue::Bool(_), "boolean") | (_, "") => {}
            (_, expected) => {
                let expected = article(expected);
                self.report(node, path, format!("expected {expected}, found {}", show(node)), remedy(schema));
            }
        }
    }

    fn object(&mut self, node: &Node, schema: &Value, path: &str) {
        let NodeValue::Fields(fields) = &node.value else { return };
        let properties = schema.get("properties").and_then(Value::as_object);
        let known: Vec<&str> = properties.map(|p| p.keys().map(String::as_str).collect()).unwrap_or_default();
        for (name, place, value) in fields {
            let path = join(path, name);
            match properties.and_then(|properties| properties.get(name)) {
                Some(schema) => self.value(value, schema, &path),
                None => {
                    let remedy = match closest(name, known.iter().copied()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("known fields: {}", known.join(", ")),
                    };
                    self.problems.report(*place, path, format!("unknown field `{name}`"), remedy);
                }
            }
        }
        for required in texts(schema.get("required").and_then(Value::as_array).map_or(&[], Vec::as_slice)) {
            if node.field(&required).is_none() {
                let about = properties.and_then(|p| p.get(&required)).map(remedy).unwrap_or_default();
                self.report(node, path, format!("field `{required}` is missing"), format!("add `{required}`: {about}"));
            }
        }
    }

    /// A choice among names, among objects told apart by a tag field, or among objects of one field each.
    fn one_of(&mut self, node: &Node, options: &[Value], path: &str) {
        let options: Vec<Value> = options.iter().map(|option| self.resolve(option).clone()).collect();
        let names: Vec<String> = options.iter().flat_map(choice_names).collect();
        if names.len() >= options.len() {
            self.choice(node, &names, path);
        } else if let Some(tag) = options.first().and_then(tag_field) {
            self.tagged(node, &options, tag, path);
        } else {
            self.single_field(node, &options, path);
        }
    }

    fn tagged(&mut self, node: &Node, options: &[Value], tag: &str, path: &str) {
        let names: Vec<String> = options.iter().filter_map(|option| tag_value(option, tag)).collect();
        let NodeValue::Fields(_) = &node.value else {
            self.report(node, path, format!("expected fields, found {}", show(node)), format!("start with `{tag}:`"));
            return;
        };
        let Some(chosen) = node.field(tag) else {
            let remedy = format!("add `{tag}`, one of: {}", names.join(", "));
            self.report(node, path, format!("field `{tag}` is missing"), remedy);
            return;
        };
        match options.iter().find(|option| tag_value(option, tag).as_deref() == chosen.text()) {
            Some(option) => self.typed(node, option, path),
            None => self.choice(chosen, &names, &join(path, tag)),
        }
    }

    fn single_field(&mut self, node: &Node, options: &[Value], path: &str) {
        let names: Vec<String> = options
            .iter()
            .flat_map(|option| texts(option.get("required").and_then(Value::as_array).map_or(&[], Vec::as_slice)))
            .collect();
        let NodeValue::Fields(fields) = &node.value else {
            let remedy = format!("write one of: {} as `name: {{ … }}`", names.join(", "));
            self.report(node, path, format!("expected one field, found {}", show(node)), remedy);
            return;
        };
        let [(name, place, value)] = fields.as_slice() else {
            let message = format!("expected one field, found {}", fields.len());
            self.report(node, path, message, "make each of them an item of the list");
            return;
        };
        let schema = options.iter().find_map(|option| option.get("properties")?.get(name));
        match schema {
            Some(schema) => self.value(value, schema, &join(path, name)),
            None => self.problems.report(*place, path.to_owned(), format!("unknown `{name}`"), suggest(name, &names)),
        }
    }

    fn choice(&mut self, node: &Node, names: &[String], path: &str) {
        let found = node.text().unwrap_or_default();
        if !names.iter().any(|name| name == found) {
            self.report(node, path, format!("unknown value {}", show(node)), suggest(found, names));
        }
    }

    fn range(&mut self, node: &Node, value: f64, schema: &Value, path: &str) {
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        let broken = [
            bound("minimum").filter(|min| value < *min).map(|min| format!("at least {min}")),
            bound("maximum").filter(|max| value > *max).map(|max| format!("at most {max}")),
            bound("exclusiveMinimum").filter(|min| value <= *min).map(|min| format!("more than {min}")),
        ];
        if let Some(bound) = broken.into_iter().flatten().next() {
            self.report(node, path, format!("{value} is out of range"), format!("use {bound}"));
        }
    }

    fn length(&mut self, node: &Node, length: usize, schema: &Value, path: &str) {
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64).map(|bound| bound as usize);
        if bound("minItems").is_some_and(|min| length < min) || bound("maxItems").is_some_and(|max| length > max) {
            let expected = bound("maxItems").or(bound("minItems")).unwrap_or_default();
            self.report(node, path, format!("list of {length}"), format!("{expected} or more entries are needed"));
        }
    }

    fn pattern(&mut self, node: &Node, text: &str, schema: &Value, path: &str) {
        let Some(pattern) = schema.get("pattern").and_then(Value::as_str) else { return };
        if Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text)) {
            self.report(node, path, format!("`{text}` does not fit {pattern}"), remedy(schema));
        }
    }

    fn resolve<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let target = reference.and_then(|reference| self.schema.pointer(reference.trim_start_matches('#')));
        target.unwrap_or(schema)
    }

    fn report(&mut self, node: &Node, path: &str, message: String, remedy: impl Into<String>) {
        self.problems.report(node.location, path.to_owned(), message, remedy);
    }
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

fn texts(values: &[Value]) -> Vec<String> {
    values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}

/// Names that an option of a choice stands for.
fn choice_names(option: &Value) -> Vec<String> {
    let single = option.get("const").and_then(Value::as_str).map(str::to_owned);
    let many = option.get("enum").and_then(Value::as_array).map(|values| texts(values));
    single.into_iter().chain(many.into_iter().flatten()).collect()
}

/// The first property whose value is fixed.
fn tag_field(option: &Value) -> Option<&str> {
    let properties = option.get("properties")?.as_object()?;
    properties.iter().find(|(_, schema)| schema.get("const").is_some()).map(|(name, _)| name.as_str())
}

fn tag_value(option: &Value, tag: &str) -> Option<String> {
    option.get("properties")?.get(tag)?.get("const")?.as_str().map(str::to_owned)
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("null")
}

fn allows_null(schema: &Value) -> bool {
    let options = schema.get("anyOf").and_then(Value::as_array).is_some_and(|options| options.iter().any(is_null));
    let types = schema.get("type").and_then(Value::as_array);
    options || is_null(schema) || types.is_some_and(|types| types.iter().any(|t| t == "null"))
}

fn type_name(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(name)) => name,
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or_default()
        }
        _ => "",
    }
}

fn article(type_name: &str) -> &str {
    match type_name {
        "object" => "fields",
        "array" => "a list",
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        other => other,
    }
}

fn show(node: &Node) -> String {
    match &node.value {
        NodeValue::Fields(_) => "fields".to_owned(),
        NodeValue::List(_) => "a list".to_owned(),
        NodeValue::Null => "nothing".to_owned(),
        NodeValue::Text(text) => format!("`{text}`"),
        _ => node.to_json().to_string(),
    }
}

/// The first sentence of a schema's description.
fn remedy(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or("see schemas/pipeline.schema.json");
    text.split_terminator(". ").next().unwrap_or(text).replace('\n', " ").trim_end_matches('.').to_owned()
}

fn suggest(found: &str, names: &[String]) -> String {
    match closest(found, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("use one of: {}", names.join(", ")),
    }
}
