//! The keys of an issuer, as it publishes them: a JSON Web Key Set.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{Map, Value, json, ser::PrettyFormatter};

use super::SigningKey;

/// The newest key first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeySet(Vec<Key>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Key {
    id: String,
    fields: Map<String, Value>,
}

/// Why a document is no set that may be added to. What it holds is not repeated.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeySetError {
    #[error("is no JSON Web Key Set: it is no JSON object with a list `keys`")]
    NoKeySet,
    #[error("is no JSON Web Key Set: its key {0} is no object with a `kid`")]
    NoKey(usize),
    #[error("has the `kid` {0:?} twice")]
    Twice(String),
    #[error(
        "publishes a private key: its key {0} has `{1}`; whoever has read it can sign tokens, so make another key pair"
    )]
    Private(usize, &'static str),
    #[error("has another key under the `kid` {0:?}, which is a hash of the key: one of both has been tampered with")]
    OtherKey(String),
}

/// What only a private or a symmetric key has.
/// <https://www.rfc-editor.org/rfc/rfc7518#section-6>
const SECRETS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl KeySet {
    /// The set of one key.
    #[must_use]
    pub fn of(key: &SigningKey) -> Self {
        Self(vec![Key::of(key)])
    }

    /// Reads what is published.
    ///
    /// # Errors
    /// Where it cannot be added to.
    pub fn read(document: &[u8]) -> Result<Self, KeySetError> {
        let document: Value = serde_json::from_slice(document).map_err(|_| KeySetError::NoKeySet)?;
        let keys = document.get("keys").and_then(Value::as_array).ok_or(KeySetError::NoKeySet)?;
        let mut set = Self(Vec::with_capacity(keys.len()));
        for (at, key) in keys.iter().enumerate() {
            let key = Key::read(at, key)?;
            if set.has(&key.id) {
                return Err(KeySetError::Twice(key.id));
            }
            set.0.push(key);
        }
        Ok(set)
    }

    /// What is published next, beside what is published already. Keys that are retired go, but the one that is signed with.
    ///
    /// # Errors
    /// Where what is published cannot be added to.
    pub fn after(published: Option<&[u8]>, key: &SigningKey, retired: &[String]) -> Result<Self, KeySetError> {
        let keys = match published {
            Some(published) => Self::read(published)?.with(key)?,
            None => Self::of(key),
        };
        Ok(retired.iter().filter(|id| **id != key.id()).fold(keys, |keys, id| keys.without(id)))
    }

    /// The same with this key in front: tokens of the others are good until they end.
    ///
    /// # Errors
    /// Where the set has another key by that name.
    pub fn with(mut self, key: &SigningKey) -> Result<Self, KeySetError> {
        let key = Key::of(key);
        if let Some(at) = self.0.iter().position(|known| known.id == key.id) {
            let known = self.0.remove(at);
            if !["kty", "n", "e"].iter().all(|field| known.fields.get(*field) == key.fields.get(*field)) {
                return Err(KeySetError::OtherKey(key.id));
            }
        }
        self.0.insert(0, key);
        Ok(self)
    }

    /// The same without a key whose tokens have all ended.
    #[must_use]
    pub fn without(mut self, id: &str) -> Self {
        self.0.retain(|key| key.id != id);
        self
    }

    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        self.0.iter().map(|key| &*key.id).collect()
    }

    fn has(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id == id)
    }

    /// The document, as `ccoctl` writes it.
    ///
    /// # Errors
    /// Never of what a set can be made of.
    pub fn text(&self) -> serde_json::Result<String> {
        let keys: Vec<_> = self.0.iter().map(|key| &key.fields).collect();
        let mut text = Vec::new();
        let indented = PrettyFormatter::with_indent(b"    ");
        json!({"keys": keys}).serialize(&mut serde_json::Serializer::with_formatter(&mut text, indented))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

impl Key {
    fn of(key: &SigningKey) -> Self {
        let id = key.id();
        let number = |number: &[u8]| Value::from(BASE64_URL_SAFE_NO_PAD.encode(number));
        let fields = [
            ("use", "sig".into()),
            ("kty", "RSA".into()),
            ("kid", id.clone().into()),
            ("alg", "RS256".into()),
            ("n", number(key.modulus())),
            ("e", number(&key.exponent())),
        ];
        Self { id, fields: fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect() }
    }

    fn read(at: usize, key: &Value) -> Result<Self, KeySetError> {
        let fields = key.as_object().ok_or(KeySetError::NoKey(at))?;
        if let Some(secret) = SECRETS.iter().find(|secret| fields.contains_key(**secret)) {
            return Err(KeySetError::Private(at, secret));
        }
        let id = fields.get("kid").and_then(Value::as_str).filter(|id| !id.is_empty()).ok_or(KeySetError::NoKey(at))?;
        Ok(Self { id: id.to_owned(), fields: fields.clone() })
    }
}
