//! What a credential should be, as far as whoever checks it knows: flags of every check of one.

use crate::{
    clouds,
    credential::{Expectation, ObjectEncoding},
};

#[derive(Debug, clap::Args)]
pub(super) struct Expected {
    /// How the value is encoded: the objectEncoding of the HostedCluster.
    #[arg(long, value_name = "ENCODING", value_enum, default_value_t = Encoding::Utf8)]
    object_encoding: Encoding,

    /// The cloud it should sign in to, as spec.platform.azure.cloud names it.
    #[arg(long, value_name = "CLOUD", value_parser = clouds::NAMES)]
    pub(super) cloud: Option<String>,

    /// The client id that the HostedCluster names. Another one is a warning.
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,

    /// Make another client id an error.
    #[arg(long, requires = "client_id")]
    strict_client_id: bool,

    /// The tenant that it should sign in to.
    #[arg(long, value_name = "ID")]
    tenant_id: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Encoding {
    #[value(name = "utf-8")]
    Utf8,
    Hex,
    Base64,
}

impl Expected {
    pub(super) fn encoding(&self) -> ObjectEncoding {
        match self.object_encoding {
            Encoding::Utf8 => ObjectEncoding::Utf8,
            Encoding::Hex => ObjectEncoding::Hex,
            Encoding::Base64 => ObjectEncoding::Base64,
        }
    }

    pub(super) fn expectation(&self) -> Expectation {
        Expectation {
            client_id: self.client_id.clone(),
            strict_client_id: self.strict_client_id,
            tenant_id: self.tenant_id.clone(),
            cloud: self.cloud.clone(),
            ..Expectation::default()
        }
    }
}
