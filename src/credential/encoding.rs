//! What the CSI provider makes of a vault's value, and Go's base64 inside of it.
//!
//! Source: Azure/secrets-store-csi-driver-provider-azure v1.8.2 `pkg/provider/provider.go`.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hcp_identity_api::hosted_cluster::ObjectEncoding;

use super::Secret;

pub(super) const ENCODINGS: [ObjectEncoding; 3] = [ObjectEncoding::Utf8, ObjectEncoding::Hex, ObjectEncoding::Base64];

/// What the file in the pod holds; none where the mount fails.
#[must_use]
pub fn decode(value: &Secret, encoding: ObjectEncoding) -> Option<Secret> {
    match encoding {
        ObjectEncoding::Utf8 => Some(value.clone()),
        ObjectEncoding::Hex => hex(value.expose()),
        ObjectEncoding::Base64 => base64(value.expose()),
    }
}

/// As Go's `base64.StdEncoding`: padded, line ends anywhere, bits left over ignored.
pub(super) fn base64(text: &[u8]) -> Option<Secret> {
    const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
    let line: Vec<u8> = text.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect();
    let line = Secret::new(line);
    // Room for everything, so that no smaller buffer is given back with a part of it.
    let mut bytes = Vec::with_capacity(text.len());
    let decoded = GeneralPurpose::new(&STANDARD, CONFIG).decode_vec(line.expose(), &mut bytes);
    let bytes = Secret::new(bytes);
    decoded.is_ok().then_some(bytes)
}

fn hex(text: &[u8]) -> Option<Secret> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Secret::new(Vec::with_capacity(text.len() / 2));
    if text.len() % 2 == 1 {
        return None;
    }
    for pair in text.chunks_exact(2) {
        let &[high, low] = pair else { return None };
        bytes.push(digit(high)? << 4 | digit(low)?);
    }
    Some(bytes)
}
