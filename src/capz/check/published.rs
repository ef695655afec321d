//! The tokens of a cluster that runs: what its API server says of them, held against what anybody gets from their issuer.

use std::sync::Arc;

use serde_json::Value;

use super::{Claims, together::difference};
use crate::{
    finding::{FieldPath, Finding, Place, Problem, Reason},
    provision::{Issuer, KeySet},
};

/// What a URL answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Or why there is no answer.
pub type Asked = Result<Answer, String>;

/// What is known of how the cluster signs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Signing {
    /// The id of the key pair that it is to sign with.
    pub pair: Option<String>,
    /// What its tokens say.
    pub tokens: Vec<Claims>,
}

impl Signing {
    fn keys(&self) -> Vec<&str> {
        self.tokens.iter().map(|token| &*token.key).collect()
    }
}

/// An API server has its documents where an issuer has them.
const DISCOVERY: &str = Issuer::DISCOVERY;
const KEYS: &str = Issuer::KEYS;

/// Holds the issuer of a cluster's tokens against that of the federated credentials, which is the same one where it is not
/// known, and the cluster's keys against those that are published. `own` asks the API server; `published`, whoever a URL
/// names, as nobody. The cluster's issuer is returned as well.
///
/// # Errors
/// What asking the API server fails with.
pub async fn tokens<E>(
    cluster: &Arc<str>,
    expected: Option<&str>,
    signing: &Signing,
    own: impl AsyncFn(&str) -> Result<Answer, E>,
    published: impl AsyncFn(&str) -> Asked,
) -> Result<(Option<String>, Vec<Finding>), E> {
    let mut findings = Vec::new();
    let mut known = |problem: Problem| findings.push(at(cluster, problem));
    let of_cluster = own_issuer(own(DISCOVERY).await?).map_err(&mut known).ok();
    let own_keys = own_keys(own(KEYS).await?).map_err(&mut known).unwrap_or_default();
    if let Some(problem) = other_pair(signing, &own_keys) {
        known(problem);
    }
    if let (Some(own), Some(expected)) =
        (&of_cluster, expected.filter(|expected| of_cluster.as_deref() != Some(expected)))
    {
        known(other_issuer(own, expected));
    }
    let wanted = expected.or(of_cluster.as_deref());
    findings.extend(signing.tokens.iter().flat_map(|token| token.findings(cluster, wanted, of_cluster.as_deref())));
    if let Some(issuer) = wanted {
        findings.extend(of_published(issuer, &own_keys, signing, published).await);
    }
    Ok((of_cluster, findings))
}

fn at(source: &str, problem: Problem) -> Finding {
    Finding { place: Place::within(&source.into()), object: None, problem }
}

fn error(reason: Reason, field: &str, message: impl Into<String>, remedy: &str) -> Problem {
    Problem::error(reason, FieldPath::of(field), message, remedy)
}

fn own_issuer(answer: Answer) -> Result<String, Problem> {
    const REMEDY: &str = "give the API server an issuer that Entra can reach: an https URL (--service-account-issuer)";
    if answer.status == 404 {
        return Err(error(Reason::IssuerMissing, "issuer", "the API server has no discovery document", REMEDY));
    }
    let document = own_document(DISCOVERY, answer)?;
    let issuer = json(&document).and_then(|document| document.get("issuer")?.as_str().map(str::to_owned));
    issuer.ok_or_else(|| error(Reason::IssuerMissing, "issuer", "the API server names no issuer", REMEDY))
}

/// The ids of the keys that the cluster takes tokens of.
fn own_keys(answer: Answer) -> Result<Vec<String>, Problem> {
    let document = own_document(KEYS, answer)?;
    let keys = KeySet::read(&document).map_err(|why| not_looked_at(&format!("/{KEYS} of the API server {why}")))?;
    Ok(keys.ids().into_iter().map(str::to_owned).collect())
}

fn own_document(path: &str, answer: Answer) -> Result<Vec<u8>, Problem> {
    match answer {
        Answer { status: 200, body } => Ok(body),
        Answer { status, .. } => Err(not_looked_at(&format!("/{path}: the API server answers {status}"))),
    }
}

fn not_looked_at(message: &str) -> Problem {
    let remedy = "ask as somebody who may: the ClusterRole system:service-account-issuer-discovery allows it";
    Problem::warning(Reason::NotLookedAt, FieldPath::root(), message, remedy)
}

