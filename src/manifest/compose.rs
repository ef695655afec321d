//! From the events of the YAML parser to [`Node`]s: anchors, merge keys, and what is refused.
//!
//! Composed here and not by a deserializer because every finding needs a line, because scalars have to mean what
//! kubectl reads, and because the items of a `List` have to be handed on one at a time.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{self, Event, Marker, Options, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::{
    node::{Content, Entry, Node, Position},
    scalar::{self, Scalar},
};
use crate::finding::{Quoted, Reason};

/// Bounds on one document, so that no input can take more memory than it has bytes to justify.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of text of one document.
    pub document_bytes: usize,
    /// Bytes of memory (estimated) of one object; etcd stores 1.5 MiB of an object at most.
    pub object_bytes: usize,
    /// Bytes of memory (estimated) that the aliases of one document may add.
    pub alias_bytes: usize,
    pub nesting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { document_bytes: 64 << 20, object_bytes: 64 << 20, alias_bytes: 8 << 20, nesting: 100 }
    }
}

/// Why a document cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unreadable {
    pub reason: Reason,
    pub at: Position,
    pub message: String,
    pub remedy: String,
}

/// Composes the one document in `text`. Elements of a top-level `items` that are objects themselves are handed to
/// `item` with their index as soon as they are read; the returned node is the rest of the document, `None` if empty.
/// `first_line` is the line of the source on which `text` starts.
pub(super) fn compose(
    text: &str,
    first_line: u32,
    limits: &Limits,
    item: &mut dyn FnMut(usize, Node),
) -> Result<Option<Node>, Unreadable> {
    let parser = Parser::new_from_str_with_options(text, options(limits));
    let lines_before = first_line.saturating_sub(1);
    Composer { parser, lines_before, limits: *limits, anchors: HashMap::new(), alias_bytes: 0, object_bytes: 0 }
        .document(item)
}

pub(super) fn options(limits: &Limits) -> Options {
    granit_parser::options! {
        emit_comments: false,
        simple_key_max_lookahead: 1 << 16,
        flow_nesting_limit: limits.nesting,
        block_nesting_limit: limits.nesting,
    }
}

struct Composer<'t> {
    parser: Parser<'t, StrInput<'t>>,
    lines_before: u32,
    limits: Limits,
    anchors: HashMap<usize, Node>,
    alias_bytes: usize,
    object_bytes: usize,
}

/// What a node costs beside its text, about: itself, its place in the list of its parent, its key.
const NODE_BYTES: usize = 96;

impl<'t> Composer<'t> {
    fn document(mut self, item: &mut dyn FnMut(usize, Node)) -> Result<Option<Node>, Unreadable> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::DocumentStart(..) if root.is_some() => {
                    let message = "has a second document that no line starts";
                    let remedy = "write `---` on a line of its own, and end lines with a line feed";
                    return Err(unreadable(Reason::InvalidYaml, self.position(&span), message, remedy));
                }
                Event::MappingStart(_, anchor, _) if root.is_none() => {
                    let node = self.mapping(self.position(&span), 1, Some(item))?;
                    self.keep(anchor, &node)?;
                    root = Some(node);
                }
                event if event.is_node() && root.is_none() => {
                    let node = self.node(event, &span, 1)?;
                    // A document of nothing but a null is how a trailing `---` and a comment look.
                    root = (node.content != Content::Null).then_some(node);
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Unreadable> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(self.syntax(&error)),
            // The parser ends every stream with StreamEnd; a caller past that is over as well.
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, span: &Span, depth: usize) -> Result<Node, Unreadable> {
        let at = self.position(span);
        if depth > self.limits.nesting {
            return Err(self.too_deep(at));
        }
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(at, NODE_BYTES + text.len())?;
                (Node { at, content: content_of(&text, style, tag.as_deref(), at)? }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.sequence(at, depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping(at, depth, None)?, anchor),
            Event::Alias(id) => return self.alias(id, at, depth),
            other => {
                let message = format!("has an unexpected {other:?}");
                return Err(unreadable(Reason::InvalidYaml, at, message, "check the syntax here"));
            }
        };
        self.keep(anchor, &node)?;
        Ok(node)
    }

