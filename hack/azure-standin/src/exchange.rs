//! A request and its answer, whole: nothing that the stand-in speaks is large enough to stream.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Serialize;

/// How a request came in: some names mean something else, or nothing, on another channel.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// HTTPS, direct or through the proxy: Azure's own host names.
    Tls,
    /// HTTP, direct or through the proxy: the metadata service and App Service's endpoint.
    Plain,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Call {
    pub channel: Channel,
    pub method: Method,
    /// Lower case, without port.
    pub host: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    /// A request without headers and body.
    ///
    /// # Errors
    /// If `url` is none, or is neither https nor http.
    pub fn new(method: Method, url: &str) -> Result<Self, http::Error> {
        let uri: http::Uri = url.parse()?;
        let channel = if uri.scheme_str() == Some("http") { Channel::Plain } else { Channel::Tls };
        let host = uri.host().unwrap_or_default();
        Ok(Self::of_parts(channel, method, host, &uri, HeaderMap::new(), Bytes::new()))
    }

    #[must_use]
    pub fn of_parts(
        channel: Channel,
        method: Method,
        host: &str,
        uri: &http::Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Self {
        Self {
            channel,
            method,
            host: host_of(host),
            path: uri.path().to_owned(),
            query: form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect(),
            headers,
            body,
        }
    }

    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    #[must_use]
    pub fn with_form(mut self, fields: &[(&str, &str)]) -> Self {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body = form.into();
        self.with_header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
    }

    /// The decoded parts of the path, without empty ones: SDKs write `/secrets/NAME/` for the latest version.
    #[must_use]
    pub fn segments(&self) -> Vec<String> {
        self.path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned())
            .collect()
    }

    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The fields of a form that was posted.
    #[must_use]
    pub fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

/// A host name without its port, in lower case.
fn host_of(authority: &str) -> String {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    host.to_ascii_lowercase()
}

pub type Answer = http::Response<Bytes>;

/// Who called, as far as the service found out: for the journal.
#[derive(Clone, Debug)]
pub struct Caller(pub String);

/// The error code of a refusal: for the journal.
#[derive(Clone, Debug)]
pub struct Refusal(pub String);

/// An answer with a JSON body.
#[must_use]
pub fn json(status: StatusCode, body: &serde_json::Value) -> Answer {
    text(status, "application/json; charset=utf-8", body.to_string())
}

#[must_use]
pub fn text(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Answer::new(body.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

#[must_use]
pub fn with_refusal(mut answer: Answer, code: impl Into<String>) -> Answer {
    answer.extensions_mut().insert(Refusal(code.into()));
    answer
}

#[must_use]
pub fn with_caller(mut answer: Answer, caller: &str) -> Answer {
    answer.extensions_mut().insert(Caller(caller.to_owned()));
    answer
}

/// Adds a header whose value the stand-in made: one that is no header value is left out.
#[must_use]
pub fn with_header(mut answer: Answer, name: HeaderName, value: &str) -> Answer {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_from_its_url() {
        let call =
            Call::new(Method::GET, "https://V.vault.azure.net:443/secrets/a%20b/?api-version=7.4&x=%2F").unwrap();
        assert_eq!((call.host.as_str(), call.channel), ("v.vault.azure.net", Channel::Tls));
        assert_eq!(call.segments(), ["secrets", "a b"]);
        assert_eq!((call.query("api-version"), call.query("x")), (Some("7.4"), Some("/")));
    }
}
