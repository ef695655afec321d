//! The JSON of a credential, as `UserAssignedIdentityCredentials` of Azure/msi-dataplane v0.4.3 reads it: names are exact,
//! null is absent, of a name that stands there twice the last counts, unknown names do not.

use std::{borrow::Cow, collections::HashMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use strum::{Display, EnumIter, EnumString, IntoStaticStr};

use super::Secret;

/// A name that the consumer knows.
#[derive(Clone, Copy, Debug, Display, EnumIter, EnumString, Eq, Hash, IntoStaticStr, PartialEq)]
#[strum(serialize_all = "snake_case")]
pub enum Field {
    AuthenticationEndpoint,
    CannotRenewAfter,
    ClientId,
    ClientSecret,
    ClientSecretUrl,
    CustomClaims,
    MtlsAuthenticationEndpoint,
    NotAfter,
    NotBefore,
    ObjectId,
    RenewAfter,
    ResourceId,
    TenantId,
}

#[derive(Default)]
pub(super) struct Document {
    members: HashMap<Field, Member>,
    /// Names that the consumer would know if they were spelled otherwise.
    pub(super) misspelt: Vec<Field>,
}

/// Every text is a secret here: people put keys into the wrong place.
enum Member {
    Text(Secret),
    Claims(bool),
    Wrong(&'static str),
    Absent,
}

/// Why it is no document, and where.
pub(super) struct Refusal {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) message: &'static str,
}

impl Document {
    pub(super) fn read(file: &[u8]) -> Result<Self, Refusal> {
        let text = String::from_utf8_lossy(file);
        let text = Wiped(whole_surrogates(&text));
        serde_json::from_str(&text.0).map_err(|error| Refusal {
            line: error.line(),
            column: error.column(),
            // The library's words may quote the file.
            message: if error.is_data() { "is not an object of names and values" } else { "is not JSON" },
        })
    }

    pub(super) fn text(&self, field: Field) -> Option<&str> {
        match self.members.get(&field)? {
            Member::Text(text) => std::str::from_utf8(text.expose()).ok(),
            _ => None,
        }
    }

    /// What stands there instead of what is wanted.
    pub(super) fn wrong_type(&self, field: Field) -> Option<&'static str> {
        match self.members.get(&field)? {
            Member::Wrong(kind) => Some(kind),
            Member::Claims(false) => Some("something else than an object of network perimeters and a trust mode"),
            _ => None,
        }
    }

    pub(super) fn is_absent(&self, field: Field) -> bool {
        matches!(self.members.get(&field), None | Some(Member::Absent))
    }
}

/// A copy of a file, wiped when dropped.
struct Wiped<'a>(Cow<'a, str>);

impl Drop for Wiped<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(copy) = &mut self.0 {
            zeroize::Zeroize::zeroize(copy);
        }
    }
}

/// Go reads half a surrogate pair as U+FFFD, and our reader refuses it.
fn whole_surrogates<'a>(text: &'a Cow<'a, str>) -> Cow<'a, str> {
    let unit = |at: usize| {
        let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let mut halves = Vec::new();
    let mut at = 0;
    while let Some(backslash) = text.get(at..).and_then(|rest| memchr::memchr(b'\\', rest.as_bytes())) {
        at += backslash;
        let (first, second) = (unit(at), unit(at + 6));
        let escape = match (first, second) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                halves.push(at);
                6
            }
            (Some(_), _) => 6,
            // `\"`, `\\`, and what is no escape.
            (None, _) => 1 + text.get(at + 1..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8),
        };
        at += escape;
    }
    if halves.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut whole = text.to_string();
    for at in halves {
        whole.replace_range(at..at + 6, "\\ufffd");
    }
    Cow::Owned(whole)
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            /// `null`: to the consumer an object without members.
            fn visit_unit<E>(self) -> Result<Document, E> {
                Ok(Document::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut document = Document::default();
                while let Some(name) = map.next_key::<Cow<'_, str>>()? {
                    match name.parse() {
                        Ok(Field::CustomClaims) => {
                            let member = claims(&map.next_value()?);
                            document.members.insert(Field::CustomClaims, member);
                        }
                        Ok(field) => {
                            let member = map.next_value()?;
                            document.members.insert(field, member);
                        }
                        Err(_) => {
                            map.next_value::<IgnoredAny>()?;
                            document.misspelt.extend(meant(&name));
                        }
                    }
                }
                Ok(document)
            }
        }
        deserializer.deserialize_any(Members)
    }
}

/// The field that somebody meant by `clientId`, `CLIENT-ID` or `TenantID`.
fn meant(name: &str) -> Option<Field> {
    let bare = |name: &str| -> String {
        name.chars().filter(char::is_ascii_alphanumeric).map(|character| character.to_ascii_lowercase()).collect()
    };
    let bare_name = bare(name.get(..name.len().min(64))?);
    <Field as strum::IntoEnumIterator>::iter().find(|field| bare(field.into()) == bare_name)
}

fn claims(value: &serde_json::Value) -> Member {
    use serde_json::Value::{Array, Null, Object, String};
    match value {
        Null => Member::Absent,
        Object(claims) => {
            let text = |value: &serde_json::Value| matches!(value, Null | String(_));
            Member::Claims(claims.iter().all(|(name, value)| match (name.as_str(), value) {
                ("xms_az_nwperimid", Array(perimeters)) => perimeters.iter().all(text),
                ("xms_az_nwperimid", value) => *value == Null,
                ("xms_az_tm", value) => text(value),
                _ => true,
            }))
        }
        _ => Member::Claims(false),
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Member;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_str<E>(self, text: &str) -> Result<Member, E> {
                Ok(Member::Text(Secret::new(text.as_bytes().to_vec())))
            }

            fn visit_unit<E>(self) -> Result<Member, E> {
                Ok(Member::Absent)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Member, E> {
                Ok(Member::Wrong("a boolean"))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Member, E> {
                Ok(Member::Wrong("a number"))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Member, E> {
                Ok(Member::Wrong("a number"))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Member, E> {
                Ok(Member::Wrong("a number"))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Member, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Member::Wrong("a list"))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Member::Wrong("an object"))
            }
        }
        deserializer.deserialize_any(Text)
    }
}
