//! Documents that anybody may read, as whoever verifies tokens asks for them.

use anyhow::{Context as _, Result};

use crate::{
    azure::{Access, public_document},
    capz::{Answer, Asked},
};

pub(super) struct Internet(reqwest::Client);

impl Internet {
    pub(super) fn new() -> Result<Self> {
        Access::default().http().map(Self).context("cannot set up HTTPS")
    }

    pub(super) async fn ask(&self, url: &str) -> Asked {
        let (status, body) = public_document(&self.0, url).await?;
        Ok(Answer { status, body })
    }
}
