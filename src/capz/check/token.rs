//! The token of a manager's service account, for Entra: whether it is mounted, where the manager reads it, and how long it lasts.

use super::{items, manager::Who};
use crate::{
    capz::plan::AUDIENCE,
    finding::{FieldPath, Problem, Reason, Severity},
    manifest::{Content, Node},
};

/// Where CAPZ looks without a word of the environment: `azure/scope/identity.go`.
const FILE_OF_CAPZ: &str = "/var/run/secrets/azure/tokens/azure-identity-token";
/// Where the Azure Service Operator looks, whatever the environment says: `internal/identity/credential_provider.go`.
const FILE_OF_ASO: &str = "/var/run/secrets/tokens/azure-identity";
const FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const WEBHOOK: &str = "azure.workload.identity/use";

pub(super) const HOUR: i64 = 3600;
/// What Entra's refusal names as the most.
pub(super) const MOST_HOURS: i64 = 25;
/// Up to which nobody has seen a refusal.
pub(super) const DAY_HOURS: i64 = 24;

/// A projected token of a service account that the container has a file of.
struct Mounted<'n> {
    field: FieldPath,
    source: &'n Node,
    audience: &'n str,
    file: String,
}

/// What keeps a manager from signing in with a token, all of it.
pub(super) fn problems(who: Who, template: &Node, manager: &Node) -> Vec<Problem> {
    let tokens = mounted(template, manager);
    let of_entra: Vec<_> = tokens.iter().filter(|token| token.audience == AUDIENCE).collect();
    let wanted = wanted(who, manager);
    let there = of_entra.iter().find(|token| wanted.is_none_or(|wanted| token.file == wanted));
    if let Some(token) = there {
        return lifetime(token).into_iter().collect();
    }
    let not_there = match (of_entra.first(), wanted) {
        (Some(token), Some(wanted)) => elsewhere(who, token, wanted),
        _ => missing(tokens.first()),
    };
    let not_there = if is_asked_for(template) { by_webhook(not_there) } else { not_there };
    std::iter::once(not_there).chain(of_entra.first().and_then(|token| lifetime(token))).collect()
}

/// The tokens that are mounted into the container as a folder: a file that is mounted by `subPath` is never renewed.
fn mounted<'n>(template: &'n Node, manager: &'n Node) -> Vec<Mounted<'n>> {
    let mounts: Vec<_> = items(manager.get("volumeMounts"))
        .filter(|mount| ["subPath", "subPathExpr"].iter().all(|part| mount.text(part).unwrap_or_default().is_empty()))
        .collect();
    let mut tokens = Vec::new();
    for (index, volume) in items(super::at(template, "spec.volumes")).enumerate() {
        let Some(mount) =
            mounts.iter().find(|mount| mount.text("name").is_some_and(|of| volume.text("name") == Some(of)))
        else {
            continue;
        };
        let folder = mount.text("mountPath").unwrap_or_default().trim_end_matches('/');
        let field = volumes().index(index).key("projected").key("sources");
        for (index, source) in items(super::at(volume, "projected.sources")).enumerate() {
            let Some(source) = source.get("serviceAccountToken") else { continue };
            // The one without an audience is the API server's.
            let Some(audience) = source.text("audience") else { continue };
            let file = format!("{folder}/{}", source.text("path").unwrap_or_default());
            tokens.push(Mounted { field: field.index(index).key("serviceAccountToken"), source, audience, file });
        }
    }
    tokens
}

fn volumes() -> FieldPath {
    FieldPath::of("spec.template.spec.volumes")
}

/// The file that the manager reads; none where the manifest does not tell.
fn wanted(who: Who, manager: &Node) -> Option<&str> {
    if who == Who::Aso {
        return Some(FILE_OF_ASO);
    }
    let Some(variable) = items(manager.get("env")).find(|variable| variable.text("name") == Some(FILE)) else {
        return Some(FILE_OF_CAPZ);
    };
    if variable.get("valueFrom").is_some_and(|from| !from.is_null()) {
        return None;
    }
    match variable.text("value").map(str::trim) {
        None | Some("") => Some(FILE_OF_CAPZ),
        Some(value) => Some(value).filter(|value| !value.contains("$(")),
    }
}

fn elsewhere(who: Who, token: &Mounted<'_>, wanted: &str) -> Problem {
    let message = format!("its token for Entra is not in the file that it reads, which is {wanted}");
    let remedy = match who {
        Who::Aso => format!("mount it there: the Azure Service Operator reads no other file, whatever {FILE} says"),
        _ => format!("mount it there, or name its file in {FILE} of the container `manager`"),
    };
    Problem::error(Reason::TokenNotMounted, token.field.key("path"), message, remedy).with_value(&*token.file)
}

fn missing(of_another_audience: Option<&Mounted<'_>>) -> Problem {
    let remedy =
        format!("mount a projected serviceAccountToken of the audience {AUDIENCE} into the container `manager`");
    let error = |message| Problem::error(Reason::TokenNotMounted, volumes(), message, remedy);
    match of_another_audience {
        Some(token) => error("has no token for Entra: the audience is another one, and is compared exactly")
            .with_value(token.audience),
        None => error("has no token for Entra, and an identity of type WorkloadIdentity signs in with it"),
    }
}

/// `clusterctl init` sets the label on CAPZ, and installs no webhook.
fn is_asked_for(template: &Node) -> bool {
    let labels = template.get("metadata").and_then(|metadata| metadata.get("labels"));
    labels.and_then(|labels| labels.text(WEBHOOK)) == Some("true")
}

fn by_webhook(problem: Problem) -> Problem {
    let message =
        format!("{}; only azure-workload-identity's webhook, which its label asks for, would add one", problem.message);
    Problem { severity: Severity::Warning, message, ..problem }
}

fn lifetime(token: &Mounted<'_>) -> Option<Problem> {
    const SECONDS: &str = "expirationSeconds";
    let Content::Int(seconds) = token.source.get(SECONDS)?.content else { return None };
    let field = token.field.key(SECONDS);
    let remedy = format!("write {HOUR}: the kubelet renews the token before it ends");
    let problem = if seconds > MOST_HOURS * HOUR {
        let message =
            format!("is more than {MOST_HOURS} hours, and Entra takes no token that lives longer (AADSTS70023)");
        Problem::error(Reason::TokenLifetimeTooLong, field, message, remedy)
    } else if seconds > DAY_HOURS * HOUR {
        let message = format!("is more than a day: beyond {MOST_HOURS} hours Entra refuses the token (AADSTS70023)");
        Problem::warning(Reason::TokenLifetimeTooLong, field, message, remedy)
    } else {
        return None;
    };
    Some(problem.with_value(seconds.to_string()))
}
