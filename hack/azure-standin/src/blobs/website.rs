//! Static websites, which Azurite has not: what is in `$web`, to everybody, whatever the account says of public access.
//!
//! <https://learn.microsoft.com/azure/storage/blobs/storage-blob-static-website>

use http::{HeaderName, Method, StatusCode};
use serde_json::{Value, json};

use super::{
    BlobStore, forward,
    refusal::{self, Refused},
    settle, web_call,
};
use crate::{
    arm::{self, WEB},
    azure::Azure,
    exchange::{Answer, Call},
};

pub(crate) async fn answer(azure: &Azure, account: &str, call: &Call) -> Answer {
    serve(azure, account, call).await.unwrap_or_else(Answer::from)
}

async fn serve(azure: &Azure, account: &str, call: &Call) -> Result<Answer, Refused> {
    if !matches!(call.method, Method::GET | Method::HEAD) {
        return Ok(arm::refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            "UnsupportedHttpVerb",
            "The resource doesn't support specified Http Verb.",
        ));
    }
    let now = azure.clock.now();
    let known = azure.with_world(|world| world.arm.accounts.get(account)?.website().cloned());
    let website =
        known.ok_or_else(|| refusal::no_website("WebsiteDisabled", "The requested website is not enabled.", now))?;
    let store = azure.blob_store().ok_or_else(refusal::no_store)?;
    settle(azure, store, account, WEB).await?;
    let path = call.path.trim_start_matches('/');
    let path = match website["indexDocument"].as_str() {
        Some(index) if path.is_empty() || path.ends_with('/') => format!("{path}{index}"),
        _ => path.to_owned(),
    };
    if let Some(found) = file(store, account, call, &path).await? {
        return Ok(found);
    }
    let page = missing(store, account, call, &website).await?;
    page.ok_or_else(|| refusal::no_website("WebContentNotFound", "The requested content does not exist.", now))
}

async fn file(store: &BlobStore, account: &str, call: &Call, path: &str) -> Result<Option<Answer>, Refused> {
    if path.is_empty() {
        return Ok(None);
    }
    let bare = Call { headers: http::HeaderMap::new(), ..call.clone() };
    let mut answer = forward::signed(store, account, &web_call(&bare, account, path)?).await?;
    if !answer.status().is_success() {
        return Ok(None);
    }
    answer.headers_mut().remove(HeaderName::from_static("x-ms-client-request-id"));
    Ok(Some(answer))
}

/// The page that the website has for this, if it has one.
async fn missing(store: &BlobStore, account: &str, call: &Call, website: &Value) -> Result<Option<Answer>, Refused> {
    let page = website["errorDocument404Path"].as_str().unwrap_or_default();
    let page = file(store, account, call, page).await?;
    Ok(page.map(|mut page| {
        *page.status_mut() = StatusCode::NOT_FOUND;
        page
    }))
}

/// What a request to set the service's properties says of the website. None if it says nothing.
pub(super) fn settings(body: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(body).ok()?;
    let website = between(text, "StaticWebsite")?;
    Some(json!({
        "enabled": between(website, "Enabled") == Some("true"),
        "indexDocument": between(website, "IndexDocument"),
        "errorDocument404Path": between(website, "ErrorDocument404Path"),
    }))
}

fn between<'t>(text: &'t str, element: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{element}>"))?;
    rest.split_once(&format!("</{element}>")).map(|(inner, _)| inner.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_website_is_switched_on_by_the_service_as_well() {
        let body =
            b"<StorageServiceProperties><StaticWebsite><Enabled>true</Enabled><IndexDocument>i.html</IndexDocument>\
                     </StaticWebsite></StorageServiceProperties>";
        let expected = json!({"enabled": true, "indexDocument": "i.html", "errorDocument404Path": null});
        assert_eq!(settings(body), Some(expected));
        assert_eq!(settings(b"<StorageServiceProperties/>"), None);
    }
}
