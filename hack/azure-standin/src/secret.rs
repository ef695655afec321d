//! The one type that holds a secret: it cannot be printed.

use std::fmt;

use serde::Deserialize;
use zeroize::Zeroizing;

/// A secret text. `Debug` does not show it, and there is no `Display` and no `Serialize`.
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[serde(from = "String")]
pub struct Redacted(Zeroizing<String>);

impl Redacted {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// For the answer that it belongs into, and for nothing else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Redacted {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Some(Redacted::new("hush"))), "Some(<redacted>)");
    }
}
