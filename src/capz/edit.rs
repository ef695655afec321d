//! Edits of one mapping of a document: as the bytes that change, and as the value that they have to come to.
//!
//! Whole lines come and go, and scalars change in their place; nothing else is touched. What is not written as a block, as
//! `clusterctl` does, is refused.

use std::ops::Range;

use serde_json::{Value, json};

use crate::manifest::{Field, Form, Limits, Written, on_lines};

/// What is to become of the fields of a mapping.
#[derive(Debug)]
pub(super) struct Edit {
    /// The keys that lead to it, joined by dots.
    pub(super) mapping: &'static str,
    pub(super) changes: Vec<Change>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    Set(&'static str, Value),
    Remove(&'static str),
}

/// Bytes that take the place of others.
#[derive(Debug)]
pub(super) struct Patch {
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

/// Why a mapping is left alone, to complete "FIELD …".
pub(super) type NotEditable = &'static str;

impl Change {
    pub(super) fn field(&self) -> &'static str {
        match self {
            Self::Set(field, _) | Self::Remove(field) => field,
        }
    }
}

impl Edit {
    /// What changes in the text of the document, in order.
    pub(super) fn patches(&self, text: &str, limits: &Limits) -> Result<Vec<Patch>, NotEditable> {
        let document = Written::read(text, limits).ok_or("stands where this program cannot find it again")?;
        let mapping = find(&document, self.mapping)?;
        let block = Block::new(text, mapping)?;
        let mut patches = self.changes.iter().map(|change| block.patch(change)).collect::<Result<Vec<_>, _>>()?;
        patches.sort_by_key(|patch| (patch.range.start, patch.range.end));
        Ok(patches)
    }

    /// Does the same to the value.
    pub(super) fn apply(&self, value: &mut Value) {
        let mapping = self.mapping.split('.').try_fold(value, |value, key| value.get_mut(key));
        let Some(Value::Object(mapping)) = mapping else { return };
        for change in &self.changes {
            match change {
                Change::Set(field, value) => drop(mapping.insert((*field).to_owned(), value.clone())),
                Change::Remove(field) => drop(mapping.shift_remove(*field)),
            }
        }
    }
}

fn find<'d>(document: &'d Written, path: &str) -> Result<&'d Written, NotEditable> {
    path.split('.').try_fold(document, |value, key| match &value.form {
        Form::Mapping(_) => value.field(key).map(|field| &field.value).ok_or("comes from a merge key (`<<`)"),
        form => Err(why_not(form)),
    })
}

fn why_not(form: &Form) -> NotEditable {
    match form {
        Form::Alias => "is an alias (`*`)",
        Form::Flow => "is written in brackets, as JSON is",
        _ => "is no mapping",
    }
}

/// A mapping, every key of which starts a line of its own.
struct Block<'t> {
    text: &'t str,
    fields: &'t [Field],
    indent: &'t str,
}

impl<'t> Block<'t> {
    fn new(text: &'t str, mapping: &'t Written) -> Result<Self, NotEditable> {
        let Form::Mapping(fields) = &mapping.form else { return Err(why_not(&mapping.form)) };
        let Some(first) = fields.first() else { return Err("is empty") };
        if fields.iter().any(|field| &*field.name == "<<") {
            return Err("has a merge key (`<<`)");
        }
        let indent = &text[line_start(text, first.key.start)..first.key.start];
        if !indent.bytes().all(|byte| byte == b' ') {
            return Err("starts in the middle of a line");
        }
        Ok(Self { text, fields, indent })
    }

