//! From which byte to which each value of a document stands, for edits that leave everything else alone.
//!
//! Beside [`super::Node`], which knows what values mean and has aliases resolved: here they are what is written.

use std::ops::Range;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, StructureStyle};

use super::compose::{Limits, options};

/// A value as it is written.
#[derive(Debug)]
pub struct Written {
    /// From its first byte to after the last one of its last scalar.
    pub range: Range<usize>,
    pub form: Form,
}

#[derive(Debug)]
pub enum Form {
    /// Plain or in quotes. The range is empty where nothing is written, as after `key:`.
    Scalar,
    /// `|` and `>`, in the range of which its line end is or is not.
    BlockScalar,
    Alias,
    /// `{…}` and `[…]`, what is in it included.
    Flow,
    Mapping(Vec<Field>),
    Sequence(Vec<Written>),
}

/// A key of a block mapping and its value.
#[derive(Debug)]
pub struct Field {
    pub name: Box<str>,
    pub key: Range<usize>,
    pub value: Written,
}

impl Written {
    /// Reads the one document of a text that [`super::Document`] has read without complaint. None where it cannot be said
    /// which bytes are what.
    #[must_use]
    pub fn read(text: &str, limits: &Limits) -> Option<Self> {
        let parser = Parser::new_from_str_with_options(text, options(limits));
        let mut reader = Reader { parser, end: 0 };
        loop {
            let (event, span) = reader.next()?;
            match event {
                Event::StreamEnd => return None,
                event if event.is_node() => return reader.value(&event, &span),
                _ => {}
            }
        }
    }

    /// The field of a block mapping.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        let Form::Mapping(fields) = &self.form else { return None };
        fields.iter().find(|field| &*field.name == name)
    }
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    /// After the last scalar, alias or bracket.
    end: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Option<(Event<'t>, Span)> {
        self.parser.next_event()?.ok()
    }

    fn value(&mut self, event: &Event<'t>, span: &Span) -> Option<Written> {
        let start = span.start.byte_offset()?;
        let form = match event {
            Event::Scalar(_, style, ..) => {
                self.end = span.end.byte_offset()?.max(start);
                match style {
                    ScalarStyle::Literal | ScalarStyle::Folded => Form::BlockScalar,
                    _ => Form::Scalar,
                }
            }
            Event::Alias(_) => {
                self.end = span.end.byte_offset()?;
                Form::Alias
            }
            Event::MappingStart(StructureStyle::Block, ..) => Form::Mapping(self.fields()?),
            Event::SequenceStart(StructureStyle::Block, ..) => Form::Sequence(self.items()?),
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                self.end = self.closing_bracket()?;
                Form::Flow
            }
            _ => return None,
        };
        Some(Written { range: start..self.end.max(start), form })
    }

    fn fields(&mut self) -> Option<Vec<Field>> {
        let mut fields = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Some(fields);
            }
            let name = match &event {
                Event::Scalar(text, ..) => text.as_ref().into(),
                _ => Box::default(),
            };
            let key = self.value(&event, &span)?.range;
            let (event, span) = self.next()?;
            let nothing = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text.is_empty());
            let mut value = self.value(&event, &span)?;
            if nothing {
                // The parser has gone on to what comes next.
                value.range = key.end..key.end;
                self.end = key.end;
            }
            fields.push(Field { name, key, value });
        }
    }

    fn items(&mut self) -> Option<Vec<Written>> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Some(items);
            }
            items.push(self.value(&event, &span)?);
        }
    }

    fn closing_bracket(&mut self) -> Option<usize> {
        let mut open = 1;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::MappingStart(..) | Event::SequenceStart(..) => open += 1,
                Event::MappingEnd | Event::SequenceEnd if open == 1 => return span.end.byte_offset(),
                Event::MappingEnd | Event::SequenceEnd => open -= 1,
                _ => {}
            }
        }
    }
}
