//! What a credential signs in with, for the one who tries it.

use hcp_identity_api::hosted_cluster::ObjectEncoding;

use super::{
    Field, Secret, bundle,
    document::Document,
    encoding,
    endpoint::{self, Endpoint},
};
use crate::clouds::Cloud;

/// A credential that the consumer accepts, taken apart. `Debug` shows no key.
#[derive(Debug)]
pub struct SignIn {
    pub client_id: String,
    pub tenant_id: String,
    /// `authentication_endpoint`, https, without a slash at its end.
    pub endpoint: String,
    /// Whether the endpoint's host is one of Entra's.
    pub endpoint_is_known: bool,
    /// PKCS#8 or PKCS#1, DER.
    pub key: Secret,
    /// DER; the certificate of the key first.
    pub chain: Vec<Vec<u8>>,
}

impl SignIn {
    /// Where it gets a token, which is the audience of its assertion as well.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("{}/{}/oauth2/v2.0/token", self.endpoint, self.tenant_id)
    }

    /// An application whose certificate is in a file with its key, PEM or PKCS#12 without a password; none where it is not.
    #[must_use]
    pub fn of_certificate(client_id: &str, tenant_id: &str, endpoint: &str, file: &Secret) -> Option<Self> {
        let (key, chain) = bundle::signing_key_of(file)?;
        Some(Self {
            client_id: client_id.to_owned(),
            tenant_id: tenant_id.to_owned(),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            endpoint_is_known: true,
            key,
            chain: chain.into_iter().map(|certificate| certificate.der).collect(),
        })
    }

    /// None where [`judge`](super::judge) says what is wrong.
    #[must_use]
    pub fn read(value: &Secret, encoding: ObjectEncoding) -> Option<Self> {
        let file = encoding::decode(value, encoding)?;
        let document = Document::read(file.expose()).ok()?;
        let text = |field| document.text(field).filter(|text| !text.is_empty());
        let endpoint = text(Field::AuthenticationEndpoint)?;
        let Endpoint::Https { host } = endpoint::read(endpoint) else { return None };
        let (key, chain) = bundle::signing_key(text(Field::ClientSecret)?)?;
        Some(Self {
            client_id: text(Field::ClientId)?.to_owned(),
            tenant_id: text(Field::TenantId)?.to_owned(),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            endpoint_is_known: Cloud::of_entra(host).is_some(),
            key,
            chain: chain.into_iter().map(|certificate| certificate.der).collect(),
        })
    }
}
