//! The token of a service account, as the assertion with which a managed identity is signed in as.

use std::path::{Path, PathBuf};

use azure_core::{
    error::{Error, ErrorKind},
    http::ClientMethodOptions,
};
use azure_identity::ClientAssertion;

/// A token in a file, read anew whenever Entra is asked: whoever mints it writes a new one long before the last one ends, and may
/// not have written the first one yet when a program starts.
#[derive(Debug)]
pub(super) struct TokenFile(pub(super) PathBuf);

#[async_trait::async_trait]
impl ClientAssertion for TokenFile {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let token = read(&self.0)?;
        match token.trim() {
            "" => Err(refused(format!("the token file {} is empty; see that its minter runs", self.0.display()))),
            token => Ok(token.to_owned()),
        }
    }
}

fn read(path: &Path) -> azure_core::Result<String> {
    #[expect(clippy::disallowed_methods, reason = "the token is read anew when it is needed")]
    let token = std::fs::read_to_string(path);
    let unreadable =
        |why| format!("cannot read the token file {}: {why}; see that the pod has the token", path.display());
    token.map_err(|why| refused(unreadable(why)))
}

fn refused(why: String) -> Error {
    Error::with_message(ErrorKind::Credential, why)
}
