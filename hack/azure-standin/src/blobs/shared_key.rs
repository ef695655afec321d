//! The signature by an account's key: <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::header;

use crate::{exchange::Call, secret::Redacted};

const SIGNED: [header::HeaderName; 11] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::HeaderName::from_static("content-md5"),
    header::CONTENT_TYPE,
    header::DATE,
    header::IF_MODIFIED_SINCE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_UNMODIFIED_SINCE,
    header::RANGE,
];

/// The value of `Authorization`. None if the key is no base64.
pub(super) fn authorization(account: &str, key: &Redacted, call: &Call) -> Option<String> {
    let key = BASE64_STANDARD.decode(key.reveal()).ok()?;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), string_to_sign(account, call).as_bytes());
    Some(format!("SharedKey {account}:{}", BASE64_STANDARD.encode(tag)))
}

fn string_to_sign(account: &str, call: &Call) -> String {
    let mut lines = vec![call.method.to_string()];
    lines.extend(SIGNED.iter().map(|name| match call.header(name.as_str()) {
        // A length of nothing is written as nothing.
        Some("0") if *name == header::CONTENT_LENGTH => String::new(),
        value => value.unwrap_or_default().to_owned(),
    }));
    let own: BTreeMap<_, _> = call
        .headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-ms-"))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default().trim()))
        .collect();
    lines.extend(own.iter().map(|(name, value)| format!("{name}:{value}")));
    lines.push(format!("/{account}{}", call.path));
    let mut query: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, value) in &call.query {
        query.entry(name.to_lowercase()).or_default().push(value);
    }
    lines.extend(query.into_iter().map(|(name, mut values)| {
        values.sort_unstable();
        format!("{name}:{}", values.join(","))
    }));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, Method};

    use super::*;

    #[test]
    fn a_signature_is_over_the_request_as_microsoft_describes_it() {
        let call =
            Call::new(Method::GET, "https://myaccount.blob/mycontainer?restype=container&comp=metadata").unwrap();
        let call = call
            .with_header(HeaderName::from_static("x-ms-version"), "2015-02-21")
            .with_header(HeaderName::from_static("x-ms-date"), "Fri, 26 Jun 2015 23:39:12 GMT")
            .with_header(header::CONTENT_LENGTH, "0");
        let expected = "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
                        /myaccount/mycontainer\ncomp:metadata\nrestype:container";
        assert_eq!(string_to_sign("myaccount", &call), expected);
    }
}
