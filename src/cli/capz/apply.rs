//! `hcp-identity capz apply`.

use std::{
    io::{self, Write},
    sync::Arc,
};

use anyhow::{Result, bail};
use kube::Client;
use serde::Serialize;

use super::{
    request::{Flags, KeyPair},
    yaml,
};
use crate::{
    arm,
    capz::{Plan, Request, pair_secret, plan},
    cli::{
        CommandResult, Outcome,
        answer::{OutputFormat, print},
        azure::Where,
        cluster_command::with_client,
        report::{self, Form, Report, To},
        target::TargetArgs,
    },
    clouds,
    cluster::capz::{Conflict, Conflicts, Manifest, NotApplied, Write as Written, apply},
    credential::Secret,
    finding::{FieldPath, Finding, ObjectRef, Place, Problem, Reason},
    provision::FederatedIdentity,
};

/// Apply what a management cluster needs to sign in to Azure.
///
/// Of what `capz plan` prints, the AzureClusterIdentity and the Secret of the key pair are applied to the cluster, server-side,
/// and with --federate the two federated credentials are made in Azure. The rest is made by others: the key pair by openssl or
/// `azure create-key-pair`, the issuer by `azure create-oidc-issuer`, identities and roles by az. A field that somebody else has
/// set otherwise is not taken from them. Everything is rehearsed first: where anything is refused, nothing is written, and all
/// that is wrong is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hcp-identity capz apply --cluster-name prod --private-key sa.key --public-key sa.pub \\
    --issuer https://oidc.example.com/prod/ \\
    --tenant-id 99999999-2222-4333-8444-555555555555 \\
    --client-id 2f6e0f2a-7c33-4b0a-9c27-0d3b1e5a4c11 --dry-run=server -o json |
    jq -r '.steps[] | select(.change != \"unchanged\").name'")]
pub(super) struct Args {
    #[command(flatten)]
    flags: Flags,

    /// With `server`, everything is done but writing.
    #[arg(long, value_name = "HOW", value_enum, default_value_t = DryRun::None, default_missing_value = "server", num_args = 0..=1, require_equals = true)]
    dry_run: DryRun,

    /// First give the identity of --client-id its two federated credentials, in Azure: it has to be a managed identity of
    /// --subscription-id, and the caller signs in as for `azure create-oidc-issuer`.
    #[arg(long, requires = "subscription_id", requires = "client_id")]
    federate: bool,

    /// The cloud of the identity, for --federate.
    #[arg(long, value_name = "CLOUD", value_parser = clouds::NAMES, default_value = clouds::NAMES[0], requires = "federate")]
    cloud: String,

    /// Take fields from whoever has set them otherwise.
    #[arg(long)]
    force_conflicts: bool,

    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,

    #[command(flatten)]
    target: TargetArgs,
}

/// As kubectl spells it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum DryRun {
    None,
    Server,
}

#[derive(Default, Serialize)]
struct Answer {
    steps: Vec<Step>,
    findings: Vec<Finding>,
}

/// What became of one thing that has to exist.
#[derive(Serialize)]
struct Step {
    change: &'static str,
    #[serde(flatten)]
    object: ObjectRef,
}

pub(super) fn run(args: &Args) -> CommandResult {
    let (request, pair) = args.flags.read()?;
    let plan = plan(&request)?;
    let manifests = manifests(&request, &plan, pair.as_ref())?;
    let federated = request.federated(&plan).filter(|_| args.federate);
    if args.federate && federated.is_none() {
        bail!("--federate is for another --identity-type: only WorkloadIdentity has federated credentials");
    }
    let conflicts = if args.force_conflicts { Conflicts::Taken } else { Conflicts::Refused };
    let mut answer = Answer::default();
    let applied = with_client(&args.target, async |client| {
        answer.each(&client, &manifests, Written::Rehearsed, conflicts).await?;
        let rehearsed = std::mem::take(&mut answer.steps);
        if answer.findings.is_empty()
            && let Some(identity) = federated
        {
            answer.federate(&identity, args, &request).await?;
        }
        if args.dry_run == DryRun::Server {
            answer.steps.extend(rehearsed);
            return Ok(());
        }
        if answer.findings.is_empty() {
            answer.each(&client, &manifests, Written::Really, conflicts).await?;
        }
        Ok(())
    });
    // Also where the cluster was lost half-way: what was done until then is done.
    let outcome = answer.tell(args)?;
    applied.map(|()| outcome)
}