    fn sequence(&mut self, at: Position, depth: usize) -> Result<Node, Unreadable> {
        self.spend(at, NODE_BYTES)?;
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Node { at, content: Content::Sequence(items) });
            }
            items.push(self.node(event, &span, depth + 1)?);
        }
    }

    /// Reads a mapping; with `item`, the elements of its `items` are handed on instead of kept.
    fn mapping(
        &mut self,
        at: Position,
        depth: usize,
        mut item: Option<&mut dyn FnMut(usize, Node)>,
    ) -> Result<Node, Unreadable> {
        self.spend(at, NODE_BYTES)?;
        let mut entries = Entries::default();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Node { at, content: Content::Mapping(entries.list) });
            }
            let key_at = self.position(&span);
            let merge = is_merge(&event);
            let key = self.node(event, &span, depth + 1)?;
            let (event, span) = self.next()?;
            if merge {
                let alias = matches!(event, Event::Alias(_));
                let value = self.node(event, &span, depth + 1)?;
                // go-yaml takes a list of mappings only where it is written out.
                if alias && !matches!(value.content, Content::Mapping(_)) {
                    return Err(no_mapping(value.at));
                }
                entries.merge(&value)?;
                continue;
            }
            let key = key_text(key)?;
            let value = match (&mut item, &event) {
                (Some(item), Event::SequenceStart(..)) if &*key == "items" => {
                    self.items(self.position(&span), &mut **item)?
                }
                _ => self.node(event, &span, depth + 1)?,
            };
            entries.insert(Entry { key, at: key_at, value })?;
        }
    }

    /// Hands on the elements of a list that are objects; what is not stays in the node.
    fn items(&mut self, at: Position, item: &mut dyn FnMut(usize, Node)) -> Result<Node, Unreadable> {
        let mut rest = Vec::new();
        for index in 0.. {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                break;
            }
            let spent = self.object_bytes;
            let node = self.node(event, &span, 3)?;
            if node.text("kind").is_some() && node.text("apiVersion").is_some() {
                self.object_bytes = spent;
                item(index, node);
            } else {
                rest.push(node);
            }
        }
        Ok(Node { at, content: Content::Sequence(rest) })
    }

    fn alias(&mut self, id: usize, at: Position, depth: usize) -> Result<Node, Unreadable> {
        let Some(node) = self.anchors.get(&id) else {
            let message = "has an alias inside the very value that it names";
            return Err(unreadable(Reason::InvalidYaml, at, message, "write the value out"));
        };
        if depth + levels_below(node) > self.limits.nesting {
            return Err(self.too_deep(at));
        }
        let cost = cost(node);
        let copy = node.clone();
        self.spend_on_aliases(at, cost)?;
        self.spend(at, cost)?;
        Ok(Node { at, ..copy })
    }

    fn keep(&mut self, anchor: usize, node: &Node) -> Result<(), Unreadable> {
        if anchor != 0 {
            self.spend_on_aliases(node.at, cost(node))?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(())
    }

    fn too_deep(&self, at: Position) -> Unreadable {
        let message = format!("is nested more than {} levels deep", self.limits.nesting);
        unreadable(Reason::InvalidYaml, at, message, "no Kubernetes object is; check the indentation")
    }

    fn spend_on_aliases(&mut self, at: Position, bytes: usize) -> Result<(), Unreadable> {
        self.alias_bytes += bytes;
        if self.alias_bytes <= self.limits.alias_bytes {
            return Ok(());
        }
        let message = format!("has anchors and aliases that expand to more than {} MiB", self.limits.alias_bytes >> 20);
        Err(unreadable(Reason::TooManyAliases, at, message, "write the values out, or use fewer aliases"))
    }

    fn position(&self, span: &Span) -> Position {
        self.position_of(&span.start)
    }

    fn position_of(&self, marker: &Marker) -> Position {
        Position {
            line: coordinate(marker.line()).saturating_add(self.lines_before),
            column: coordinate(marker.col().saturating_add(1)),
        }
    }

    fn syntax(&self, error: &ScanError) -> Unreadable {
        let at = self.position_of(error.marker());
        let message = format!("cannot be read as YAML: {}", error.info());
        unreadable(Reason::InvalidYaml, at, message, "check the syntax here")
    }

    fn spend(&mut self, at: Position, bytes: usize) -> Result<(), Unreadable> {
        self.object_bytes += bytes;
        if self.object_bytes <= self.limits.object_bytes {
            return Ok(());
        }
        let message = format!("is an object that takes more than {} MiB of memory", self.limits.object_bytes >> 20);
        Err(unreadable(Reason::ObjectTooLarge, at, message, "no Kubernetes object is that large; split the document"))
    }
}

/// The entries of a mapping in the making. Merge keys work as in go-yaml v2, where the later of two entries wins
/// whichever of them was merged; only two written-out entries with one key are refused.
#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    merged: Vec<bool>,
    by_key: Option<HashMap<Box<str>, usize>>,
}

impl Entries {
    /// Past this many entries a map finds duplicates; before, looking is faster.
    const FEW: usize = 16;

    fn insert(&mut self, entry: Entry) -> Result<(), Unreadable> {
        match self.find(&entry.key) {
            Some(index) if self.merged[index] => {
                self.list[index] = entry;
                self.merged[index] = false;
            }
            Some(index) => {
                let message =
                    format!("has the key {} twice, first on line {}", Quoted(&entry.key), self.list[index].at.line);
                return Err(unreadable(Reason::DuplicateKey, entry.at, message, "remove one of the two"));
            }
            None => self.push(entry, false),
        }
        Ok(())
    }

