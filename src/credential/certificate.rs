//! X.509 certificates, as strict as Go's `crypto/x509` about what a credential's certificate is made of.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use sha1::{Digest as _, Sha1};

use super::{
    der::{self, BOOLEAN, GENERALIZED_TIME, INTEGER, NULL, OCTET_STRING, Reader, SEQUENCE, SET, UTC_TIME},
    endpoint,
    private_key::{RSA, RsaPublic},
};

/// What is read of a certificate. All of it is public.
pub(crate) struct Certificate {
    /// The whole of it, DER.
    pub(super) der: Vec<u8>,
    pub(super) subject: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(crate) common_name: Option<String>,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    /// None where the key is no RSA key.
    pub(super) key: Option<RsaPublic>,
    /// SHA-1 of the certificate in capital hexadecimal digits, as Entra names it.
    pub(super) thumbprint: String,
}

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const AUTHORITY_INFORMATION: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01];

impl Certificate {
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut whole = Reader(der::only(bytes, SEQUENCE)?.value);
        let mut body = whole.enter(SEQUENCE)?;
        let version = match body.peek()? {
            tag if tag == der::explicit(0) => body.enter(tag)?.small_integer()?,
            _ => 0,
        };
        let serial = body.integer()?;
        let algorithm = body.value(SEQUENCE)?;
        let issuer = body.element(SEQUENCE)?;
        let mut validity = body.enter(SEQUENCE)?;
        let (not_before, not_after) = (time(&mut validity)?, time(&mut validity)?);
        let subject = body.element(SEQUENCE)?;
        let key = public_key(body.enter(SEQUENCE)?)?;
        let sound = (0..=2).contains(&version)
            && serial.first()? & 0x80 == 0
            && whole.value(SEQUENCE)? == algorithm
            && name(issuer.value).is_some();
        let common_name = name(subject.value)?;
        if version > 0 {
            body.skip_optional(der::implicit(1))?;
            body.skip_optional(der::implicit(2))?;
        }
        if version == 2 && body.peek() == Some(der::explicit(3)) {
            extensions(body.enter(der::explicit(3))?.enter(SEQUENCE)?)?;
        }
        whole.bit_string()?;
        sound.then(|| Self {
            der: bytes.to_vec(),
            subject: subject.whole.to_vec(),
            issuer: issuer.whole.to_vec(),
            common_name,
            not_before,
            not_after,
            key,
            thumbprint: Sha1::digest(bytes).iter().map(|byte| format!("{byte:02X}")).collect(),
        })
    }

    pub(super) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }
}

/// The common name in it, if it has one; none if the name is malformed.
fn name(rdns: &[u8]) -> Option<Option<String>> {
    let mut common_name = None;
    let mut rdns = Reader(rdns);
    while !rdns.is_empty() {
        let mut set = rdns.enter(SET)?;
        while !set.is_empty() {
            let mut attribute = set.enter(SEQUENCE)?;
            let kind = attribute.oid()?;
            let value = attribute.any()?;
            let text = text(value.tag, value.value)?;
            if kind == COMMON_NAME {
                common_name = Some(text);
            }
        }
    }
    Some(common_name)
}

fn text(tag: u8, bytes: &[u8]) -> Option<String> {
    let printable = |byte: &u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(byte);
    let utf8 = String::from_utf8(bytes.to_vec()).ok();
    match tag {
        0x0c => utf8,
        0x12 => utf8.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b' ')),
        0x13 => utf8.filter(|text| text.as_bytes().iter().all(printable)),
        0x14 => Some(bytes.iter().copied().map(char::from).collect()),
        0x16 => utf8.filter(|text| text.is_ascii()),
        0x1e if bytes.len().is_multiple_of(2) => {
            let units =
                bytes.chunks_exact(2).map(|pair| pair.iter().fold(0, |unit, &byte| unit << 8 | u16::from(byte)));
            let unit_of_a_character = |unit: &u16| !matches!(unit, 0xd800..=0xdfff | 0xfdd0..=0xfdef | 0xfffe..);
            let units: Vec<u16> = units.collect();
            units.iter().all(unit_of_a_character).then(|| String::from_utf16_lossy(&units))
        }
        _ => None,
    }
}

