//! From bytes to documents to objects, one document in memory at a time.
//!
//! Documents are cut apart before they are parsed, so that one that cannot be read leaves those before and after it
//! alone, and so that one without end is refused before it is held.

use std::io::{self, BufRead};

use serde::de::IgnoredAny;

use super::{
    compose::{self, Limits, Unreadable},
    node::{Content, Node, Position},
};
use crate::finding::{FieldPath, Reason};

/// One document of a stream, as text.
#[derive(Debug)]
pub struct Document {
    /// Its number in the source, from 1. Empty documents have none.
    pub number: usize,
    first_line: u32,
    text: Result<String, Unreadable>,
}

/// An object of a document: the document itself, or an item of its `List`.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub node: Node,
    /// Where in the document it stands: empty, or `items[3]`.
    pub path: FieldPath,
}

/// Cuts a byte stream into documents.
pub struct Documents<R> {
    reader: R,
    limits: Limits,
    number: usize,
    /// The line that comes next, from 1.
    line: u32,
    /// The separator line that ended the last document: it belongs to the next one.
    carried: Vec<u8>,
    finished: bool,
}

impl<R: BufRead> Documents<R> {
    #[must_use]
    pub fn new(reader: R, limits: Limits) -> Self {
        Self { reader, limits, number: 0, line: 1, carried: Vec::new(), finished: false }
    }

    /// The next document, `None` at the end.
    ///
    /// # Errors
    /// What reading the source fails with. A document that cannot be read is no error here: see [`Document::objects`].
    pub fn next_document(&mut self) -> io::Result<Option<Document>> {
        while !self.finished {
            let carried_lines = u32::from(!self.carried.is_empty());
            let first_line = self.line - carried_lines;
            let mut bytes = std::mem::take(&mut self.carried);
            let mut too_large = false;
            loop {
                let start = bytes.len();
                let line = read_line(&mut self.reader, &mut bytes, self.limits.document_bytes)?;
                if line == Line::End {
                    self.finished = true;
                    break;
                }
                self.line = self.line.saturating_add(1);
                if line == Line::Cut {
                    // Nothing of an over-long document is kept, its separator excepted.
                    too_large = true;
                    bytes.clear();
                } else if is_separator(&bytes[start..]) && !only_directives(&bytes[..start]) {
                    self.carried = bytes.split_off(start);
                    break;
                } else if too_large {
                    bytes.clear();
                }
            }
            if too_large {
                self.number += 1;
                return Ok(Some(self.too_large(first_line)));
            }
            if let Some(text) = decode(bytes, first_line) {
                self.number += 1;
                return Ok(Some(Document { number: self.number, first_line, text }));
            }
        }
        Ok(None)
    }

    fn too_large(&self, first_line: u32) -> Document {
        let mebibytes = self.limits.document_bytes >> 20;
        let problem = Unreadable {
            reason: Reason::DocumentTooLarge,
            at: Position { line: first_line, column: 1 },
            message: format!("is a document of more than {mebibytes} MiB"),
            remedy: "split it into several documents with `---`".into(),
        };
        Document { number: self.number, first_line, text: Err(problem) }
    }
}

impl Document {
    /// Hands every object of the document to `object`, the items of a `List` one by one.
    ///
    /// # Errors
    /// Why the document cannot be read. Objects handed on before that are part of a document that kubectl would refuse
    /// whole; the caller drops them.
    pub fn objects(&self, limits: &Limits, object: &mut dyn FnMut(Object)) -> Result<(), Unreadable> {
        let text = self.text.as_ref().map_err(Clone::clone)?;
        for (first_line, value) in json_values(text, self.first_line) {
            self.value(value, first_line, limits, object)?;
        }
        Ok(())
    }

    /// Where the document starts.
    #[must_use]
    pub fn start(&self) -> Position {
        Position { line: self.first_line, column: 1 }
    }

