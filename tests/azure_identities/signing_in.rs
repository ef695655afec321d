//! Who calls, beside an application with a secret.

use std::fs;

use azure_standin::certificate::Certificate;

use crate::support::subscription::{OWNER, Ran, SUBSCRIPTION, Subscription, run};

/// Looks at what would be deleted, with this as `AZURE_CLIENT_CERTIFICATE_PATH` in the place of the secret.
async fn look(azure: &Subscription, file: &str, without: &[&str]) -> Ran {
    let mut command = azure.command();
    command.args(["azure", "delete", "--name=prod", "--subscription-id", SUBSCRIPTION]);
    command.env_remove("AZURE_CLIENT_SECRET").env("AZURE_CLIENT_CERTIFICATE_PATH", file);
    for variable in without {
        command.env_remove(variable);
    }
    run(command).await
}

/// A certificate for itself and its key, as `az ad sp create-for-rbac --create-cert` writes them.
#[expect(clippy::disallowed_methods, reason = "the program reads files")]
fn certificate(azure: &Subscription) {
    let mut openssl = azure.program("openssl");
    let flags = ["req", "-x509", "-newkey", "rsa:2048", "-noenc", "-subj", "/CN=caller", "-days", "36500"];
    openssl.env("PATH", "/usr/bin:/bin").args(flags).args(["-keyout", "key.pem", "-out", "certificate.pem"]);
    assert!(openssl.output().unwrap().status.success());
    let (key, certificate) = (azure.read("key.pem"), azure.read("certificate.pem"));
    fs::write(azure.folder.join("caller.pem"), format!("{key}{certificate}")).unwrap();
    let registered = Certificate::from_pem(&certificate).unwrap();
    azure.standin.azure().with_world_mut(|world| {
        let owner = world.principals.iter_mut().find(|one| one.client_id == OWNER).unwrap();
        owner.certificates.push(azure_standin::world::RegisteredCertificate(registered));
    });
}

#[tokio::test]
async fn an_application_signs_in_with_its_certificate() {
    let azure = Subscription::start("signing-in", &[]).await;
    certificate(&azure);
    let ran = look(&azure, "caller.pem", &[]).await;
    assert_eq!((ran.code, ran.err.as_str()), (0, "there is nothing with the mark of prod\n"), "{ran:?}");
}

#[tokio::test]
async fn a_certificate_that_is_none_is_told_by_its_variable() {
    let azure = Subscription::start("signing-in-not", &[]).await;
    certificate(&azure);
    for (file, without, expected) in [
        ("caller.pem", ["AZURE_TENANT_ID"].as_slice(), "set AZURE_CLIENT_ID and AZURE_TENANT_ID, too"),
        ("nowhere.pem", &[], "No such file"),
        ("certificate.pem", &[], "it is no certificate with its RSA key"),
    ] {
        let ran = look(&azure, file, without).await;
        let told = format!("AZURE_CLIENT_CERTIFICATE_PATH={file}: {expected}");
        assert!(ran.code == 2 && ran.err.contains(&told) && ran.err.lines().count() == 1, "{ran:?}");
    }
}
