//! `authentication_endpoint`: what Go's `net/url` makes of it.

use std::net::Ipv6Addr;

/// What the consumer takes it for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Endpoint<'a> {
    /// The consumer falls back to Azure's public cloud, or to `AZURE_AUTHORITY_HOST` of its environment.
    Empty,
    Https {
        host: &'a str,
    },
    /// The consumer refuses it.
    Refused(&'static str),
}

pub(super) fn read(endpoint: &str) -> Endpoint<'_> {
    if endpoint.is_empty() {
        return Endpoint::Empty;
    }
    match (Url::read(endpoint), scheme(endpoint)) {
        (None, _) => Endpoint::Refused("is no URL"),
        (Some(_), None) => Endpoint::Refused("has no scheme; it must be https://"),
        (Some(url), Some((scheme, _))) if scheme.eq_ignore_ascii_case("https") => Endpoint::Https { host: url.host },
        (Some(_), Some(_)) => Endpoint::Refused("is not https"),
    }
}

/// Whether a certificate may name it.
pub(super) fn is_url(text: &str) -> bool {
    let is_domain = |host: &str| {
        let labels = host.split('.');
        host.len() < 254 && labels.clone().all(|label| !label.is_empty() && label.len() < 64)
    };
    Url::read(text).is_some_and(|url| url.host.is_empty() || is_domain(url.host))
}

struct Url<'a> {
    host: &'a str,
}

impl<'a> Url<'a> {
    /// None where Go's `url.Parse` refuses it.
    fn read(text: &'a str) -> Option<Self> {
        let (before, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (scheme, rest) = scheme(before).map_or((None, before), |(scheme, rest)| (Some(scheme), rest));
        let sound = !text.bytes().any(|byte| byte < 0x20 || byte == 0x7f)
            && !before.starts_with(':')
            && escapes_are_whole(fragment);
        if !sound {
            return None;
        }
        let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
        if !rest.starts_with('/') {
            // `https:host` is opaque, and taken; no request gets anywhere with it.
            let first = rest.split('/').next().unwrap_or_default();
            let relative = !first.contains(':') && escapes_are_whole(rest);
            return (scheme.is_some() || relative).then_some(Self { host: "" });
        }
        let authority = rest.strip_prefix("//").filter(|_| scheme.is_some() || !rest.starts_with("///"));
        let (authority, path) = match authority {
            Some(rest) => rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash)),
            None => ("", rest),
        };
        let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        let sound = is_host(host)
            && user.is_none_or(|user| user.bytes().all(is_of_user) && escapes_are_whole(user))
            && escapes_are_whole(path);
        sound.then_some(Self { host })
    }
}

fn scheme(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let first = scheme.bytes().next()?.is_ascii_alphabetic();
    let sound = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    (first && sound).then_some((scheme, rest))
}

/// Every `%` is followed by two hexadecimal digits.
fn escapes_are_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let mut digits = after.bytes().take(2);
        digits.len() == 2 && digits.all(|byte| byte.is_ascii_hexdigit())
    })
}

fn is_of_user(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte)
}

fn is_host(host: &str) -> bool {
    if let Some(literal) = host.strip_prefix('[') {
        let Some((address, port)) = literal.rsplit_once(']') else { return false };
        let address = address.split_once("%25").map_or(address, |(address, _)| address);
        return address.parse::<Ipv6Addr>().is_ok() && is_port(port);
    }
    // The last colon: Go takes others as a part of the name.
    let (name, port) = host.rfind(':').map_or((host, ""), |colon| host.split_at(colon));
    is_port(port) && name.bytes().all(is_of_host) && escapes_are_of_host(name)
}

/// Nothing, or a colon and any number of digits.
fn is_port(port: &str) -> bool {
    port.is_empty() || port.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"-._~!$&'()*+,;=:]<>\"%".contains(&byte)
}

/// In a host only what is beyond ASCII, and the percent sign, may be escaped.
fn escapes_are_of_host(name: &str) -> bool {
    let beyond_ascii = |escape: &str| matches!(escape.bytes().next(), Some(b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F'));
    let of_host = |escape: &str| escape.starts_with("25") || beyond_ascii(escape);
    escapes_are_whole(name) && name.split('%').skip(1).all(of_host)
}
