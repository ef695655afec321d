//! Names that Azure wants to be GUIDs, and that are found again by the next run.

use sha2::{Digest as _, Sha256};

/// The GUID of these parts, in whatever case they are written.
pub(super) fn guid(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.to_ascii_lowercase());
        hash.update([0]);
    }
    let mut text = String::with_capacity(36);
    for (at, byte) in hash.finalize().iter().take(16).enumerate() {
        // Version and variant of a UUID whose making is its owner's own affair: RFC 9562, section 5.8.
        let byte = match at {
            6 => byte & 0x0f | 0x80,
            8 => byte & 0x3f | 0x80,
            _ => *byte,
        };
        if [4, 6, 8, 10].contains(&at) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::is_uuid;

    #[test]
    fn parts_are_kept_apart_and_their_case_does_not_count() {
        let one = guid(&["/subscriptions/A", "b"]);
        assert!(is_uuid(&one), "{one}");
        assert_eq!(one, guid(&["/Subscriptions/a", "B"]));
        assert_ne!(one, guid(&["/subscriptions/Ab", ""]));
        assert_eq!((one.as_bytes()[14], one.len()), (b'8', 36));
    }
}
