//! "Offline" as a fact of the dependency graph: without features, nothing in it can open a connection, and the wire
//! types depend on nothing but serialisation.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// What the core must not contain: runtimes, clients, TLS. A name ending in `*` stands for a prefix.
const FORBIDDEN: [&str; 20] = [
    "async-std",
    "aws-lc-*",
    "axum",
    "azure_*",
    "curl",
    "h2",
    "hyper*",
    "kube",
    "kube-client",
    "kube-runtime",
    "mio",
    "native-tls",
    "openssl*",
    "reqwest",
    "ring",
    "rustls*",
    "socket2",
    "tokio*",
    "typespec*",
    "ureq",
];

pub(crate) fn check() -> Result<()> {
    for package in ["hcp-identity", "hcp-identity-api"] {
        let found = forbidden(&dependencies(package)?);
        if !found.is_empty() {
            bail!(
                "{package} without features depends on {}; `cargo tree -p {package} --no-default-features -i CRATE` says why",
                found.join(", ")
            );
        }
    }
    Ok(())
}

fn dependencies(package: &str) -> Result<Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--package", package, "--no-default-features", "--edges", "normal,build"])
        .args(["--target", "all", "--prefix", "none", "--format", "{p}"])
        .output()
        .context("cannot run cargo tree")?;
    if !output.status.success() {
        bail!("cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    }
    let tree = String::from_utf8(output.stdout)?;
    let names: Vec<_> = tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    // A tree without serde is no tree of ours: the check would be passing on nothing.
    if !names.iter().any(|name| name == "serde") {
        bail!("cargo tree printed no dependencies of {package}");
    }
    Ok(names)
}

fn forbidden(names: &[String]) -> Vec<String> {
    let matches = |name: &str| {
        FORBIDDEN.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == *pattern,
        })
    };
    let mut found: Vec<_> = names.iter().filter(|name| matches(name)).cloned().collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::forbidden;

    #[test]
    fn clients_and_runtimes_are_seen_and_the_rest_is_not() {
        let names = ["serde", "tokio", "hyper-util", "azure_core", "kube-core", "http"].map(str::to_owned);
        assert_eq!(forbidden(&names), ["azure_core", "hyper-util", "tokio"]);
    }
}
