//! Starts a golden case from the valid world, to be broken by a line.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

const WORLD: &str = "render/a-hosted-cluster-with-all-nine-identities/input.yaml";

pub(crate) fn create(area: &str, name: &str) -> Result<()> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    if !testdata.join(area).is_dir() {
        bail!("testdata has no area {area:?}");
    }
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        bail!("the name of a case is a sentence in lower case with hyphens, not {name:?}");
    }
    let case = testdata.join(area).join(name);
    fs::create_dir(&case).with_context(|| format!("cannot create {}", case.display()))?;
    fs::copy(testdata.join(WORLD), case.join("input.yaml")).context("cannot copy the valid HostedCluster")?;
    Ok(())
}