    fn value(
        &self,
        text: &str,
        first_line: u32,
        limits: &Limits,
        object: &mut dyn FnMut(Object),
    ) -> Result<(), Unreadable> {
        let root = compose::compose(text, first_line, limits, &mut |index, node| {
            object(Object { node, path: FieldPath::of("items").index(index) });
        })?;
        match root {
            Some(root) if root.get("items").is_some() && is_list(&root) => untyped_items(root, object),
            Some(node) => {
                object(Object { node, path: FieldPath::root() });
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn is_list(root: &Node) -> bool {
    root.text("kind").is_some_and(|kind| kind.ends_with("List"))
}

/// The items of a typed list, as `kubectl get --raw` prints it, have neither kind nor apiVersion of their own.
fn untyped_items(mut root: Node, object: &mut dyn FnMut(Object)) -> Result<(), Unreadable> {
    let kind = root.text("kind").and_then(|kind| kind.strip_suffix("List")).unwrap_or_default().to_owned();
    let version = root.text("apiVersion").unwrap_or_default().to_owned();
    let Content::Mapping(entries) = &mut root.content else {
        return Ok(());
    };
    let Some(items) = entries.iter_mut().find(|entry| &*entry.key == "items") else {
        return Ok(());
    };
    let Content::Sequence(items) = &mut items.value.content else {
        return Ok(());
    };
    for (index, mut node) in std::mem::take(items).into_iter().enumerate() {
        let at = node.at;
        if let Content::Mapping(entries) = &mut node.content
            && !kind.is_empty()
        {
            for (key, text) in [("kind", &kind), ("apiVersion", &version)] {
                if !entries.iter().any(|entry| &*entry.key == key) {
                    let value = Node { at, content: Content::String(text.as_str().into()) };
                    entries.push(super::node::Entry { key: key.into(), at, value });
                }
            }
        }
        object(Object { node, path: FieldPath::of("items").index(index) });
    }
    Ok(())
}

/// Cuts concatenated JSON values (`jq -c`, `kubectl get -o json` of several calls) apart, as kubectl does; anything
/// else is one value.
fn json_values(text: &str, first_line: u32) -> Vec<(u32, &str)> {
    let body = strip_marker(text);
    let whole = vec![(first_line, text)];
    if !body.trim_start().starts_with('{') {
        return whole;
    }
    let offset = text.len() - body.len();
    let mut values = Vec::new();
    let mut stream = serde_json::Deserializer::from_str(body).into_iter::<IgnoredAny>();
    let mut start = offset;
    while let Some(next) = stream.next() {
        if next.is_err() {
            // Flow-style YAML looks like this as well.
            return whole;
        }
        let end = offset + stream.byte_offset();
        let value = &text[start..end];
        let lead = value.len() - value.trim_start().len();
        let newlines = memchr::memchr_iter(b'\n', text[..start + lead].as_bytes()).count();
        values.push((first_line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX)), value.trim_start()));
        start = end;
    }
    if values.len() > 1 { values } else { whole }
}

fn strip_marker(text: &str) -> &str {
    match text.strip_prefix("---") {
        Some(rest) if rest.starts_with(['\n', '\r']) => rest,
        _ => text,
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Line {
    Whole,
    /// Longer than there is room for: read to its end and dropped.
    Cut,
    End,
}

/// Appends one line, its line feed included, never letting `bytes` grow past `room`.
fn read_line(reader: &mut impl BufRead, bytes: &mut Vec<u8>, room: usize) -> io::Result<Line> {
    let mut result = Line::End;
    loop {
        let buffer = match reader.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if buffer.is_empty() {
            return Ok(result);
        }
        if result == Line::End {
            result = Line::Whole;
        }
        let end = memchr::memchr(b'\n', buffer);
        let taken = end.map_or(buffer.len(), |at| at + 1);
        if bytes.len() + taken > room {
            result = Line::Cut;
        } else if result == Line::Whole {
            bytes.extend_from_slice(&buffer[..taken]);
        }
        reader.consume(taken);
        if end.is_some() {
            return Ok(result);
        }
    }
}

/// `---` or `...` at the start of a line, followed by nothing or white space.
fn is_separator(line: &[u8]) -> bool {
    matches!(line, [b'-', b'-', b'-', rest @ ..] | [b'.', b'.', b'.', rest @ ..]
        if matches!(rest.first(), None | Some(b' ' | b'\t' | b'\r' | b'\n')))
}

/// Whether what is read of a document so far is directives (`%YAML 1.2`): the `---` after them does not end it.
fn only_directives(bytes: &[u8]) -> bool {
    let mut directives = 0;
    for line in bytes.split(|b| *b == b'\n').map(|line| line.trim_ascii()) {
        match line.first() {
            Some(b'%') => directives += 1,
            Some(b'#') | None => {}
            Some(_) if is_separator(line) => {}
            Some(_) => return false,
        }
    }
    directives > 0
}

/// The text of a document, `None` if nothing but markers, comments and white space is in it.
fn decode(mut bytes: Vec<u8>, first_line: u32) -> Option<Result<String, Unreadable>> {
    if let [0xef, 0xbb, 0xbf, ..] = bytes[..] {
        bytes.drain(..3);
    }
    let problem = |at: usize, bytes: &[u8], message: &str, remedy: &str| {
        let newlines = memchr::memchr_iter(b'\n', &bytes[..at]).count();
        let line_start = memchr::memrchr(b'\n', &bytes[..at]).map_or(0, |newline| newline + 1);
        let line = first_line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
        let column = u32::try_from(at - line_start + 1).unwrap_or(u32::MAX);
        let (message, remedy) = (message.to_owned(), remedy.to_owned());
        Some(Err(Unreadable { reason: Reason::InvalidEncoding, at: Position { line, column }, message, remedy }))
    };
    if matches!(bytes[..], [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        return problem(0, &bytes, "is UTF-16", "convert it: iconv -f UTF-16 -t UTF-8");
    }
    if let Some(at) = memchr::memchr(0, &bytes) {
        return problem(at, &bytes, "has a NUL byte, which YAML does not allow", "remove it; is this a YAML file?");
    }
    match String::from_utf8(bytes) {
        Ok(text) => (!is_blank(&text)).then_some(Ok(text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            problem(at, error.as_bytes(), "is not valid UTF-8", "save the file as UTF-8")
        }
    }
}

fn is_blank(text: &str) -> bool {
    text.lines().all(|line| {
        let line = if is_separator(line.as_bytes()) { &line[3..] } else { line };
        let line = line.trim();
        line.is_empty() || line.starts_with('#')
    })
}
