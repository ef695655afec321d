//! PKCS#12 as far as Go's `golang.org/x/crypto/pkcs12` reads it, which is what the consumer has: SHA-1 for the MAC,
//! triple DES or 40-bit RC2 for contents, the empty password.

use cbc::{
    Decryptor,
    cipher::{Array, BlockCipherDecrypt, BlockModeDecrypt as _, InnerIvInit as _, KeyInit},
};
use des::TdesEde3;
use hmac::{Hmac, Mac as _};
use rc2::Rc2;
use sha1::{Digest as _, Sha1};

use super::{
    Secret,
    der::{self, OCTET_STRING, Reader, SEQUENCE, SET},
    pem::Block,
};

/// Why the consumer cannot read it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// The bytes are something else.
    NotPkcs12,
    Damaged(&'static str),
    NoMac,
    Mac(String),
    Cipher(String),
    Password,
    TooManyIterations,
    Layout(String),
    Key,
}

const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const ENCRYPTED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x06];
const SHA_1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
const TRIPLE_DES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x03];
const RC2_40: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x06];
const SHROUDED_KEY_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x02];
const CERTIFICATE_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x03];
const X509: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];
const FRIENDLY_NAME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x14];
const LOCAL_KEY_ID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x15];
const CSP_NAME: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x11, 0x01];

type Algorithm<'a> = (&'a [u8], Option<der::Element<'a>>);

/// The consumer has no bound, and would be busy with one credential for hours.
const MOST_ITERATIONS: i64 = 10_000_000;

/// The empty password as PKCS#12 spells it, and as some writers do.
const EMPTY_PASSWORDS: [&[u8]; 2] = [&[0, 0], &[]];

pub(super) fn blocks(bytes: &[u8]) -> Result<Vec<Block>, Refusal> {
    let mut pfx = Reader(der::only(bytes, SEQUENCE).ok_or(Refusal::NotPkcs12)?.value);
    let version = pfx.small_integer().ok_or(Refusal::NotPkcs12)?;
    let mut content = pfx.enter(SEQUENCE).ok_or(Refusal::NotPkcs12)?;
    let kind = content.oid().ok_or(Refusal::NotPkcs12)?;
    if version != 3 {
        return Err(Refusal::Layout(format!("is of version {version} instead of 3")));
    }
    if kind != DATA {
        return Err(Refusal::Layout("is signed instead of protected by a password".to_owned()));
    }
    // An octet string; Go takes whatever it is.
    let safe = content.value(der::explicit(0)).and_then(der::whole);
    let safe = safe.ok_or(Refusal::Damaged("its contents"))?.value;
    let password = password(&mut pfx, safe)?;
    let mut contents = Reader(der::only(safe, SEQUENCE).ok_or(Refusal::Damaged("the authenticated safe"))?.value);
    let mut parts = Vec::new();
    while !contents.is_empty() {
        parts.push(contents.enter(SEQUENCE).ok_or(Refusal::Damaged("the authenticated safe"))?);
    }
    if parts.len() != 2 {
        return Err(Refusal::Layout(format!("has {} parts, and the consumer reads exactly two", parts.len())));
    }
    let mut blocks = Vec::new();
    for part in parts {
        let bags = part_contents(part, password)?;
        let mut bags = Reader(der::only(bags.expose(), SEQUENCE).ok_or(Refusal::Damaged("its bags"))?.value);
        while !bags.is_empty() {
            blocks.push(bag(bags.enter(SEQUENCE).ok_or(Refusal::Damaged("a bag"))?, password)?);
        }
    }
    Ok(blocks)
}

