//! PEM, written and read: one certificate or key, or the certificates of a chain.

use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use crate::credential::pem_block;

/// One block. Whoever holds a key in it wipes it.
pub(super) fn block(label: &str, der: &[u8]) -> Vec<u8> {
    pem_block(label, der).expose().to_vec()
}

/// Every certificate in a text; none if there is none, or one that is none.
pub(super) fn certificates(text: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().ok()?;
    (!found.is_empty()).then_some(found)
}