fn time(validity: &mut Reader) -> Option<Timestamp> {
    let element = validity.any()?;
    let digits = std::str::from_utf8(element.value).ok()?.strip_suffix('Z')?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match (element.tag, digits.len()) {
        (UTC_TIME, 10 | 12) => {
            let year: i16 = digits.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, digits.get(2..)?)
        }
        (GENERALIZED_TIME, 14) => (digits.get(..4)?.parse().ok()?, digits.get(4..)?),
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2).map_or(Some(0), |digits| digits.parse::<i8>().ok());
    let civil = DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0).ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// The key of a `SubjectPublicKeyInfo`, if it is an RSA key.
pub(super) fn public_key(mut info: Reader) -> Option<Option<RsaPublic>> {
    let (kind, parameters) = info.algorithm()?;
    let key = info.bit_string()?;
    if kind != RSA {
        return Some(None);
    }
    if parameters?.whole != [NULL, 0] {
        return None;
    }
    let mut key = Reader(key).enter(SEQUENCE)?;
    let modulus = key.positive()?.to_vec();
    let exponent = key.small_integer().filter(|exponent| *exponent > 0)?;
    Some(Some(RsaPublic { modulus, exponent }))
}

fn extensions(mut extensions: Reader) -> Option<()> {
    let mut seen = Vec::new();
    while !extensions.is_empty() {
        let mut extension = extensions.enter(SEQUENCE)?;
        let kind = extension.oid()?;
        let critical = match extension.peek() {
            Some(BOOLEAN) => match extension.value(BOOLEAN)? {
                [0x00] => false,
                [0xff] => true,
                _ => return None,
            },
            _ => false,
        };
        let value = extension.value(OCTET_STRING)?;
        if seen.contains(&kind) {
            return None;
        }
        seen.push(kind);
        extension_value(kind, critical, Reader(value))?;
    }
    Some(())
}

/// The extensions that certificates of services have. Others are taken as they are.
fn extension_value(kind: &[u8], critical: bool, mut value: Reader) -> Option<()> {
    match kind {
        // Key usage.
        [0x55, 0x1d, 15] => value.bit_string().map(|_| ()),
        // Subject alternative name.
        [0x55, 0x1d, 17] => every(value.enter(SEQUENCE)?, alternative_name),
        // Basic constraints.
        [0x55, 0x1d, 19] => {
            let mut constraints = value.enter(SEQUENCE)?;
            constraints.skip_optional(BOOLEAN)?;
            constraints.skip_optional(INTEGER)
        }
        // Extended key usage.
        [0x55, 0x1d, 37] => every(value.enter(SEQUENCE)?, |usages| usages.oid().map(|_| ())),
        // Subject and authority key identifier.
        [0x55, 0x1d, 14] if !critical => value.element(OCTET_STRING).map(|_| ()),
        [0x55, 0x1d, 35] if !critical => value.enter(SEQUENCE)?.skip_optional(der::implicit(0)),
        AUTHORITY_INFORMATION if !critical => {
            every(value.enter(SEQUENCE)?, |access| access.element(SEQUENCE).map(|_| ()))
        }
        [0x55, 0x1d, 14 | 35] | AUTHORITY_INFORMATION => None,
        _ => Some(()),
    }
}

fn alternative_name(names: &mut Reader) -> Option<()> {
    let name = names.any()?;
    let sound = match name.tag {
        // Addresses of mail, names, and addresses of the web.
        0x81 | 0x82 => name.value.is_ascii(),
        0x86 => name.value.is_ascii() && std::str::from_utf8(name.value).is_ok_and(endpoint::is_url),
        0x87 => [4, 16].contains(&name.value.len()),
        _ => true,
    };
    sound.then_some(())
}

fn every<'a>(mut reader: Reader<'a>, one: impl Fn(&mut Reader<'a>) -> Option<()>) -> Option<()> {
    while !reader.is_empty() {
        one(&mut reader)?;
    }
    Some(())
}
