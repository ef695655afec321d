//! PEM as Go's `encoding/pem` finds it: the last BEGIN before the first END that fits it, anything between blocks.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use memchr::memmem;
use zeroize::Zeroizing;

use super::{Secret, encoding};

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"\n-----END ";
const DASHES: &[u8] = b"-----";

/// A PEM block, or what stands for one in PKCS#12.
pub(super) struct Block {
    pub(super) label: String,
    pub(super) bytes: Secret,
    /// Whether its header says that it is encrypted.
    pub(super) encrypted: bool,
}

pub(super) fn blocks(text: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((block, after)) = next(rest) {
        blocks.push(block);
        rest = after;
    }
    blocks
}

/// The first block that is one, and what follows it.
fn next(mut rest: &[u8]) -> Option<(Block, &[u8])> {
    loop {
        let end = memmem::find(rest, END)?;
        let after_end = rest.get(end + END.len()..)?;
        let begin = rest.get(..end).and_then(|before| memmem::rfind(before, BEGIN));
        let Some(begin) = begin.filter(|&begin| begin == 0 || rest.get(begin - 1) == Some(&b'\n')) else {
            rest = after_end;
            continue;
        };
        let inner = rest.get(begin + BEGIN.len()..)?;
        match block(inner, end - begin - BEGIN.len()) {
            Parsed::Block(block, after) => return Some((block, after)),
            Parsed::Not => rest = after_end,
            Parsed::Nothing => return None,
        }
    }
}

/// The block as Go's `encoding/pem` writes it.
pub(crate) fn encode(label: &str, bytes: &[u8]) -> Secret {
    let mut line = Zeroizing::new([0; 64]);
    // Room for everything: a buffer that grows leaves a copy behind.
    let mut text = Vec::with_capacity(2 * label.len() + bytes.len() * 3 / 2 + 64);
    text.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
    for part in bytes.chunks(48) {
        // 48 bytes are 64 letters.
        let Ok(length) = BASE64_STANDARD.encode_slice(part, &mut *line) else { continue };
        text.extend(line.iter().take(length));
        text.push(b'\n');
    }
    text.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    Secret::new(text)
}

enum Parsed<'a> {
    Block(Block, &'a [u8]),
    /// Look on after this END.
    Not,
    /// The text ends within the headers.
    Nothing,
}

/// Reads what follows `-----BEGIN `, whose END stands at `end`; an empty block has only one line end for both.
fn block(inner: &[u8], end: usize) -> Parsed<'_> {
    let (line, body) = line(inner);
    let Some(label) = line.strip_suffix(DASHES) else { return Parsed::Not };
    let end_line = end + 1;
    let mut at = inner.len() - body.len();
    let (mut headers, mut encrypted) = (false, false);
    loop {
        let Some(rest) = inner.get(at..).filter(|rest| !rest.is_empty()) else { return Parsed::Nothing };
        let (header, _) = self::line(rest);
        if !header.contains(&b':') {
            break;
        }
        headers = true;
        encrypted |= header.starts_with(b"Proc-Type:") && memmem::find(header, b"ENCRYPTED").is_some();
        at += consumed(rest);
    }
    if headers && at > end {
        // The END line itself went as a header: Go's decoder gives up there.
        return if at > end + END.len() { Parsed::Nothing } else { Parsed::Not };
    }
    let trailer = inner.get(end + END.len()..).unwrap_or_default();
    let Some(after) = trailer.strip_prefix(label).and_then(|rest| rest.strip_prefix(DASHES)) else {
        return Parsed::Not;
    };
    if !self::line(after).0.is_empty() {
        return Parsed::Not;
    }
    let text: Vec<u8> = inner.get(at..end).unwrap_or_default().to_vec();
    let text = Secret::new(text.into_iter().filter(|byte| !b" \t".contains(byte)).collect());
    let Some(bytes) = encoding::base64(text.expose()) else { return Parsed::Not };
    let label = String::from_utf8_lossy(label).into_owned();
    let end_of_end = self::line(inner.get(end_line..).unwrap_or_default()).1;
    Parsed::Block(Block { label, bytes, encrypted }, end_of_end)
}

/// A line without what is blank at its end, and what follows it.
fn line(text: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = text.split_at(consumed(text));
    let line = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
    let blank = line.iter().rev().take_while(|byte| b" \t".contains(byte)).count();
    (line.get(..line.len() - blank).unwrap_or_default(), rest)
}

fn consumed(text: &[u8]) -> usize {
    memchr::memchr(b'\n', text).map_or(text.len(), |at| at + 1)
}