    fn merge(&mut self, value: &Node) -> Result<(), Unreadable> {
        let maps: Vec<&Node> = match &value.content {
            // Backwards: of several maps the first one that has a key wins.
            Content::Sequence(items) => items.iter().rev().collect(),
            _ => vec![value],
        };
        for map in maps {
            let Content::Mapping(entries) = &map.content else {
                return Err(no_mapping(map.at));
            };
            for entry in entries {
                match self.find(&entry.key) {
                    Some(index) => self.list[index].value = entry.value.clone(),
                    None => self.push(entry.clone(), true),
                }
            }
        }
        Ok(())
    }

    fn find(&self, key: &str) -> Option<usize> {
        match &self.by_key {
            Some(index) => index.get(key).copied(),
            None => self.list.iter().position(|entry| &*entry.key == key),
        }
    }

    fn push(&mut self, entry: Entry, merged: bool) {
        if let Some(index) = &mut self.by_key {
            index.insert(entry.key.clone(), self.list.len());
        }
        self.list.push(entry);
        self.merged.push(merged);
        if self.by_key.is_none() && self.list.len() > Self::FEW {
            self.by_key = Some(self.list.iter().enumerate().map(|(at, entry)| (entry.key.clone(), at)).collect());
        }
    }
}

const YAML_TAGS: &str = "tag:yaml.org,2002:";

/// Whether a key is a merge key: plain, or marked as one, as yq writes it (`!!merge <<`).
fn is_merge(key: &Event<'_>) -> bool {
    let Event::Scalar(text, style, _, tag) = key else {
        return false;
    };
    text == "<<"
        && match tag {
            None => *style == ScalarStyle::Plain,
            Some(tag) => tag.suffix_in_namespace(YAML_TAGS).as_deref() == Some("merge"),
        }
}

fn no_mapping(at: Position) -> Unreadable {
    unreadable(Reason::InvalidYaml, at, "merges something that is no mapping", "`<<` takes a mapping or a list of them")
}

fn content_of(text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Position) -> Result<Content, Unreadable> {
    let string = || Content::String(text.into());
    let tag = match tag.map(|tag| tag.suffix_in_namespace(YAML_TAGS)) {
        None if style == ScalarStyle::Plain => None,
        Some(Some(name)) if matches!(&*name, "null" | "bool" | "int" | "float" | "timestamp" | "binary") => Some(name),
        // `!!str`, and a tag that go-yaml does not know, leave the text as it is.
        _ => return Ok(string()),
    };
    let tag = tag.as_deref();
    let refuse =
        |message: &str| Err(unreadable(Reason::InvalidYaml, at, message, "remove the tag, or quote the value"));
    let resolved = scalar::resolve(text);
    let content = match (tag, resolved) {
        (Some("float"), Scalar::Int(int)) => Content::Float(int as f64),
        (None | Some("null"), Scalar::Null) => Content::Null,
        (None | Some("bool"), Scalar::Bool(value)) => Content::Bool(value),
        (None | Some("int"), Scalar::Int(value)) => Content::Int(value),
        (None | Some("int"), Scalar::Uint(value)) => Content::Uint(value),
        (None | Some("float"), Scalar::Float(value)) if value.is_finite() => Content::Float(value),
        (None | Some("float"), Scalar::Float(_)) => {
            return Err(unreadable(Reason::InvalidYaml, at, "is a number that JSON does not have", "quote it"));
        }
        (None, Scalar::String) => string(),
        (Some("binary"), _) => return refuse("has the tag !!binary, which Kubernetes manifests do not use"),
        (Some("timestamp"), _) => return refuse("has the tag !!timestamp, which Kubernetes manifests do not use"),
        _ => return refuse("does not fit its tag"),
    };
    Ok(content)
}

/// Keys are strings in JSON; kubectl turns numbers and booleans into their text.
fn key_text(key: Node) -> Result<Box<str>, Unreadable> {
    match key.content {
        Content::String(text) => Ok(text),
        Content::Int(value) => Ok(value.to_string().into()),
        Content::Bool(value) => Ok(value.to_string().into()),
        _ => Err(unreadable(Reason::InvalidYaml, key.at, "has a key that is no string", "quote the key")),
    }
}

fn cost(node: &Node) -> usize {
    NODE_BYTES
        + match &node.content {
            Content::String(text) => text.len(),
            Content::Sequence(items) => items.iter().map(cost).sum(),
            Content::Mapping(entries) => entries.iter().map(|entry| entry.key.len() + cost(&entry.value)).sum(),
            _ => 0,
        }
}

fn levels_below(node: &Node) -> usize {
    let deepest = match &node.content {
        Content::Sequence(items) => items.iter().map(levels_below).max(),
        Content::Mapping(entries) => entries.iter().map(|entry| levels_below(&entry.value)).max(),
        _ => return 0,
    };
    deepest.map_or(0, |levels| levels + 1)
}

fn coordinate(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

pub(super) fn unreadable(reason: Reason, at: Position, message: impl Into<String>, remedy: &str) -> Unreadable {
    Unreadable { reason, at, message: message.into(), remedy: remedy.into() }
}
