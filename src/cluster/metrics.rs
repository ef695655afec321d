//! What is counted: <https://prometheus.io/docs/practices/naming/>. Nothing here is labelled with a secret's name, and no
//! label is called `namespace` or `hostedcontrolplane`, on which remote-write configurations of management clusters route.

use std::{fmt, time::Duration};

use hcp_identity_api::control_plane_identity::ComponentStatus;
use http::Method;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use prometheus_client::{
    encoding::text::{encode_eof, encode_registry},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::admission::Outcome;

/// Upper bounds of the histogram of passes, in seconds.
const BOUNDS: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];
/// And of that of reviews, which the API server waits 2 s for.
const REVIEW_BOUNDS: [f64; 8] = [0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.25, 2.0];

type Labels = Vec<(&'static str, String)>;

/// What this process counts.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    writes: Family<Labels, Counter>,
    passes: Histogram,
    reviews: Family<Labels, Counter>,
    review_durations: Histogram,
    /// Absent as long as nothing is served.
    webhook_certificate: Family<Labels, Gauge>,
    leading: Gauge,
    settings_valid: Gauge,
    settings_loads: Counter,
    watch_errors: Counter,
}

/// What is gathered when somebody asks: series of HostedClusters take no memory between scrapes.
#[derive(Debug, Default)]
pub struct Gathered {
    pub queued: usize,
    /// Of the scrape.
    pub now: Timestamp,
    /// HostedCluster and component.
    pub components: Vec<(String, ComponentStatus)>,
    /// HostedCluster, the reason of its condition Ready, and whether that is True.
    pub ready: Vec<(String, String, bool)>,
}

impl Default for Metrics {
    fn default() -> Self {
        let this = Self {
            registry: registry(),
            requests: Family::default(),
            writes: Family::default(),
            passes: Histogram::new(BOUNDS),
            reviews: Family::default(),
            review_durations: Histogram::new(REVIEW_BOUNDS),
            webhook_certificate: Family::default(),
            leading: Gauge::default(),
            settings_valid: Gauge::default(),
            settings_loads: Counter::default(),
            watch_errors: Counter::default(),
        };
        let mut registry = registry();
        let build: Family<Labels, Gauge> = Family::default();
        build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION").to_owned())]).set(1);
        registry.register("build_info", "The program's version", build);
        registry.register("leader", "Whether this replica holds the Lease", this.leading.clone());
        registry.register(
            "settings_valid",
            "Whether the settings file as it is now is in use",
            this.settings_valid.clone(),
        );
        registry.register("settings_loads", "Times that the settings file was read anew", this.settings_loads.clone());
        registry.register("watch_errors", "Errors of watches, each tried again", this.watch_errors.clone());
        let requests = "Requests to the API server by method and status code; code 0 is no answer";
        registry.register("kubernetes_requests", requests, this.requests.clone());
        registry.register("kubernetes_writes", "Writes by verb, kind and outcome", this.writes.clone());
        let passes = "Duration of a pass over one HostedCluster";
        registry.register("reconcile_duration_seconds", passes, this.passes.clone());
        let reviews = "Pods that the webhook was asked about, by what became of them";
        registry.register("admission_requests", reviews, this.reviews.clone());
        let review_durations = "Duration of an answer of the webhook, from the head of the request on";
        registry.register("admission_duration_seconds", review_durations, this.review_durations.clone());
        registry.register(
            "webhook_certificate_not_after_seconds",
            "When the certificate expires that the webhook is served with, as a Unix time",
            this.webhook_certificate.clone(),
        );
        Self { registry, ..this }
    }
}

fn registry() -> Registry {
    Registry::with_prefix("hcp_identity")
}

impl Metrics {
    pub fn request(&self, method: &Method, code: u16) {
        self.requests.get_or_create(&vec![("method", method.to_string()), ("code", code.to_string())]).inc();
    }

