//! Documents that anybody may read, as Entra reads those of an issuer.

use crate::finding::chain;

/// More than any document of an issuer has.
const LIMIT: usize = 1 << 20;

/// Gets a document without saying who asks: status and body. No redirection is followed.
///
/// # Errors
/// Why there is no answer, or that it is larger than any of these documents.
pub(crate) async fn public_document(http: &reqwest::Client, url: &str) -> Result<(u16, Vec<u8>), String> {
    let failed = |error: reqwest::Error| chain(&error.without_url());
    let mut answer = http.get(url).send().await.map_err(failed)?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        body.extend_from_slice(&chunk);
        if body.len() > LIMIT {
            return Err("it is larger than 1 MiB".to_owned());
        }
    }
    Ok((answer.status().as_u16(), body))
}
