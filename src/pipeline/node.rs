//! A YAML document as a tree that remembers where everything stands.
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

use crate::data::Location;

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub location: Location,
    pub value: NodeValue,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeValue {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// Fields in file order with the places of their names.
    Fields(Vec<(String, Location, Node)>),
}

impl Node {
    /// Parses a document.
    pub fn parse(text: &str) -> Result<Self, serde_saphyr::Error> {
        let parsed: Spanned<NodeValue> = serde_saphyr::from_str(text)?;
        Ok(node(parsed))
    }

    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Node> {
        let NodeValue::Fields(fields) = &self.value else {
            return None;
        };
        fields.iter().find(|(field, _, _)| field == name).map(|(_, _, node)| node)
    }

    /// The node at a path such as `needs.models[1]`, or the deepest one on the way.
    pub fn locate(&self, path: &str) -> Location {
        let mut at = self;
        for part in path.split(['.', '[', ']']).filter(|part| !part.is_empty()) {
            let next = match (&at.value, part.parse::<usize>()) {
                (NodeValue::List(items), Ok(index)) => items.get(index),
                _ => at.field(part),
            };
            let Some(next) = next else { break };
            at = next;
        }
        at.location
    }

    pub fn text(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The same without places.
    pub fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Bool(value) => Value::Bool(*value),
            NodeValue::Number(number) => Value::Number(number.clone()),
            NodeValue::Text(text) => Value::String(text.clone()),
            NodeValue::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            NodeValue::Fields(fields) => {
                let pairs = fields.iter().map(|(name, _, node)| (name.clone(), node.to_json()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }
}

fn node(spanned: Spanned<NodeValue>) -> Node {
    Node { location: location(&spanned.referenced), value: spanned.value }
}

fn location(place: &serde_saphyr::Location) -> Location {
    Location { line: place.line(), column: place.column() }
}

impl<'de> Deserialize<'de> for NodeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = NodeValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<NodeValue, E> {
        Ok(NodeValue::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<NodeValue, E> {
        Ok(NodeValue::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<NodeValue, E> {
        Ok(NodeValue::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<NodeValue, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("numbers must be finite"))?;
        Ok(NodeValue::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<NodeValue, E> {
        Ok(NodeValue::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<NodeValue, E> {
        Ok(NodeValue::Null)
    }

    fn visit_none<E>(self) -> Result<NodeValue, E> {
        Ok(NodeValue::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<NodeValue, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<NodeValue, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<NodeValue>>()? {
            list.push(node(item));
        }
        Ok(NodeValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<NodeValue, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = entries.next_entry::<Spanned<String>, Spanned<NodeValue>>()? {
            let place = location(&name.referenced);
            fields.push((name.value, place, node(value)));
        }
        Ok(NodeValue::Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_line_and_column() {
        let tree = Node::parse("name: x\nstages:\n  - id: a\n    epochs: 3\n  - { id: b, lr: 1e-5 }\n").unwrap();
        assert_eq!(tree.locate("name"), Location { line: 1, column: 7 });
        assert_eq!(tree.locate("stages[0].epochs"), Location { line: 4, column: 13 });
        assert_eq!(tree.locate("stages[1].lr"), Location { line: 5, column: 18 });
        assert_eq!(tree.to_json()["stages"][1]["lr"], 1e-5);
    }
}