    pub fn write(&self, verb: &'static str, kind: &str, outcome: &'static str) {
        let labels = vec![("verb", verb.to_owned()), ("kind", kind.to_owned()), ("outcome", outcome.to_owned())];
        self.writes.get_or_create(&labels).inc();
    }

    pub(super) fn watch_error(&self) {
        self.watch_errors.inc();
    }

    pub(super) fn pass(&self, took: Duration) {
        self.passes.observe(took.as_secs_f64());
    }

    pub fn admission(&self, outcome: Outcome, took: Duration) {
        self.reviews.get_or_create(&vec![("outcome", outcome.to_string())]).inc();
        self.review_durations.observe(took.as_secs_f64());
    }

    /// When what the webhook is served with expires, if it is served.
    pub fn webhook_certificate(&self, not_after: Option<Timestamp>) {
        match not_after {
            Some(not_after) => {
                self.webhook_certificate.get_or_create(&Vec::new()).set(not_after.as_second());
            }
            None => self.webhook_certificate.clear(),
        }
    }

    pub(super) fn leads(&self, leads: bool) {
        self.leading.set(i64::from(leads));
    }

    /// The settings file has been read anew.
    pub(super) fn settings_loaded(&self, valid: bool) {
        self.settings_loads.inc();
        self.settings_valid.set(i64::from(valid));
    }

    /// Settings that are invalid at the start end the program.
    pub fn settings_are_valid(&self) {
        self.settings_valid.set(1);
    }

    /// The text format of OpenMetrics 1.0.
    ///
    /// # Errors
    /// None that is known: it is written to memory.
    pub fn render(&self, gathered: &Gathered) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &of_clusters(gathered))?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}

fn of_clusters(gathered: &Gathered) -> Registry {
    let mut registry = registry();
    let queued: Gauge = Gauge::default();
    queued.set(i64::try_from(gathered.queued).unwrap_or(i64::MAX));
    registry.register("queue_length", "HostedClusters that are due and not begun", queued);
    let ready: Family<Labels, Gauge> = Family::default();
    for (cluster, reason, is_ready) in &gathered.ready {
        let labels = vec![("hosted_cluster", cluster.clone()), ("reason", reason.clone())];
        ready.get_or_create(&labels).set(i64::from(*is_ready));
    }
    registry.register(
        "hosted_cluster_ready",
        "Whether everything of a HostedCluster is as it should be, with the reason",
        ready,
    );
    let [wired, pods, mounted]: [Family<Labels, Gauge>; 3] = Default::default();
    for (cluster, component) in &gathered.components {
        let labels = labels(cluster, component);
        wired.get_or_create(&labels).set(i64::from(component.wired));
        pods.get_or_create(&labels).set(i64::from(component.pods));
        mounted.get_or_create(&labels).set(i64::from(component.mounted_pods));
    }
    of_credentials(gathered, &mut registry);
    registry.register("component_wired", "Whether the pods of a component are wired", wired);
    registry.register("component_pods", "Pods that carry the component's volume", pods);
    registry.register("component_mounted_pods", "Pods whose mount has a credential in it", mounted);
    registry
}

fn of_credentials(gathered: &Gathered, registry: &mut Registry) {
    let [not_after, renew_after, stale, verified]: [Family<Labels, Gauge>; 4] = Default::default();
    for (cluster, component) in &gathered.components {
        let Some(credential) = &component.credential else { continue };
        let labels = labels(cluster, component);
        let set = |family: &Family<Labels, Gauge>, value: Option<i64>| {
            if let Some(value) = value {
                family.get_or_create(&labels).set(value);
            }
        };
        let seconds = |time: &Option<Time>| time.as_ref().map(|time| time.0.as_second());
        set(&not_after, seconds(&credential.not_after));
        set(&renew_after, seconds(&credential.renew_after));
        let is_stale = component.mounts.iter().any(|mount| mount.version != credential.version);
        let age = seconds(&credential.created).map(|created| gathered.now.as_second().saturating_sub(created).max(0));
        set(&stale, age.map(|age| if is_stale { age } else { 0 }));
        let passed = match credential.check.as_str() {
            "Passed" => Some(1),
            "Failed" => Some(0),
            _ => None,
        };
        set(&verified, passed);
    }
    let ends = "When the vault's version of a credential ends, in seconds since 1970";
    registry.register("credential_not_after_seconds", ends, not_after);
    let renewal = "When the vault's version of a credential is to be renewed, in seconds since 1970";
    registry.register("credential_renew_after_seconds", renewal, renew_after);
    let behind = "For how long the vault has had a newer version than a pod has mounted";
    registry.register("credential_stale_seconds", behind, stale);
    registry.register("credential_verified", "Whether a credential has passed its check", verified);
}

