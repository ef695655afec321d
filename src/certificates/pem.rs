//! PEM, written and read: one certificate or key, or the certificates of a chain.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use zeroize::Zeroizing;

/// Base64 characters of a line.
const LINE: usize = 64;

/// One block. Whoever holds a key in it wipes it.
pub(super) fn block(label: &str, der: &[u8]) -> Vec<u8> {
    let mut base64 = Zeroizing::new(vec![0; der.len().div_ceil(3) * 4]);
    // It is as long as the text: nothing is left to fail.
    let length = BASE64_STANDARD.encode_slice(der, &mut base64).unwrap_or_default();
    base64.truncate(length);
    let mut text = Vec::with_capacity(2 * label.len() + 40 + length + length / LINE + 1);
    let mut line = |bytes: &[&[u8]]| {
        bytes.iter().for_each(|bytes| text.extend_from_slice(bytes));
        text.push(b'\n');
    };
    line(&[b"-----BEGIN ", label.as_bytes(), b"-----"]);
    base64.chunks(LINE).for_each(|piece| line(&[piece]));
    line(&[b"-----END ", label.as_bytes(), b"-----"]);
    text
}

/// Every certificate in a text; none if there is none, or one that is none.
pub(super) fn certificates(text: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().ok()?;
    (!found.is_empty()).then_some(found)
}