fn other_issuer(own: &str, expected: &str) -> Problem {
    let message = format!(
        "the cluster signs tokens as another issuer than {expected:?}{}: Entra compares byte for byte (AADSTS700211)",
        difference(own, expected)
    );
    let remedy =
        "give the API server the issuer of the federated credentials, or make federated credentials of this one";
    error(Reason::IssuerMismatch, "issuer", message, remedy).with_value(own)
}

/// What is wrong with the documents of an issuer, as Entra gets them, and which keys of a cluster they lack.
pub async fn of_published(
    issuer: &str,
    own_keys: &[String],
    signing: &Signing,
    published: impl AsyncFn(&str) -> Asked,
) -> Vec<Finding> {
    let Ok(url) = Issuer::new(issuer).map(|issuer| issuer.below(DISCOVERY)) else {
        return vec![at(issuer, unreachable("is no https URL without user, query and fragment"))];
    };
    let (keys_url, problem) = match discovery(issuer, published(&url).await) {
        Ok(found) => found,
        Err(problem) => return vec![at(&url, problem)],
    };
    let mut findings: Vec<_> = problem.map(|problem| at(&url, problem)).into_iter().collect();
    let problems = match key_ids(published(&keys_url).await) {
        Ok(ids) => not_published(own_keys, signing, &ids),
        Err(problem) => vec![problem],
    };
    findings.extend(problems.into_iter().map(|problem| at(&keys_url, problem)));
    findings
}

/// Where the keys are, and whether the document is that of another issuer.
fn discovery(issuer: &str, asked: Asked) -> Result<(String, Option<Problem>), Problem> {
    let document = json(&public(asked)?).ok_or_else(|| unreachable("answers no JSON"))?;
    let text = |field: &str| document.get(field).and_then(Value::as_str).unwrap_or_default();
    let keys = Some(text("jwks_uri")).filter(|url| Issuer::new(url).is_ok());
    let keys = keys.ok_or_else(|| unreachable("names no https URL in `jwks_uri`"))?;
    let found = text("issuer");
    let problem = (found != issuer).then(|| {
        let message =
            format!("is of another issuer than {issuer:?}{}: Entra compares byte for byte", difference(found, issuer));
        let remedy =
            "publish the document of this issuer, as `capz plan --output-dir` and `azure create-oidc-issuer` write it";
        error(Reason::IssuerMismatch, "issuer", message, remedy).with_value(found)
    });
    Ok((keys.to_owned(), problem))
}

fn key_ids(asked: Asked) -> Result<Vec<String>, Problem> {
    let keys = KeySet::read(&public(asked)?).map_err(|why| unreachable(&why.to_string()))?;
    Ok(keys.ids().into_iter().map(str::to_owned).collect())
}

/// What whoever asks gets, or nobody.
fn public(asked: Asked) -> Result<Vec<u8>, Problem> {
    match asked {
        Ok(Answer { status: 200, body }) => Ok(body),
        Ok(Answer { status, .. }) => {
            Err(unreachable(&format!("answers {status} to somebody without credentials, where Entra needs 200")))
        }
        Err(why) => Err(unreachable(&format!("cannot be read: {why}"))),
    }
}

fn unreachable(message: &str) -> Problem {
    let remedy = "publish the issuer's documents for everybody; of a static website Azure asks for nothing more (AADSTS90061, AADSTS50166)";
    error(Reason::IssuerUnreachable, "", message, remedy)
}

/// A pair that the cluster does not sign with. Without a token to look at, one of its keys may be that of the pair.
fn other_pair(signing: &Signing, own: &[String]) -> Option<Problem> {
    let pair = signing.pair.as_deref()?;
    let signs = signing.keys();
    let keys: Vec<&str> = if signs.is_empty() { own.iter().map(String::as_str).collect() } else { signs };
    if keys.is_empty() || keys.contains(&pair) {
        return None;
    }
    let message = format!("the cluster signs tokens with another key than that of --public-key, {pair}");
    let remedy =
        "give its API server the pair (--service-account-signing-key-file), or name the files of the one that it has";
    Some(error(Reason::SigningKeyMissing, "keys", message, remedy).with_value(keys.join(", ")))
}

