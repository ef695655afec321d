//! A manifest as a tree that knows where each value stands.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::finding::{FieldPath, Step};

/// Line and column of a value, both from 1, in the source that it was read from.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Node {
    pub at: Position,
    pub content: Content,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum Content {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    /// Finite: JSON has no other.
    Float(f64),
    String(Box<str>),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Entry {
    pub key: Box<str>,
    pub at: Position,
    pub value: Node,
}

impl Node {
    /// The value of a key, if this is a mapping that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.content {
            Content::Mapping(entries) => entries.iter().find(|entry| &*entry.key == key).map(|entry| &entry.value),
            _ => None,
        }
    }

    #[must_use]
    pub fn is_null(&self) -> bool {
        self.content == Content::Null
    }

    #[must_use]
    pub fn is_sequence(&self) -> bool {
        matches!(self.content, Content::Sequence(_))
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        match &mut self.content {
            Content::Mapping(entries) => {
                entries.iter_mut().find(|entry| &*entry.key == key).map(|entry| &mut entry.value)
            }
            _ => None,
        }
    }

    /// The text of a key, if this is a mapping and the value a string.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.content {
            Content::String(text) => Some(text),
            _ => None,
        }
    }

    /// Where a field stands; where it is missing, where the nearest part of its path does.
    #[must_use]
    pub fn locate(&self, path: &FieldPath) -> Position {
        let mut node = self;
        let mut at = self.at;
        for step in path.steps() {
            let found = match (step, &node.content) {
                (Step::Key(key), Content::Mapping(entries)) => {
                    entries.iter().find(|entry| *entry.key == **key).map(|entry| (entry.at, &entry.value))
                }
                (Step::Index(index), Content::Sequence(items)) => items.get(*index).map(|item| (item.at, item)),
                _ => None,
            };
            let Some((position, next)) = found else { break };
            (at, node) = (position, next);
        }
        at
    }

    /// Drops a key of a mapping.
    pub fn remove(&mut self, key: &str) {
        if let Content::Mapping(entries) = &mut self.content {
            entries.retain(|entry| &*entry.key != key);
        }
    }

    /// The same value without positions.
    #[must_use]
    pub fn to_value(&self) -> Value {
        self.value(&|_| true)
    }

    /// The same value without positions, and without fields that are null: they are fields that are not there.
    #[must_use]
    pub fn to_value_without_nulls(&self) -> Value {
        self.value(&|node| node.content != Content::Null)
    }

    fn value(&self, keep: &dyn Fn(&Self) -> bool) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(value) => (*value).into(),
            Content::Int(value) => (*value).into(),
            Content::Uint(value) => (*value).into(),
            Content::Float(value) => number(*value),
            Content::String(text) => Value::String(text.to_string()),
            Content::Sequence(items) => items.iter().map(|item| item.value(keep)).collect(),
            Content::Mapping(entries) => Value::Object(
                entries
                    .iter()
                    .filter(|entry| keep(&entry.value))
                    .map(|entry| (entry.key.to_string(), entry.value.value(keep)))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}

/// A float as it arrives at the API server: kubectl writes `1e3` and `08` to JSON as `1000` and `8`, which are integers.
fn number(float: f64) -> Value {
    match float.to_string().parse::<i64>() {
        Ok(int) => int.into(),
        Err(_) => Number::from_f64(float).map_or(Value::Null, Value::Number),
    }
}
