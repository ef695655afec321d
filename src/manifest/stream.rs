//! From bytes to documents to objects, one document in memory at a time.
//!
//! Documents are cut apart before they are parsed, so that one that cannot be read leaves those before and after it
//! alone, and so that one without end is refused before it is held.

use std::{
    io::{self, BufRead},
    iter,
    ops::Range,
};

use serde::de::IgnoredAny;

use super::{
    compose::{self, Limits, Unreadable},
    node::{Content, Node, Position},
};
use crate::finding::{FieldPath, Reason};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

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
        let Some(values) = concatenated_json(text) else {
            return self.value(text, self.first_line, limits, object);
        };
        let (mut line, mut counted) = (self.first_line, 0);
        for value in values {
            let newlines = memchr::memchr_iter(b'\n', &text.as_bytes()[counted..value.start]).count();
            line = line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
            counted = value.start;
            self.value(&text[value], line, limits, object)?;
        }
        Ok(())
    }

    /// What stands between its separators, the one before it included. None where it cannot be read at all.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref().ok()
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
        refuse_foreign_line_ends(text, first_line)?;
        let mut handed_on = Vec::new();
        let root = compose::compose(text, first_line, limits, &mut |index, node| {
            handed_on.push(index);
            object(Object { node, path: FieldPath::of("items").index(index) });
        })?;
        match root {
            Some(root) if !is_list(&root) && !handed_on.is_empty() => Err(Unreadable {
                reason: Reason::UnreadableList,
                at: root.at,
                message: "has items that are objects, and a kind that does not end in List".into(),
                remedy: "make it a `kind: List`, or the items documents of their own".into(),
            }),
            // A list without items is an empty one; items that are no list are for the caller to refuse.
            Some(root) if is_list(&root) && root.get("items").is_some_and(Node::is_null) => Ok(()),
            Some(root) if is_list(&root) && root.get("items").is_some_and(Node::is_sequence) => {
                untyped_items(root, &handed_on, limits, object)
            }
            Some(node) => {
                object(Object { node, path: FieldPath::root() });
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// NEL, LS and PS end a line for kubectl and are text to a parser of YAML 1.2.
const FOREIGN_LINE_ENDS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// Read as text, a comment with one could hide what kubectl applies. In JSON they are text to everybody.
fn refuse_foreign_line_ends(text: &str, first_line: u32) -> Result<(), Unreadable> {
    let foreign = |at: &usize| text[*at..].starts_with(FOREIGN_LINE_ENDS);
    // The bytes that their UTF-8 starts with.
    let Some(at) = memchr::memchr2_iter(0xc2, 0xe2, text.as_bytes()).find(foreign) else {
        return Ok(());
    };
    if serde_json::from_str::<IgnoredAny>(text).is_ok() {
        return Ok(());
    }
    Err(Unreadable {
        reason: Reason::InvalidYaml,
        at: position_of(at, text.as_bytes(), first_line),
        message: "has a Unicode line separator, which ends a line for kubectl but not for YAML 1.2".into(),
        remedy: "write it in double quotes, as \\N, \\L or \\P".into(),
    })
}

fn is_list(root: &Node) -> bool {
    root.text("kind").is_some_and(|kind| kind.ends_with("List"))
}

/// The items of a typed list, as `kubectl get --raw` prints it, have neither kind nor apiVersion of their own.
/// `others` are the indexes of those that have, and are not in the node any more.
fn untyped_items(
    mut root: Node,
    others: &[usize],
    limits: &Limits,
    object: &mut dyn FnMut(Object),
) -> Result<(), Unreadable> {
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
    if items.len() * (kind.len() + version.len()) > limits.object_bytes {
        let (message, remedy) =
            ("is a list whose kind is too long for that of its items", "correct kind or apiVersion");
        return Err(compose::unreadable(Reason::ObjectTooLarge, root.at, message, remedy));
    }
    let indexes = (0..).filter(|index| others.binary_search(index).is_err());
    for (index, mut node) in indexes.zip(std::mem::take(items)) {
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

/// Where the values of concatenated JSON stand (`jq -c`, `kubectl get -o json` of several calls), which kubectl cuts
/// apart as well. `None`: the text is one value, in JSON or YAML.
fn concatenated_json(text: &str) -> Option<impl Iterator<Item = Range<usize>>> {
    let body = strip_marker(text);
    if !body.trim_start().starts_with('{') {
        return None;
    }
    // Flow-style YAML looks like JSON as well, up to where it does not.
    let count = json_ends(body).try_fold(0, |count, end| end.map(|_| count + 1)).ok()?;
    let mut next = text.len() - body.len();
    let ranges = json_ends(body).flatten().map(move |end| {
        let end = text.len() - body.len() + end;
        let value = text[next..end].trim_start();
        next = end;
        end - value.len()..end
    });
    (count > 1).then_some(ranges)
}

/// Where each of the JSON values in `text` ends, up to the first that is none.
fn json_ends(text: &str) -> impl Iterator<Item = serde_json::Result<usize>> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    iter::from_fn(move || values.next().map(|value| value.map(|_| values.byte_offset())))
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

/// Whether what is read of a document so far is directives (`%YAML 1.2`), after the `...` of the one before at most:
/// the `---` after them does not end it.
fn only_directives(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut directives = 0;
    for (index, line) in bytes.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).enumerate() {
        match line.first() {
            Some(b'%') => directives += 1,
            Some(b'#') | None => {}
            Some(b'.') if index == 0 && is_separator(line) => {}
            Some(_) => return false,
        }
    }
    directives > 0
}

/// The text of a document, `None` if nothing but markers, comments and white space is in it.
fn decode(mut bytes: Vec<u8>, first_line: u32) -> Option<Result<String, Unreadable>> {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    let problem = |at: usize, bytes: &[u8], message: &str, remedy: &str| {
        let at = position_of(at, bytes, first_line);
        let (message, remedy) = (message.to_owned(), remedy.to_owned());
        Some(Err(Unreadable { reason: Reason::InvalidEncoding, at, message, remedy }))
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

fn position_of(at: usize, bytes: &[u8], first_line: u32) -> Position {
    let newlines = memchr::memchr_iter(b'\n', &bytes[..at]).count();
    let line_start = memchr::memrchr(b'\n', &bytes[..at]).map_or(0, |newline| newline + 1);
    let line = first_line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
    Position { line, column: u32::try_from(at - line_start + 1).unwrap_or(u32::MAX) }
}

fn is_blank(text: &str) -> bool {
    text.lines().all(|line| {
        let line = if is_separator(line.as_bytes()) { &line[3..] } else { line };
        // What else Unicode calls white space is text in YAML.
        let line = line.trim_matches([' ', '\t', '\r']);
        line.is_empty() || line.starts_with('#') && !line.contains(FOREIGN_LINE_ENDS)
    })
}