/// The spelling of the empty password for which the MAC is right.
fn password(pfx: &mut Reader, safe: &[u8]) -> Result<&'static [u8], Refusal> {
    const DAMAGED: Refusal = Refusal::Damaged("the MAC");
    if pfx.is_empty() {
        return Err(Refusal::NoMac);
    }
    let mut mac = pfx.enter(SEQUENCE).ok_or(DAMAGED)?;
    let mut digest = mac.enter(SEQUENCE).ok_or(DAMAGED)?;
    let (algorithm, _) = digest.algorithm().ok_or(DAMAGED)?;
    let expected = digest.value(OCTET_STRING).ok_or(DAMAGED)?;
    let salt = mac.value(OCTET_STRING).ok_or(DAMAGED)?;
    let iterations = if mac.peek() == Some(der::INTEGER) { mac.small_integer().ok_or(DAMAGED)? } else { 1 };
    if algorithm != SHA_1 {
        return Err(Refusal::Mac(der::dotted(algorithm)));
    }
    if iterations > MOST_ITERATIONS {
        return Err(Refusal::TooManyIterations);
    }
    let right = |password: &&&[u8]| {
        let key = derive(salt, password, iterations, 3, 20);
        <Hmac<Sha1> as KeyInit>::new_from_slice(key.expose())
            .is_ok_and(|hmac| hmac.chain_update(safe).verify_slice(expected).is_ok())
    };
    EMPTY_PASSWORDS.iter().find(right).copied().ok_or(Refusal::Password)
}

fn part_contents(mut part: Reader, password: &[u8]) -> Result<Secret, Refusal> {
    const DAMAGED: Refusal = Refusal::Damaged("a part of the authenticated safe");
    let kind = part.oid().ok_or(DAMAGED)?;
    let content = part.value(der::explicit(0)).ok_or(DAMAGED)?;
    if kind == DATA {
        return Ok(Secret::new(der::only(content, OCTET_STRING).ok_or(DAMAGED)?.value.to_vec()));
    }
    if kind != ENCRYPTED_DATA {
        return Err(Refusal::Layout(format!("has a part of type {}", der::dotted(kind))));
    }
    let mut encrypted = Reader(der::only(content, SEQUENCE).ok_or(DAMAGED)?.value);
    if encrypted.small_integer().ok_or(DAMAGED)? != 0 {
        return Err(Refusal::Layout("has encrypted data of another version than 0".to_owned()));
    }
    let mut info = encrypted.enter(SEQUENCE).ok_or(DAMAGED)?;
    info.oid().ok_or(DAMAGED)?;
    let algorithm = info.algorithm().ok_or(DAMAGED)?;
    let ciphertext = info.value(der::implicit(0)).ok_or(DAMAGED)?;
    decrypt(algorithm, ciphertext, password)
}

fn bag(mut bag: Reader, password: &[u8]) -> Result<Block, Refusal> {
    const DAMAGED: Refusal = Refusal::Damaged("a bag");
    let kind = bag.oid().ok_or(DAMAGED)?;
    let content = bag.value(der::explicit(0)).ok_or(DAMAGED)?;
    if bag.peek() == Some(SET) {
        let mut attributes = bag.enter(SET).ok_or(DAMAGED)?;
        while !attributes.is_empty() {
            attributes.enter(SEQUENCE).and_then(attribute).ok_or(Refusal::Damaged("an attribute of a bag"))?;
        }
    }
    let (label, bytes) = match kind {
        CERTIFICATE_BAG => ("CERTIFICATE", certificate(content)?),
        SHROUDED_KEY_BAG => ("PRIVATE KEY", key(content, password)?),
        _ => return Err(Refusal::Layout(format!("has a bag of type {}", der::dotted(kind)))),
    };
    Ok(Block { label: label.to_owned(), bytes, encrypted: false })
}

/// Nothing of it is used; but the consumer refuses the file for a malformed one.
fn attribute(mut attribute: Reader) -> Option<()> {
    let kind = attribute.oid()?;
    let value = attribute.value(SET)?;
    match kind {
        FRIENDLY_NAME | CSP_NAME => der::whole(value).filter(|string| string.value.len().is_multiple_of(2)).map(|_| ()),
        LOCAL_KEY_ID => der::only(value, OCTET_STRING).map(|_| ()),
        _ => Some(()),
    }
}

fn certificate(content: &[u8]) -> Result<Secret, Refusal> {
    const DAMAGED: Refusal = Refusal::Damaged("a certificate's bag");
    let mut bag = Reader(der::only(content, SEQUENCE).ok_or(DAMAGED)?.value);
    let kind = bag.oid().ok_or(DAMAGED)?;
    let bytes = bag.value(der::explicit(0)).and_then(|inner| der::only(inner, OCTET_STRING)).ok_or(DAMAGED)?;
    if kind != X509 {
        return Err(Refusal::Layout(format!("has a certificate of type {}", der::dotted(kind))));
    }
    Ok(Secret::new(bytes.value.to_vec()))
}

