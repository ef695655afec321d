//! Signs in with whatever the pod gives, and says with what; a config Secret is looked for where the argument says:
//!
//!     cargo run --example chosen_credential --no-default-features --features mounted -- /etc/azure-credentials

use std::{error::Error, io::Write as _, path::Path};

use hcp_identity::mounted::{Choice, Options, Sources, choose};

const SCOPE: &str = "https://management.azure.com/.default";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "this is what the program has been given")]
    let mut sources = Sources::default().with_environment(|name| std::env::var(name).ok());
    if let Some(folder) = std::env::args().nth(1) {
        sources = sources.with_secret_folder(Path::new(&folder))?;
    }
    let choice = choose(&sources)?;
    let what = match &choice {
        Choice::Mounted { path } => format!("the credential {}", path.display()),
        Choice::ClientSecret { client_id, .. } => format!("a client secret of {client_id}"),
        Choice::Federated { client_id, token_file, .. } => format!("the token {} of {client_id}", token_file.display()),
    };
    let token = choice.open(Options::default())?.get_token(&[SCOPE], None).await?;
    writeln!(std::io::stdout(), "signed in with {what}; the token is good until {}", token.expires_on)?;
    Ok(())
}
