//! The stand-in as a program, for kind and for tests in other languages.

use std::{io::Write as _, net::SocketAddr, path::PathBuf, process::ExitCode};

use azure_standin::{Settings, Standin, blobs::BlobStore, secret::Redacted, world::Document};
use clap::Parser;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

/// Entra, Key Vault secrets and managed identities for tests.
///
/// Prints one line of JSON with its addresses and its certificate authority, and serves until it gets SIGTERM or SIGINT.
#[derive(Debug, Parser)]
struct Arguments {
    /// What there is: tenants, principals, vaults, documents. YAML or JSON.
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// HTTP and CONNECT proxy.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    proxy: SocketAddr,
    /// HTTPS for clients whose DNS leads here.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    tls: SocketAddr,
    /// HTTP: the metadata service and App Service's endpoint.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    plain: SocketAddr,
    /// The control interface, on loopback only.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    control: SocketAddr,
    /// Certificates of the issuers that the stand-in does not serve itself, PEM.
    #[arg(long, value_name = "FILE")]
    trust: Vec<PathBuf>,
    /// Azurite, where the blobs of storage accounts are kept.
    #[arg(long, value_name = "ADDRESS", requires = "blob_key")]
    blob_store: Option<SocketAddr>,
    /// The key that all accounts have there, as AZURITE_ACCOUNTS says: a key for tests.
    #[arg(long, value_name = "BASE64", requires = "blob_store")]
    blob_key: Option<String>,
    /// Where to write the authority of its TLS, PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let told = writeln!(std::io::stderr(), "azure-standin: {error}");
            drop(told);
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let world = arguments.world.map(|file| read_world(&file)).transpose()?;
    let trusted = arguments.trust.iter().map(|file| certificates(file)).collect::<Result<Vec<_>, _>>()?;
    let standin = Standin::start(Settings {
        proxy: arguments.proxy,
        tls: arguments.tls,
        plain: arguments.plain,
        control: arguments.control,
        trusted: trusted.concat(),
        blob_store: arguments
            .blob_store
            .zip(arguments.blob_key)
            .map(|(address, key)| BlobStore { address, key: Redacted::new(key) }),
        ..Settings::default()
    })
    .await?;
    if let Some(document) = world {
        standin.azure().load(document);
    }
    if let Some(file) = arguments.ca {
        write(&file, &standin.about().ca_pem)?;
    }
    writeln!(std::io::stdout(), "{}", serde_json::to_string(standin.about())?)?;
    until_told().await?;
    standin.stop().await;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the files that the arguments name")]
fn read_world(file: &std::path::Path) -> Result<Document, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?)
}

#[expect(clippy::disallowed_methods, reason = "the files that the arguments name")]
fn certificates(file: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let pem = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{}: {error}", file.display()))?)
}

#[expect(clippy::disallowed_methods, reason = "the file that the argument names")]
fn write(file: &std::path::Path, text: &str) -> Result<(), Failure> {
    Ok(std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?)
}

async fn until_told() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
