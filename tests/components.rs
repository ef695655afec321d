//! docs/components.md is the table of the code.

#![allow(clippy::expect_used, reason = "these are parts of tests")]

mod support;

use std::fmt::Write as _;

use hcp_identity::component::{COMPONENTS, EnvValue, Place, Presence, TOKEN_FOLDER, Token};

fn told(place: Place) -> String {
    match place {
        Place::Environment => "environment".to_owned(),
        Place::Config(name, _) | Place::Keys(name, _) => format!("Secret `{name}`"),
        Place::ServiceAccount(name, _) => format!("ServiceAccount `{name}`"),
    }
}

fn document() -> String {
    let mut text = String::from(
        "# Components and their wiring\n\n\
         Generated from `src/component/mod.rs` by `cargo xtask bless`; sources of the facts stand there.\n\n\
         A pod belongs to a row if it is in the control plane namespace of a HostedCluster that names the identity, has the row's\n\
         label `app` and the row's container. Names of workloads do not count, and init containers are never wired. What is missing\n\
         is appended at the end of its list; nothing else is touched. `<secret>` is the identity's `credentialsSecretName`.\n\n\
         | component | identity | SecretProviderClass |\n|---|---|---|\n",
    );
    for component in &COMPONENTS {
        let field = component.field.rsplit_once("controlPlane.").map_or(component.field, |(_, name)| name);
        writeln!(text, "| {} | `{field}` | `{}` |", component.id, component.class).expect("a string");
    }
    text += "\nIdentities without a path stand in `spec.platform.azure.azureAuthenticationConfig.managedIdentities.controlPlane`.\n\n\
             | component | label `app` | container | volume | mounted at | environment |\n|---|---|---|---|---|---|\n";
    for component in &COMPONENTS {
        for pod in component.pods {
            let containers: Vec<_> = pod
                .containers
                .iter()
                .map(|container| match container.presence {
                    Presence::Required => format!("`{}`", container.name),
                    Presence::IfPresent => format!("`{}` if there", container.name),
                })
                .collect();
            let (volume, path) = pod
                .mount
                .as_ref()
                .map_or_else(Default::default, |mount| (format!("`{}`", mount.volume), format!("`{}`", mount.path)));
            let env: Vec<_> = pod
                .env
                .iter()
                .map(|env| {
                    let value = match env.value {
                        EnvValue::ProviderClass => component.class.to_owned(),
                        EnvValue::SecretName => "<secret>".to_owned(),
                        EnvValue::CredentialPath => {
                            format!("{}/<secret>", pod.mount.as_ref().map_or("", |mount| mount.path))
                        }
                    };
                    format!("`{}={value}`", env.name)
                })
                .collect();
            let (containers, env) = (containers.join(", "), env.join(" "));
            writeln!(text, "| {} | `{}` | {containers} | {volume} | {path} | {env} |", component.id, pod.app)
                .expect("a string");
        }
    }
    text += "\nWhere a HostedCluster has workload identities, HyperShift's operators give these to the first pod of each row, and hcp-identity\n\
             looks at them ([azure.md](azure.md#what-the-daemon-looks-at)):\n\n\
             | component | container that mints its tokens | volume | as whom it signs in is told by | which is mounted at |\n|---|---|---|---|---|\n";
    for component in &COMPONENTS {
        let Token { minter, volume, told_by, secret_folder, .. } = component.federated.token;
        let told: Vec<_> = told_by.iter().map(|place| told(*place)).collect();
        let told = told.join(", ");
        let folder = secret_folder.map(|folder| format!("`{folder}`")).unwrap_or_default();
        writeln!(text, "| {} | `{minter}` | `{volume}` | {told} | {folder} |", component.id).expect("a string");
    }
    writeln!(text, "\nWho signs in mounts the volume at `{TOKEN_FOLDER}`.").expect("a string");
    text += "\nEvery volume is `csi: {driver: secrets-store.csi.k8s.io, readOnly: true, volumeAttributes: {secretProviderClass: …}}` and\n\
             every mount is read-only. cluster-network-operator and cluster-storage-operator mount nothing: with these variables they\n\
             wire the pods that they deploy themselves. cloud-provider, disk, file and kms learn the path of their credential from\n\
             `cloud.conf` Secrets (`aadMSIDataPlaneIdentityPath`), which hcp-identity neither reads nor writes.\n";
    text
}

#[test]
fn the_documentation_is_the_table() {
    support::golden(&support::testdata("../docs/components.md"), &document());
}
