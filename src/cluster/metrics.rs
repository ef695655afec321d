//! What is counted: <https://prometheus.io/docs/practices/naming/>. Nothing here is labelled with a secret's name, and no
//! label is called `namespace` or `hostedcontrolplane`, on which remote-write configurations of management clusters route.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hcp_identity_api::control_plane_identity::ComponentStatus;
use http::Method;

/// Upper bounds of the histogram of passes, in seconds.
const BOUNDS: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

/// Counters of this process.
#[derive(Debug, Default)]
pub struct Metrics {
    /// By method and status code; 0 is no answer.
    requests: Mutex<BTreeMap<(String, u16), u64>>,
    /// By verb, kind and outcome.
    writes: Mutex<BTreeMap<(&'static str, String, &'static str), u64>>,
    passes: [AtomicU64; BOUNDS.len() + 1],
    pass_micros: AtomicU64,
    pub(super) leading: AtomicU64,
    pub(super) settings_valid: AtomicU64,
    pub(super) settings_loads: AtomicU64,
    watch_errors: AtomicU64,
}

/// What is gathered when somebody asks.
#[derive(Debug, Default)]
pub struct Gathered {
    pub queued: usize,
    /// HostedCluster and component.
    pub components: Vec<(String, ComponentStatus)>,
    /// HostedCluster and the reason of its condition Ready.
    pub ready: Vec<(String, String, bool)>,
}

impl Metrics {
    pub(super) fn request(&self, method: &Method, code: u16) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((method.as_str().to_owned(), code)).or_default() += 1;
    }

    pub(super) fn write(&self, verb: &'static str, kind: &str, outcome: &'static str) {
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        *writes.entry((verb, kind.to_owned(), outcome)).or_default() += 1;
    }

    /// Settings that are invalid at the start end the program.
    pub fn settings_are_valid(&self) {
        self.settings_valid.store(1, Ordering::Relaxed);
    }

    pub(super) fn watch_error(&self) {
        self.watch_errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn pass(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.passes[bucket].fetch_add(1, Ordering::Relaxed);
        self.pass_micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The text format of Prometheus, version 0.0.4.
    #[must_use]
    pub fn render(&self, gathered: &Gathered) -> String {
        let mut text = Text::default();
        let load = |value: &AtomicU64| value.load(Ordering::Relaxed).to_string();
        text.family("hcp_identity_build_info", "gauge", "The program's version.");
        text.sample("hcp_identity_build_info", &[("version", env!("CARGO_PKG_VERSION"))], "1");
        text.one("hcp_identity_leader", "gauge", "Whether this replica holds the Lease.", &load(&self.leading));
        text.one(
            "hcp_identity_settings_valid",
            "gauge",
            "Whether the settings file as it is now is in use.",
            &load(&self.settings_valid),
        );
        text.one(
            "hcp_identity_settings_loads_total",
            "counter",
            "Times that the settings file was read anew.",
            &load(&self.settings_loads),
        );
        text.one(
            "hcp_identity_watch_errors_total",
            "counter",
            "Errors of watches, each retried.",
            &load(&self.watch_errors),
        );
        text.one(
            "hcp_identity_queue_length",
            "gauge",
            "HostedClusters that wait for a pass.",
            &gathered.queued.to_string(),
        );
        text.family(
            "hcp_identity_kubernetes_requests_total",
            "counter",
            "Requests to the API server by method and status code; code 0 is no answer.",
        );
        for ((method, code), count) in self.requests.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            text.sample(
                "hcp_identity_kubernetes_requests_total",
                &[("method", method), ("code", &code.to_string())],
                &count.to_string(),
            );
        }
        text.family("hcp_identity_kubernetes_writes_total", "counter", "Writes by verb, kind and outcome.");
        for ((verb, kind, outcome), count) in self.writes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let labels = [("verb", *verb), ("kind", kind.as_str()), ("outcome", *outcome)];
            text.sample("hcp_identity_kubernetes_writes_total", &labels, &count.to_string());
        }
        self.render_passes(&mut text);
        render_clusters(&mut text, gathered);
        text.0
    }

    fn render_passes(&self, text: &mut Text) {
        const NAME: &str = "hcp_identity_reconcile_duration_seconds";
        text.family(NAME, "histogram", "Duration of a pass over one HostedCluster.");
        let mut total = 0;
        for (index, count) in self.passes.iter().enumerate() {
            total += count.load(Ordering::Relaxed);
            let bound = BOUNDS.get(index).map_or_else(|| "+Inf".to_owned(), ToString::to_string);
            text.sample(&format!("{NAME}_bucket"), &[("le", &bound)], &total.to_string());
        }
        #[expect(clippy::cast_precision_loss, reason = "a sum of durations")]
        let sum = self.pass_micros.load(Ordering::Relaxed) as f64 / 1e6;
        text.sample(&format!("{NAME}_sum"), &[], &sum.to_string());
        text.sample(&format!("{NAME}_count"), &[], &total.to_string());
    }
}

fn render_clusters(text: &mut Text, gathered: &Gathered) {
    text.family(
        "hcp_identity_hosted_cluster_ready",
        "gauge",
        "Whether everything of a HostedCluster is as it should be, with the reason.",
    );
    for (cluster, reason, ready) in &gathered.ready {
        text.sample(
            "hcp_identity_hosted_cluster_ready",
            &[("hosted_cluster", cluster), ("reason", reason)],
            bit(*ready),
        );
    }
    type Value = fn(&ComponentStatus) -> i32;
    let families: [(&str, &str, Value); 3] = [
        ("hcp_identity_component_wired", "Whether the pods of a component are wired.", |component| {
            component.wired.into()
        }),
        ("hcp_identity_component_pods", "Pods that carry the component's volume.", |component| component.pods),
        ("hcp_identity_component_mounted_pods", "Pods whose mount has a credential in it.", |component| {
            component.mounted_pods
        }),
    ];
    for (name, help, value) in families {
        text.family(name, "gauge", help);
        for (cluster, component) in &gathered.components {
            let labels =
                [("hosted_cluster", cluster.as_str()), ("component", &component.id), ("reason", &component.reason)];
            text.sample(name, &labels, &value(component).to_string());
        }
    }
}

fn bit(value: bool) -> &'static str {
    if value { "1" } else { "0" }
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.0.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: &str) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.0.push_str(&format!("{name}{labels} {value}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered_and_labels_are_escaped() {
        let metrics = Metrics::default();
        metrics.request(&Method::PATCH, 409);
        metrics.write("apply", "Deployment", "conflict");
        metrics.pass(Duration::from_millis(3));
        metrics.pass(Duration::from_secs(100));
        let gathered = Gathered { ready: vec![("a/\"b\"".into(), "Ready".into(), true)], ..Gathered::default() };
        let text = metrics.render(&gathered);
        for line in [
            "hcp_identity_kubernetes_requests_total{method=\"PATCH\",code=\"409\"} 1",
            "hcp_identity_kubernetes_writes_total{verb=\"apply\",kind=\"Deployment\",outcome=\"conflict\"} 1",
            "hcp_identity_reconcile_duration_seconds_bucket{le=\"0.005\"} 1",
            "hcp_identity_reconcile_duration_seconds_bucket{le=\"+Inf\"} 2",
            "hcp_identity_hosted_cluster_ready{hosted_cluster=\"a/\\\"b\\\"\",reason=\"Ready\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(!line.contains("namespace=") && !line.contains("hostedcontrolplane="), "{line}");
        }
    }
}