    fn patch(&self, change: &Change) -> Result<Patch, NotEditable> {
        let there = self.fields.iter().find(|field| &*field.name == change.field());
        match (change, there) {
            (Change::Set(_, Value::String(text)), Some(field)) if matches!(field.value.form, Form::Scalar) => {
                self.replace_scalar(field, text)
            }
            (Change::Set(name, value), Some(field)) => {
                let range = self.lines(field)?;
                let mut text = self.entry(name, value)?;
                if !self.text[range.clone()].ends_with('\n') {
                    text.truncate(text.trim_end().len());
                }
                Ok(Patch { range, text })
            }
            (Change::Set(name, value), None) => {
                let at = self.place_for(name);
                Ok(Patch { range: at..at, text: self.entry(name, value)? })
            }
            (Change::Remove(_), Some(field)) => Ok(Patch { range: self.lines(field)?, text: String::new() }),
            (Change::Remove(_), None) => Ok(Patch { range: 0..0, text: String::new() }),
        }
    }

    fn replace_scalar(&self, field: &Field, text: &str) -> Result<Patch, NotEditable> {
        let scalar = yaml(&Value::from(text))?;
        let scalar = scalar.trim_end();
        if !field.value.range.is_empty() {
            return Ok(Patch { range: field.value.range.clone(), text: scalar.to_owned() });
        }
        let rest = &self.text[field.key.end..];
        let colon = rest.find(':').filter(|at| rest[..*at].trim().is_empty()).ok_or("has no colon behind its key")?;
        let at = field.key.end + colon + 1;
        Ok(Patch { range: at..at, text: format!(" {scalar}") })
    }

    /// All lines of a field.
    fn lines(&self, field: &Field) -> Result<Range<usize>, NotEditable> {
        if has_block_scalar(&field.value) {
            return Err("has a block of text (`|` or `>`) in it");
        }
        let start = line_start(self.text, field.key.start);
        let end = line_end(self.text, field.value.range.end);
        let rest = self.text[field.value.range.end..end].trim_start();
        if self.text[start..field.key.start] != *self.indent || !(rest.is_empty() || is_rest_of_field(rest)) {
            return Err("shares a line with something else");
        }
        Ok(start..end)
    }

    /// Where a new field goes: before the first one whose name comes after it, as generated manifests are sorted, and
    /// above what is said about that.
    fn place_for(&self, name: &str) -> usize {
        let next = self.fields.iter().find(|field| &*field.name > name).or(self.fields.first());
        let mut at = next.map_or(0, |next| line_start(self.text, next.key.start));
        while at > 0 {
            let above = line_start(self.text, at - 1);
            let is_comment = self.text[above..at].strip_prefix(self.indent).is_some_and(|line| line.starts_with('#'));
            if !is_comment {
                break;
            }
            at = above;
        }
        at
    }

    fn entry(&self, name: &str, value: &Value) -> Result<String, NotEditable> {
        let first_line = &self.text[..line_end(self.text, self.fields.first().map_or(0, |field| field.key.start))];
        let line_end = if first_line.ends_with("\r\n") { "\r\n" } else { "\n" };
        let entry = yaml(&json!({ name: value }))?;
        Ok(entry.lines().map(|line| format!("{}{line}{line_end}", self.indent)).collect())
    }
}

/// Whether what follows the last scalar of a field is a comment, or a key without a value.
fn is_rest_of_field(rest: &str) -> bool {
    let rest = rest.strip_prefix(':').map_or(rest, str::trim_start);
    rest.is_empty() || rest.starts_with('#')
}

fn has_block_scalar(value: &Written) -> bool {
    match &value.form {
        Form::BlockScalar => true,
        Form::Mapping(fields) => fields.iter().any(|field| has_block_scalar(&field.value)),
        Form::Sequence(items) => items.iter().any(has_block_scalar),
        _ => false,
    }
}

fn yaml(value: &Value) -> Result<String, NotEditable> {
    on_lines(value).map_err(|_| "cannot be written as YAML")
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}

/// The text with the patches in it, which must be in order and apart from each other.
pub(super) fn patched(text: &str, patches: &[Patch]) -> String {
    let mut result = String::with_capacity(text.len() + 256);
    let mut done = 0;
    for Patch { range, text: new } in patches {
        result.push_str(text.get(done..range.start).unwrap_or_default());
        result.push_str(new);
        done = done.max(range.end);
    }
    result.push_str(&text[done..]);
    result
}