/// What is signed with has to be published. Where that is not known, as an API server does not say which of its keys it is, it
/// is an error where it must be one that is missing.
fn not_published(own: &[String], signing: &Signing, published: &[String]) -> Vec<Problem> {
    const LACKS: &str = "lacks the key that signs the cluster's tokens: Entra takes none of them (AADSTS7000272)";
    let mut used: Vec<_> = signing.keys().into_iter().chain(signing.pair.as_deref()).collect();
    used.sort_unstable();
    used.dedup();
    let is_missing = |id: &str| !published.iter().any(|known| known == id);
    let missing: Vec<_> = own.iter().map(String::as_str).filter(|id| is_missing(id)).collect();
    let remedy = "publish the cluster's keys: add them to those that are published, which are those of tokens that still last (hcp-identity azure create-oidc-issuer)";
    let error = |message, id: &str| error(Reason::SigningKeyNotPublished, "keys", message, remedy).with_value(id);
    let used_and_missing: Vec<_> = used.iter().filter(|id| is_missing(id)).map(|id| error(LACKS, id)).collect();
    match missing.first() {
        None if [own, published].iter().all(|keys| keys.is_empty()) && used.is_empty() => {
            let message = "has no keys: Entra takes no token of this issuer (AADSTS7000272)";
            vec![Problem::error(Reason::SigningKeyNotPublished, FieldPath::of("keys"), message, remedy)]
        }
        _ if !used_and_missing.is_empty() => used_and_missing,
        Some(first) if missing.len() == own.len() => {
            vec![error("has no key of the cluster: Entra takes no token of it (AADSTS7000272)", first)]
        }
        Some(_) if signing.tokens.is_empty() => {
            let message =
                "lacks keys of the cluster: if one of them is the one that signs, Entra takes no token (AADSTS7000272)";
            let problem = Problem::warning(Reason::SigningKeyNotPublished, FieldPath::of("keys"), message, remedy);
            vec![problem.with_value(missing.join(", "))]
        }
        _ => Vec::new(),
    }
}

