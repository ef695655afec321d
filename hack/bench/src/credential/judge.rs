//! Judging, and the floor that it is compared with: reading the same bytes with libraries, and looking at nothing.

use aws_lc_rs::rsa::KeyPair;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hcp_identity::credential::{Expectation, ObjectEncoding, Secret, Verdict};
use jiff::Timestamp;
use p12_keystore::Pkcs12Archive;
use rsa::{PrivateKey, pkcs8::DecodePrivateKey as _};
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use serde_json::Value;
use x509_parser::parse_x509_certificate;

use crate::{Result, document};

pub fn judge(value: &[u8]) -> Result<Verdict> {
    let expected = Expectation {
        client_id: Some(document::client_id(0)),
        tenant_id: Some(document::TENANT.to_owned()),
        cloud: Some("AzurePublicCloud".to_owned()),
        ..Expectation::default()
    };
    let value = Secret::new(value.to_vec());
    let verdict = hcp_identity::credential::judge(&value, ObjectEncoding::Utf8, &expected, Timestamp::now());
    // A judge that finds fault with it would be another one to measure.
    if verdict.problems.is_empty() { Ok(verdict) } else { Err(format!("{:?}", verdict.problems).into()) }
}

type KeyReader = fn(&[u8]) -> Result<()>;

pub fn key_reader(library: &str) -> Result<KeyReader> {
    match library {
        "rsa" => Ok(|der| Ok(drop(PrivateKey::from_pkcs8_der(der)?))),
        "aws-lc" => Ok(|der| Ok(drop(KeyPair::from_pkcs8(der)?))),
        _ => Err(format!("{library} is not compared").into()),
    }
}

/// How many certificates and keys there are.
pub fn read(value: &[u8], key: KeyReader) -> Result<(usize, usize)> {
    let document: Value = serde_json::from_slice(value)?;
    let client_secret = document["client_secret"].as_str().ok_or("there is no client secret")?;
    let file = BASE64_STANDARD.decode(client_secret)?;
    let (certificates, keys) = if file.starts_with(b"-----") { pem(&file)? } else { pkcs12(&file)? };
    for certificate in &certificates {
        parse_x509_certificate(certificate)?;
    }
    keys.iter().try_for_each(|der| key(der))?;
    match (certificates.len(), keys.len()) {
        (2, 1) => Ok((2, 1)),
        others => Err(format!("{others:?} certificates and keys").into()),
    }
}

type Ders = Vec<Vec<u8>>;

fn pem(file: &[u8]) -> Result<(Ders, Ders)> {
    let (mut certificates, mut keys) = (Vec::new(), Vec::new());
    for block in <(SectionKind, Vec<u8>)>::pem_slice_iter(file) {
        match block? {
            (SectionKind::Certificate, der) => certificates.push(der),
            (SectionKind::PrivateKey, der) => keys.push(der),
            (other, _) => return Err(format!("a block {other:?}").into()),
        }
    }
    Ok((certificates, keys))
}

fn pkcs12(file: &[u8]) -> Result<(Ders, Ders)> {
    let archive = Pkcs12Archive::from_pkcs12(file, "")?;
    let certificates = archive.certs.iter().map(|bag| bag.cert.as_der().to_vec()).collect();
    let keys = archive.keys.iter().map(|bag| bag.key.as_der().to_vec()).collect();
    Ok((certificates, keys))
}
