//! What a plain YAML scalar means to kubectl.
//!
//! kubectl reads YAML through `sigs.k8s.io/yaml`, which resolves scalars as go-yaml v2 does: YAML 1.1 with exceptions.
//! `hack/upstream/yaml` holds this module against that library.

/// A resolved scalar.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    String,
}

/// Resolves a plain scalar; [`Scalar::String`] stands for the text itself.
pub(crate) fn resolve(text: &str) -> Scalar {
    let Some(first) = text.bytes().next() else {
        return Scalar::Null;
    };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => keyword(text),
        b'.' => match text {
            ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" => Scalar::Float(f64::INFINITY),
            // A quirk of go-yaml: here, and only here, underscores have to stand between digits.
            _ if text.contains('_') && separates_digits(text) => float(&text.replace('_', "")),
            _ => float(text),
        },
        b'+' | b'-' | b'0'..=b'9' => match text {
            "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
            _ if text.contains('_') => number(&text.replace('_', "")),
            _ => number(text),
        },
        _ => Scalar::String,
    }
}

fn separates_digits(text: &str) -> bool {
    let between = |around: &[u8]| around[1] != b'_' || around[0].is_ascii_digit() && around[2].is_ascii_digit();
    !text.ends_with('_') && text.as_bytes().windows(3).all(between)
}

fn keyword(text: &str) -> Scalar {
    match text {
        "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Scalar::Bool(false),
        _ => Scalar::String,
    }
}

fn number(text: &str) -> Scalar {
    let (negative, unsigned) = match text.as_bytes()[..] {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let signed = unsigned.len() < text.len();
    let (digits, radix) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&unsigned[2..], 16),
        [b'0', b'b' | b'B', ..] => (&unsigned[2..], 2),
        [b'0', b'o' | b'O', ..] => (&unsigned[2..], 8),
        [b'0', _, ..] => (&unsigned[1..], 8),
        _ => (unsigned, 10),
    };
    if digits.bytes().all(|b| char::from(b).is_digit(radix))
        && let Ok(magnitude) = u64::from_str_radix(digits, radix)
    {
        let int = if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() };
        match int {
            Some(int) => return Scalar::Int(int),
            None if !signed => return Scalar::Uint(magnitude),
            None => {}
        }
    }
    // A quirk of go-yaml: after a lower-case 0b a sign may follow.
    if let Some(bits) = text.strip_prefix("0b")
        && let Ok(int) = i64::from_str_radix(bits, 2)
    {
        return Scalar::Int(int);
    }
    float(text)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, and finite.
fn float(text: &str) -> Scalar {
    let number_characters = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    match text.parse::<f64>() {
        Ok(value) if number_characters && value.is_finite() => Scalar::Float(value),
        _ => Scalar::String,
    }
}

#[cfg(test)]
mod tests {
    use super::{Scalar::*, *};

    #[test]
    fn yaml_1_1_as_kubectl_reads_it() {
        for (text, meaning) in [
            ("0644", Int(420)),
            ("0o17", Int(15)),
            ("0x1F", Int(31)),
            ("0b11", Int(3)),
            ("-0b11", Int(-3)),
            ("0b-11", Int(-3)),
            ("08", Float(8.0)),
            ("1_000", Int(1000)),
            ("+12", Int(12)),
            ("-9223372036854775808", Int(i64::MIN)),
            ("18446744073709551615", Uint(u64::MAX)),
            ("18446744073709551616", Float(18446744073709551616.0)),
            ("+9223372036854775808", Float(9223372036854775808.0)),
            ("1e3", Float(1000.0)),
            ("5.", Float(5.0)),
            (".5", Float(0.5)),
            (".5_0", Float(0.5)),
            ("._5", String),
            (".5_", String),
            ("1e400", String),
            ("1:30", String),
            ("2024-01-01", String),
            ("0x", String),
            ("-", String),
            (".", String),
            ("1.2.3", String),
            ("infinity", String),
            ("yes", Bool(true)),
            ("Off", Bool(false)),
            ("oN", String),
            ("~", Null),
            ("", Null),
            ("nULL", String),
            ("<<", String),
        ] {
            assert_eq!(resolve(text), meaning, "{text:?}");
        }
    }
}
