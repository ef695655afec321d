//! Credential material that nothing can print.

use std::fmt;

use zeroize::Zeroizing;

/// Bytes that may hold a private key: wiped when dropped, redacted in `Debug`, with neither `Display` nor `Serialize`.
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; no copy is left behind.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Only within the capacity: growing would leave a copy of what is there.
    pub(super) fn push(&mut self, byte: u8) {
        debug_assert!(self.0.len() < self.0.capacity(), "no copy is left behind");
        self.0.push(byte);
    }

    pub(super) fn expose_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    pub(super) fn truncate(&mut self, length: usize) {
        // What is cut off stays in the buffer, which is wiped whole.
        self.0.truncate(length);
    }

    /// For the one who reads or signs with it.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}
