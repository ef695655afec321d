//! DER as Go's `encoding/asn1` and `cryptobyte` read it: definite lengths in their shortest form, and what follows the
//! known fields of a sequence is left alone.

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// `[number]` around another element.
pub(super) const fn explicit(number: u8) -> u8 {
    0xa0 | number
}

/// `[number]` instead of a primitive's own tag.
pub(super) const fn implicit(number: u8) -> u8 {
    0x80 | number
}

#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) value: &'a [u8],
    /// Tag and length included.
    pub(super) whole: &'a [u8],
}

#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn any(&mut self) -> Option<Element<'a>> {
        let (tag, length, rest) = self.header()?;
        let (value, after) = rest.split_at_checked(length)?;
        let (whole, _) = self.0.split_at_checked(self.0.len() - after.len())?;
        self.0 = after;
        Some(Element { tag, value, whole })
    }

    /// Tag and length of the next element, and what follows them.
    pub(super) fn header(&self) -> Option<(u8, usize, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        if first < 0x80 {
            return Some((tag, usize::from(first), rest));
        }
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        Some((tag, long_length(bytes)?, rest))
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element, which must have this tag.
    pub(super) fn element(&mut self, tag: u8) -> Option<Element<'a>> {
        if self.peek()? == tag { self.any() } else { None }
    }

    pub(super) fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        Some(self.element(tag)?.value)
    }

    /// Steps into the next element.
    pub(super) fn enter(&mut self, tag: u8) -> Option<Self> {
        self.value(tag).map(Self)
    }

    /// Skips the next element if it has this tag; none if it has and is malformed.
    pub(super) fn skip_optional(&mut self, tag: u8) -> Option<()> {
        if self.peek() == Some(tag) {
            self.any()?;
        }
        Some(())
    }

    /// An object identifier whose numbers are in their shortest form and fit into 31 bits.
    pub(super) fn oid(&mut self) -> Option<&'a [u8]> {
        let oid = self.value(OBJECT_IDENTIFIER)?;
        let mut numbers = oid.split_inclusive(|byte| byte & 0x80 == 0);
        let sound = |number: &[u8]| {
            let value = number.iter().fold(0_u64, |value, byte| value.wrapping_shl(7) | u64::from(byte & 0x7f));
            number.len() <= 5 && number.first() != Some(&0x80) && value < 1 << 31
        };
        let whole = oid.last().is_some_and(|last| last & 0x80 == 0);
        (whole && numbers.all(sound)).then_some(oid)
    }

    /// An algorithm and its parameters.
    pub(super) fn algorithm(&mut self) -> Option<(&'a [u8], Option<Element<'a>>)> {
        let mut algorithm = self.enter(SEQUENCE)?;
        let name = algorithm.oid()?;
        let parameters = if algorithm.is_empty() { None } else { Some(algorithm.any()?) };
        Some((name, parameters))
    }

    /// The bytes of an integer in its shortest form.
    pub(super) fn integer(&mut self) -> Option<&'a [u8]> {
        let bytes = self.value(INTEGER)?;
        match bytes {
            [] | [0x00, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => None,
            _ => Some(bytes),
        }
    }

    pub(super) fn small_integer(&mut self) -> Option<i64> {
        let bytes = self.integer()?;
        if bytes.len() > 8 {
            return None;
        }
        let sign = if bytes.first()? & 0x80 == 0 { 0 } else { -1 };
        Some(bytes.iter().fold(sign, |number, &byte| number << 8 | i64::from(byte)))
    }

    /// The magnitude of a positive integer.
    pub(super) fn positive(&mut self) -> Option<&'a [u8]> {
        match self.integer()? {
            [0x00] | [0x80..=0xff, ..] => None,
            [0x00, magnitude @ ..] | magnitude => Some(magnitude),
        }
    }

    /// A bit string of whole bytes, or with bits left over at the end.
    pub(super) fn bit_string(&mut self) -> Option<&'a [u8]> {
        let (&unused, bytes) = self.value(BIT_STRING)?.split_first()?;
        let spare = match bytes.last() {
            None => 0,
            Some(last) if unused < 8 => last & ((1_u16 << unused) - 1) as u8,
            Some(_) => return None,
        };
        (spare == 0 && (unused == 0 || !bytes.is_empty())).then_some(bytes)
    }
}

/// An element around these parts.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let digits = length.to_be_bytes();
    let digits = digits.split_at(digits.iter().take_while(|byte| **byte == 0).count()).1;
    let mut element = Vec::with_capacity(length + 16);
    match digits {
        [] => element.extend([tag, 0]),
        [short @ 0..0x80] => element.extend([tag, *short]),
        // A length has no more bytes than fit into the seven bits.
        _ => element.extend([tag, 0x80 | digits.len() as u8].iter().chain(digits)),
    }
    parts.iter().for_each(|part| element.extend_from_slice(part));
    element
}

/// A positive integer of this magnitude, which has no leading zeros.
pub(super) fn unsigned(magnitude: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if magnitude.first().is_none_or(|first| first & 0x80 != 0) { &[0] } else { &[] };
    element(INTEGER, &[sign, magnitude])
}

/// Never more than a file of ours can hold.
fn long_length(bytes: &[u8]) -> Option<usize> {
    let shortest = match bytes {
        [] | [0, ..] => false,
        [only] => *only >= 0x80,
        _ => bytes.len() <= 4,
    };
    shortest.then(|| bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)))
}

/// The one element that the bytes are, which must have this tag.
pub(super) fn only(bytes: &[u8], tag: u8) -> Option<Element<'_>> {
    whole(bytes).filter(|element| element.tag == tag)
}

/// The one element that the bytes are.
pub(super) fn whole(bytes: &[u8]) -> Option<Element<'_>> {
    let mut reader = Reader(bytes);
    let element = reader.any()?;
    reader.is_empty().then_some(element)
}

/// An object identifier as people write it.
pub(super) fn dotted(oid: &[u8]) -> String {
    let mut arcs = Vec::new();
    let mut arc: u64 = 0;
    for &byte in oid {
        arc = arc.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            arcs.push(arc);
            arc = 0;
        }
    }
    let first = arcs.first().copied().unwrap_or_default();
    let root = (first / 40).min(2);
    let rest = arcs.iter().skip(1).map(ToString::to_string);
    [root.to_string(), (first - 40 * root).to_string()].into_iter().chain(rest).collect::<Vec<_>>().join(".")
}