fn labels(cluster: &str, component: &ComponentStatus) -> Labels {
    vec![
        ("hosted_cluster", cluster.to_owned()),
        ("component", component.id.clone()),
        ("reason", component.reason.clone()),
    ]
}

#[cfg(test)]
mod tests {
    use hcp_identity_api::control_plane_identity::{CredentialStatus, MountStatus};

    use super::*;

    #[test]
    fn what_is_counted_is_rendered_and_labels_are_escaped() {
        let metrics = Metrics::default();
        metrics.request(&Method::PATCH, 409);
        metrics.write("apply", "Deployment", "conflict");
        metrics.pass(Duration::from_millis(3));
        metrics.pass(Duration::from_secs(100));
        let gathered = Gathered { ready: vec![("a/\"b\"".into(), "Ready".into(), true)], ..Gathered::default() };
        let text = metrics.render(&gathered).unwrap();
        for line in [
            "hcp_identity_kubernetes_requests_total{method=\"PATCH\",code=\"409\"} 1",
            "hcp_identity_kubernetes_writes_total{verb=\"apply\",kind=\"Deployment\",outcome=\"conflict\"} 1",
            "hcp_identity_reconcile_duration_seconds_bucket{le=\"0.005\"} 1",
            "hcp_identity_reconcile_duration_seconds_bucket{le=\"+Inf\"} 2",
            "hcp_identity_hosted_cluster_ready{hosted_cluster=\"a/\\\"b\\\"\",reason=\"Ready\"} 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(!line.contains("namespace=") && !line.contains("hostedcontrolplane="), "{line}");
        }
    }

    #[test]
    fn a_credential_is_shown_as_far_as_it_is_known() {
        let at = |text: &str| Some(Time(text.parse().unwrap()));
        let mount = MountStatus { pod: "p".into(), version: "old".into(), ..MountStatus::default() };
        let credential = CredentialStatus {
            version: "new".into(),
            created: at("1970-01-01T00:01:00Z"),
            check: "Passed".into(),
            not_after: at("1970-01-01T01:00:00Z"),
            ..CredentialStatus::default()
        };
        let mut component = ComponentStatus {
            id: "ingress".into(),
            reason: "RotationLag".into(),
            credential: Some(credential),
            mounts: vec![mount],
            ..ComponentStatus::default()
        };
        let render = |component: &ComponentStatus| {
            let components = vec![("clusters/a".to_owned(), component.clone())];
            let now = "1970-01-01T00:03:00Z".parse().unwrap();
            let text = Metrics::default().render(&Gathered { now, components, ..Gathered::default() }).unwrap();
            let lines = text.lines().filter(|line| line.starts_with("hcp_identity_credential"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let labels = r#"{hosted_cluster="clusters/a",component="ingress",reason="RotationLag"}"#;
        let line = |name: &str, value: u32| format!("hcp_identity_credential_{name}{labels} {value}");
        let all = [line("not_after_seconds", 3600), line("stale_seconds", 120), line("verified", 1)];
        assert_eq!(render(&component), all);
        component.mounts[0].version = "new".into();
        assert_eq!(render(&component)[1], line("stale_seconds", 0));
        component.credential = None;
        assert!(render(&component).is_empty());
    }
}
