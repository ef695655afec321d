//! One answer, for people as text or for machines as JSON.

use std::io::{self, BufWriter, Write};

use anyhow::{Result, anyhow};
use serde::Serialize;

use super::report::{self, Form};

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub(super) enum OutputFormat {
    #[default]
    Text,
    Json,
}

impl From<OutputFormat> for Form {
    fn from(format: OutputFormat) -> Self {
        match format {
            OutputFormat::Text => Self::Text,
            OutputFormat::Json => Self::Json,
        }
    }
}

/// Writes it to standard output.
pub(super) fn print<T: Serialize>(
    answer: &T,
    form: OutputFormat,
    text: impl FnOnce(&mut dyn Write, &T) -> io::Result<()>,
) -> Result<()> {
    let mut out = BufWriter::new(anstream::stdout().lock());
    let written = match form {
        OutputFormat::Text => text(&mut out, answer),
        OutputFormat::Json => {
            serde_json::to_writer_pretty(&mut out, answer).map_err(io::Error::from).and_then(|()| writeln!(out))
        }
    };
    let flushed = written.and_then(|()| out.flush());
    flushed.or_else(report::unless_reader_left).map_err(|error| anyhow!("cannot write standard output: {error}"))
}
