//! Signs in with a mounted credential, and goes on with whatever is mounted later:
//!
//!     cargo run --example mounted_credential --no-default-features --features mounted -- /mnt/certs/NAME

use std::{error::Error, io::Write as _, sync::Arc};

use azure_core::credentials::TokenCredential;
use hcp_identity::mounted::{MountedCredential, Options};

const SCOPE: &str = "https://management.azure.com/.default";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("give the path of a mounted credential")?;
    let mounted = MountedCredential::open(path, Options::default())?;
    let mut in_use = mounted.in_use();
    // What any client of Azure's SDK takes.
    let credential: Arc<dyn TokenCredential> = Arc::new(mounted);
    loop {
        let token = credential.get_token(&[SCOPE], None).await?;
        writeln!(std::io::stdout(), "signed in; the token is good until {}", token.expires_on)?;
        in_use.changed().await?;
        if let Some(refused) = &in_use.borrow_and_update().refused {
            writeln!(std::io::stderr(), "{refused}")?;
        }
    }
}
