//! Identifiers that mean nothing: request ids, versions, token ids.

/// A random UUID.
pub(crate) fn uuid() -> String {
    let hex = hex(16);
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// Random bytes in hexadecimal.
pub(crate) fn hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    // A random generator that fails leaves zeroes: good enough for names that only have to be there.
    if aws_lc_rs::rand::fill(&mut random).is_err() {
        random.fill(0);
    }
    to_hex(&random)
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_look_like_uuids_and_differ() {
        let one = uuid();
        assert_eq!((one.len(), one.matches('-').count()), (36, 4));
        assert_ne!(one, uuid());
    }
}