/// What is applied, in the order in which it is needed.
fn manifests(request: &Request, plan: &Plan, pair: Option<&KeyPair>) -> Result<Vec<Manifest>> {
    let Some(identity) = &plan.azure_cluster_identity else {
        bail!("the AzureClusterIdentity needs --client-id: the client id of the identity that CAPZ signs in as");
    };
    let namespace = request.namespace.to_string();
    let mut manifests = Vec::new();
    if let Some(tokens) = &plan.tokens {
        let name = tokens.secret.name.clone();
        match pair {
            Some(pair) => manifests.push(Manifest {
                object: ObjectRef { kind: "Secret".to_owned(), namespace: namespace.clone(), name },
                version: "api/v1",
                plural: "secrets",
                text: pair_secret(request, &pair.private, pair.public.expose())?,
            }),
            None => report::note(&format!("the Secret {name} is left out: it needs --private-key and --public-key")),
        }
    }
    let kind = "AzureClusterIdentity".to_owned();
    manifests.push(Manifest {
        object: ObjectRef { kind, namespace, name: request.identity_name.to_string() },
        version: "apis/infrastructure.cluster.x-k8s.io/v1beta1",
        plural: "azureclusteridentities",
        text: Secret::new(yaml(identity)?),
    });
    Ok(manifests)
}

impl Answer {
    /// Applies one after the other. What is refused is told of all of them; no answer ends it.
    async fn each(
        &mut self,
        client: &Client,
        manifests: &[Manifest],
        write: Written,
        conflicts: Conflicts,
    ) -> Result<()> {
        for manifest in manifests {
            let object = manifest.object.clone();
            match apply(client, manifest, write, conflicts).await {
                Ok(change) => self.steps.push(Step { change: change.into(), object }),
                Err(NotApplied::Conflicts(conflicts)) => {
                    self.findings.extend(conflicts.iter().map(|conflict| finding(&object, owned(conflict))));
                }
                Err(NotApplied::Refused(why)) => self.findings.push(finding(&object, refused(why))),
                Err(NotApplied::Failed(why)) => bail!("{object}: {why}"),
            }
        }
        Ok(())
    }

    /// What Azure has to know, before a pod asks it.
    async fn federate(&mut self, identity: &FederatedIdentity, args: &Args, request: &Request) -> Result<()> {
        let kind = "FederatedIdentityCredential";
        let step = |change, name: String| Step {
            change,
            object: ObjectRef { kind: kind.to_owned(), namespace: String::new(), name },
        };
        if args.dry_run == DryRun::Server {
            let planned = identity.federated_credentials.iter();
            self.steps.extend(planned.map(|credential| step("planned", credential.name.clone())));
            return Ok(());
        }
        let subscription_id = request.subscription.as_ref().map(ToString::to_string).unwrap_or_default();
        let arm = Where { subscription_id, cloud: args.cloud.clone() }.reach()?;
        let steps = &mut self.steps;
        let mut see = |change: arm::Change, what: String| {
            steps.push(step(change.into(), what.trim_start_matches("federated credential ").to_owned()));
        };
        Ok(arm.apply_credentials(std::slice::from_ref(identity), &mut see).await?)
    }

    fn tell(&self, args: &Args) -> CommandResult {
        if args.output == OutputFormat::Text {
            let mut report = Report::new(Form::Text, To::Stderr);
            self.findings.iter().for_each(|finding| report.add(finding));
            report.finish()?;
        }
        print(self, args.output, |out, answer| text(out, answer, args.dry_run))?;
        Ok(if self.findings.is_empty() { Outcome::Done } else { Outcome::Findings })
    }
}

fn finding(object: &ObjectRef, problem: Problem) -> Finding {
    Finding { place: Place::within(&Arc::from("cluster")), object: Some(object.clone()), problem }
}

fn owned(conflict: &Conflict) -> Problem {
    let field = field(conflict.field.trim_start_matches('.'));
    let message = format!("belongs to {:?}, which has set it otherwise", conflict.manager);
    let remedy = "correct it where that manager has it from, or take the field over with --force-conflicts";
    Problem::error(Reason::OwnedByAnother, field, message, remedy)
}

/// The API server joins keys by dots, and those of maps may have some.
fn field(joined: &str) -> FieldPath {
    let of_map = |map: &&str| Some(FieldPath::of(map).key(joined.strip_prefix(*map)?.strip_prefix('.')?));
    let of_maps = ["metadata.labels", "metadata.annotations", "data"].iter().find_map(of_map);
    of_maps.unwrap_or_else(|| FieldPath::of(joined))
}

fn refused(why: String) -> Problem {
    let remedy = "correct what it says; `hcp-identity capz check` tells what else is wrong";
    Problem::error(Reason::RefusedByCluster, FieldPath::root(), why, remedy)
}

fn text(out: &mut dyn Write, answer: &Answer, dry_run: DryRun) -> io::Result<()> {
    let rehearsed = if dry_run == DryRun::Server { " (dry run)" } else { "" };
    for Step { change, object } in &answer.steps {
        writeln!(out, "{change}: {object}{rehearsed}")?;
    }
    Ok(())
}
