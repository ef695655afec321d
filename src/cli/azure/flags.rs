//! Flags that the commands which change Azure have in common, and the way there.

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
};

use anyhow::{Result, anyhow};

use crate::{
    arm::Arm,
    azure::Access,
    cli::{answer::OutputFormat, environment, output::Folder, report},
    clouds,
    names::is_uuid,
    provision::{BadName, Mark, Tags},
};

/// Which Azure.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct Where {
    /// The subscription, by its id.
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(in crate::cli) subscription_id: String,

    /// The cloud.
    #[arg(long, value_name = "CLOUD", value_parser = clouds::NAMES, default_value = clouds::NAMES[0])]
    pub(in crate::cli) cloud: String,
}

/// What names are made of, and what is tagged.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Naming {
    /// The name of the cluster: names that are not given below are made of it, and what is made is marked with it, so that `delete` finds it.
    #[arg(long, value_name = "NAME")]
    pub(super) name: String,

    /// The region of everything that is made, such as westeurope.
    #[arg(long, value_name = "REGION")]
    pub(super) region: String,

    /// The resource group of issuer and identities; NAME-oidc without it.
    #[arg(long, value_name = "NAME")]
    pub(super) oidc_resource_group_name: Option<String>,

    /// Tags of everything that can have them.
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = tag)]
    pub(super) user_tags: Vec<(String, String)>,
}

/// What is done, and how it is told.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct How {
    /// Folder for the files, which is made if it is missing; the current one without it.
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub(super) output_dir: PathBuf,

    /// Show what would be made: with `client`, or no value, without asking Azure for anything, and the files are written; with
    /// `server` beside what is there, each thing with what would become of it, and no file is written.
    #[arg(long, value_name = "HOW", value_enum, default_value_t = DryRun::None, default_missing_value = "client", num_args = 0..=1, require_equals = true)]
    pub(super) dry_run: DryRun,

    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    pub(super) output: OutputFormat,
}

/// As kubectl spells it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(super) enum DryRun {
    None,
    Client,
    Server,
}

impl How {
    /// The folder of the files.
    pub(super) fn folder(&self, subfolders: &[&str]) -> Result<Folder> {
        if self.dry_run == DryRun::Server {
            Folder::rehearse(&self.output_dir, subfolders)
        } else {
            Folder::take(&self.output_dir, subfolders)
        }
    }
}

impl Where {
    /// To look, or to change what is there.
    pub(super) fn reach_for(&self, dry_run: DryRun) -> Result<Arm> {
        let arm = self.reach()?;
        Ok(if dry_run == DryRun::Server { arm.rehearsing() } else { arm })
    }

    pub(in crate::cli) fn reach(&self) -> Result<Arm> {
        let arm = Arm::new(&Access::of(environment::variable), &self.cloud, &self.subscription_id)?;
        // Whoever looks on sees what is waited for.
        let watched = io::stderr().is_terminal();
        Ok(if watched { arm.telling(|words| report::progress(&first_line(words))) } else { arm })
    }
}

fn first_line(words: &str) -> String {
    const MOST: usize = 300;
    words.chars().take_while(|character| !character.is_control()).take(MOST).chain(" …".chars()).collect()
}

/// All names that Azure could not have.
pub(super) fn refused(bad: &[BadName]) -> anyhow::Error {
    anyhow!("{}", bad.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// What talks to Azure waits for it, on a thread of its own.
pub(in crate::cli) fn block_on<T>(work: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(|error| anyhow!("cannot start: {error}"))?.block_on(work);
    report::clear_progress();
    Ok(done)
}

pub(super) fn id(value: &str) -> Result<String, String> {
    if is_uuid(value) { Ok(value.to_ascii_lowercase()) } else { Err("it must be a UUID".to_owned()) }
}

/// `key=value`, as often as wanted; ours is not theirs.
/// <https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources#limitations>
pub(super) fn tags(pairs: &[(String, String)], mark: &Mark) -> Result<Tags> {
    let mut tags = Tags::new();
    for (key, value) in pairs {
        if tags.keys().chain([&mark.tag().0]).any(|known| known.eq_ignore_ascii_case(key)) {
            return Err(anyhow!("--user-tags: {key:?} is given twice, or is the tag that says what may be deleted"));
        }
        tags.insert(key.clone(), value.clone());
    }
    if tags.len() > MOST_TAGS { Err(anyhow!("--user-tags: Azure takes {MOST_TAGS} beside ours")) } else { Ok(tags) }
}

const MOST_TAGS: usize = 49;

pub(super) fn tag(pair: &str) -> Result<(String, String), String> {
    let (key, value) = pair.split_once('=').ok_or("it must be KEY=VALUE")?;
    if key.is_empty() || key.len() > 128 || key.contains(['<', '>', '%', '&', '\\', '?', '/']) {
        return Err(
            "a key must be 1 to 128 characters without <>%&\\?/, which is what storage accounts take".to_owned()
        );
    }
    if value.len() > 256 {
        Err("a value has at most 256 characters".to_owned())
    } else {
        Ok((key.to_owned(), value.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_azure_would_not_take_are_refused() {
        assert_eq!(tag("team=a=b"), Ok(("team".to_owned(), "a=b".to_owned())));
        for bad in ["team", "=a", "te/am=a"] {
            assert!(tag(bad).is_err(), "{bad}");
        }
        let mark = Mark::of("prod");
        let pair = |key: &str| (key.to_owned(), "a".to_owned());
        assert_eq!(tags(&[pair("a"), pair("b")], &mark).unwrap().len(), 2);
        assert!(tags(&[pair("a"), pair("A")], &mark).is_err());
        assert!(tags(&[(mark.tag().0, "owned".to_owned())], &mark).is_err());
    }
}