fn key(content: &[u8], password: &[u8]) -> Result<Secret, Refusal> {
    const DAMAGED: Refusal = Refusal::Damaged("the private key's bag");
    let mut info = Reader(der::only(content, SEQUENCE).ok_or(DAMAGED)?.value);
    let algorithm = info.algorithm().ok_or(DAMAGED)?;
    let key = decrypt(algorithm, info.value(OCTET_STRING).ok_or(DAMAGED)?, password)?;
    if der::whole(key.expose()).is_some() { Ok(key) } else { Err(Refusal::Key) }
}

fn decrypt((cipher, parameters): Algorithm, ciphertext: &[u8], password: &[u8]) -> Result<Secret, Refusal> {
    const DAMAGED: Refusal = Refusal::Damaged("what is encrypted");
    if ![TRIPLE_DES, RC2_40].contains(&cipher) {
        return Err(Refusal::Cipher(der::dotted(cipher)));
    }
    let mut parameters = Reader(parameters.filter(|found| found.tag == SEQUENCE).ok_or(DAMAGED)?.value);
    let salt = parameters.value(OCTET_STRING).ok_or(DAMAGED)?;
    let iterations = parameters.small_integer().ok_or(DAMAGED)?;
    if iterations > MOST_ITERATIONS {
        return Err(Refusal::TooManyIterations);
    }
    let iv = derive(salt, password, iterations, 2, 8);
    let mut text = Secret::new(ciphertext.to_vec());
    let decrypted = if cipher == TRIPLE_DES {
        let key = derive(salt, password, iterations, 1, 24);
        TdesEde3::new_from_slice(key.expose()).ok().and_then(|cipher| cbc(cipher, iv.expose(), &mut text))
    } else {
        let key = derive(salt, password, iterations, 1, 5);
        cbc(Rc2::new_with_eff_key_len(key.expose(), 40), iv.expose(), &mut text)
    };
    decrypted.and_then(|()| without_padding(text)).ok_or(DAMAGED)
}

fn cbc<C: BlockCipherDecrypt>(cipher: C, iv: &[u8], text: &mut Secret) -> Option<()> {
    let mut cipher = Decryptor::<C>::inner_iv_init(cipher, iv.try_into().ok()?);
    for block in text.expose_mut().chunks_mut(iv.len()) {
        cipher.decrypt_block(<&mut Array<u8, C::BlockSize>>::try_from(block).ok()?);
    }
    Some(())
}

fn without_padding(mut text: Secret) -> Option<Secret> {
    let &last = text.expose().last()?;
    let padding = usize::from(last);
    let kept = text.expose().len().checked_sub(padding)?;
    let whole = (1..=8).contains(&padding) && text.expose().get(kept..)?.iter().all(|&byte| byte == last);
    text.truncate(kept);
    whole.then_some(text)
}

/// RFC 7292, appendix B.2, with SHA-1. `purpose` is 1 for a key, 2 for an IV, 3 for a MAC.
fn derive(salt: &[u8], password: &[u8], iterations: i64, purpose: u8, size: usize) -> Secret {
    const BLOCK: usize = 64;
    let filled = |pattern: &[u8]| -> Vec<u8> {
        pattern.iter().copied().cycle().take(pattern.len().div_ceil(BLOCK) * BLOCK).collect()
    };
    let mut input = Secret::new([filled(salt), filled(password)].concat());
    let mut derived = Secret::new(Vec::with_capacity(size + 20));
    while derived.expose().len() < size {
        let mut hash = Sha1::new().chain_update([purpose; BLOCK]).chain_update(input.expose()).finalize();
        for _ in 1..iterations {
            hash = Sha1::digest(hash);
        }
        hash.iter().for_each(|&byte| derived.push(byte));
        for block in input.expose_mut().chunks_exact_mut(BLOCK) {
            add_one_and(block, &hash);
        }
    }
    derived.truncate(size);
    derived
}

/// Adds one and the hash, repeated, to a big-endian number.
fn add_one_and(block: &mut [u8], hash: &[u8]) {
    let repeated: Vec<u8> = hash.iter().copied().cycle().take(block.len()).collect();
    let mut carry = 1_u16;
    for (byte, added) in block.iter_mut().zip(repeated).rev() {
        carry += u16::from(*byte) + u16::from(added);
        *byte = (carry & 0xff) as u8;
        carry >>= 8;
    }
}