fn json(document: &[u8]) -> Option<Value> {
    serde_json::from_slice(document).ok()
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;
    use crate::finding::Severity;

    const ISSUER: &str = "https://oidc.example.com/prod/";
    const PUBLISHED: [&str; 2] = [
        "https://oidc.example.com/prod/.well-known/openid-configuration",
        "https://oidc.example.com/prod/openid/v1/jwks",
    ];

    /// What each URL answers: those of the API server without a host.
    struct World(BTreeMap<String, Asked>);

    fn keys(ids: &[&str]) -> String {
        serde_json::json!({"keys": ids.iter().map(|id| serde_json::json!({"kid": id})).collect::<Vec<_>>()}).to_string()
    }

    fn discovery(issuer: &str) -> String {
        serde_json::json!({"issuer": issuer, "jwks_uri": PUBLISHED[1]}).to_string()
    }

    impl World {
        fn new() -> Self {
            Self(BTreeMap::new())
                .with(DISCOVERY, 200, discovery(ISSUER))
                .with(KEYS, 200, keys(&["a"]))
                .with(PUBLISHED[0], 200, discovery(ISSUER))
                .with(PUBLISHED[1], 200, keys(&["a", "old"]))
        }

        fn with(mut self, url: &str, status: u16, body: impl Into<Vec<u8>>) -> Self {
            self.0.insert(url.to_owned(), Ok(Answer { status, body: body.into() }));
            self
        }

        fn ask(&self, url: &str) -> Asked {
            self.0.get(url).cloned().unwrap_or_else(|| Err("nobody is there".to_owned()))
        }

        fn look(&self, expected: Option<&str>) -> Vec<Finding> {
            self.look_with(expected, &Signing::default())
        }

        fn look_with(&self, expected: Option<&str>, signing: &Signing) -> Vec<Finding> {
            let cluster = Arc::from("cluster");
            let asked =
                pin!(tokens(&cluster, expected, signing, async |path| self.ask(path), async |url| self.ask(url)));
            match asked.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok((_, findings))) => findings,
                Poll::Ready(Err(_)) | Poll::Pending => Vec::new(),
            }
        }
    }

    #[test]
    fn a_cluster_whose_issuer_answers_has_nothing_wrong() {
        assert_eq!(World::new().look(Some(ISSUER)), []);
        assert_eq!(World::new().look(None), []);
        let rotated = World::new().with(KEYS, 200, keys(&["old", "a"]));
        assert_eq!(rotated.look(None), []);
    }

    #[test]
    fn each_thing_that_keeps_entra_from_a_token_is_told_where_it_is() {
        use Reason::{IssuerMismatch, IssuerMissing, IssuerUnreachable, NotLookedAt, SigningKeyNotPublished};
        use Severity::{Error, Warning};
        let without_slash = "https://oidc.example.com/prod";
        let [discovery_url, keys_url] = PUBLISHED;
        for (world, found) in [
            (World::new().with(DISCOVERY, 404, ""), (Error, IssuerMissing, "cluster")),
            (World::new().with(DISCOVERY, 200, "{}"), (Error, IssuerMissing, "cluster")),
            (World::new().with(DISCOVERY, 403, ""), (Warning, NotLookedAt, "cluster")),
            (World::new().with(KEYS, 403, ""), (Warning, NotLookedAt, "cluster")),
            (World::new().with(KEYS, 200, "[]"), (Warning, NotLookedAt, "cluster")),
            (World::new().with(DISCOVERY, 200, discovery(without_slash)), (Error, IssuerMismatch, "cluster")),
            (World::new().with(PUBLISHED[0], 200, discovery(without_slash)), (Error, IssuerMismatch, discovery_url)),
            (World::new().with(PUBLISHED[0], 409, ""), (Error, IssuerUnreachable, discovery_url)),
            (World::new().with(PUBLISHED[0], 200, "<html>"), (Error, IssuerUnreachable, discovery_url)),
            (
                World::new().with(PUBLISHED[0], 200, "{\"jwks_uri\": \"http://x\"}"),
                (Error, IssuerUnreachable, discovery_url),
            ),
            (World::new().with(PUBLISHED[1], 404, ""), (Error, IssuerUnreachable, keys_url)),
            (World::new().with(PUBLISHED[1], 200, "{}"), (Error, IssuerUnreachable, keys_url)),
            (World::new().with(PUBLISHED[1], 200, keys(&["old"])), (Error, SigningKeyNotPublished, keys_url)),
            (World::new().with(KEYS, 200, keys(&["a", "b"])), (Warning, SigningKeyNotPublished, keys_url)),
        ] {
            let findings = world.look(Some(ISSUER));
            let told: Vec<_> = findings
                .iter()
                .map(|finding| (finding.problem.severity, finding.problem.reason, &*finding.place.source))
                .collect();
            assert_eq!(told, [found], "{findings:?}");
        }
    }

    /// Of a cluster whose API server is not asked.
    #[test]
    fn an_issuer_without_a_key_is_of_no_use_to_anybody() {
        for (ids, found) in [(&["a"][..], None), (&[], Some(Reason::SigningKeyNotPublished))] {
            let world = World::new().with(PUBLISHED[1], 200, keys(ids));
            let signing = Signing::default();
            let asked = pin!(of_published(ISSUER, &[], &signing, async |url| world.ask(url)));
            let Poll::Ready(findings) = asked.poll(&mut Context::from_waker(Waker::noop())) else { panic!("pending") };
            assert_eq!(findings.first().map(|finding| finding.problem.reason), found, "{findings:?}");
        }
    }

    #[test]
    fn the_key_of_the_pair_is_the_one_that_signs_and_is_published() {
        use Reason::{SigningKeyMissing, SigningKeyNotPublished};
        let told = |world: World, pair: &str, signs: &[&str]| {
            let tokens = signs.iter().map(|key| Claims::signed_with(key, ISSUER)).collect();
            let findings = world.look_with(None, &Signing { pair: Some(pair.to_owned()), tokens });
            findings.iter().map(|finding| (finding.problem.severity, finding.problem.reason)).collect::<Vec<_>>()
        };
        let (error, rotated) = (Severity::Error, || World::new().with(KEYS, 200, keys(&["a", "b"])));
        assert_eq!(told(World::new(), "a", &["a"]), []);
        assert_eq!(told(World::new(), "a", &[]), []);
        // Which of its keys signs is known: that another one is not published is nothing.
        assert_eq!(told(rotated(), "a", &["a"]), []);
        assert_eq!(told(rotated(), "b", &["b"]), [(error, SigningKeyNotPublished)]);
        assert_eq!(told(rotated(), "b", &["a"]), [(error, SigningKeyMissing), (error, SigningKeyNotPublished)]);
        assert_eq!(told(World::new(), "old", &[]), [(error, SigningKeyMissing)]);
    }

    #[test]
    fn an_issuer_that_nobody_reaches_is_told_with_why() {
        let told = World::new().look(Some("https://elsewhere.example.com"));
        let told: Vec<_> = told.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("another issuer than"), "{told:?}");
        assert!(told[1].contains("cannot be read: nobody is there"), "{told:?}");
        let own = World::new().with(DISCOVERY, 200, discovery("http://oidc.example.com"));
        assert_eq!(own.look(None).len(), 1);
    }
}
