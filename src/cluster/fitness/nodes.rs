//! The nodes on which a control plane's pods may start.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;

use super::{Check, Reason};

/// By name. Cordoned ones, Windows and virtual ones do not count: no such pod starts there.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes {
    /// Anything may start there.
    open: BTreeSet<String>,
    /// Only what tolerates their taints, as pods of control planes may.
    tainted: BTreeSet<String>,
}

/// How it is told that something is missing on nodes.
pub(super) struct Where {
    pub(super) check: &'static str,
    /// Of a node.
    pub(super) what: &'static str,
    pub(super) reason: Reason,
}

impl Nodes {
    pub(super) fn of(nodes: &[Node]) -> Self {
        let mut this = Self::default();
        for node in nodes.iter().filter(|node| is_schedulable(node)) {
            if is_tainted(node) { &mut this.tainted } else { &mut this.open }.insert(node.name_any());
        }
        this
    }

    /// Those that are not among these.
    pub(super) fn without(&self, some: &BTreeSet<String>) -> Self {
        Self { open: &self.open - some, tainted: &self.tainted - some }
    }

    fn len(&self) -> usize {
        self.open.len() + self.tainted.len()
    }

    /// What is missing on an open node is an error; behind a taint it may be meant.
    pub(super) fn judge(&self, told: &Where, lacking: &Self, remedy: &str) -> Check {
        let Where { check, what, reason } = *told;
        if self.len() == 0 {
            return Check::skipped(check, Reason::NothingToLookAt, "there is no node on which a pod may start");
        }
        let message = |nodes: &BTreeSet<String>, more: &str| {
            format!("{} of {} nodes: {what}{more}: {}", nodes.len(), self.len(), some_of(nodes))
        };
        if !lacking.open.is_empty() {
            Check::error(check, reason, message(&lacking.open, "")).remedy(remedy)
        } else if !lacking.tainted.is_empty() {
            Check::warning(check, reason, message(&lacking.tainted, " behind a taint"))
                .remedy(format!("let it tolerate the taint if pods of control planes do; {remedy}"))
        } else {
            Check::ok(check, format!("on all {} nodes", self.len()))
        }
    }
}

fn is_schedulable(node: &Node) -> bool {
    let cordoned = node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true));
    let windows = node.labels().get("kubernetes.io/os").is_some_and(|system| system == "windows");
    let is_virtual = node.labels().get("type").is_some_and(|kind| kind == "virtual-kubelet");
    !cordoned && !windows && !is_virtual
}

fn is_tainted(node: &Node) -> bool {
    let taints = node.spec.iter().filter_map(|spec| spec.taints.as_ref()).flatten();
    taints.into_iter().any(|taint| ["NoSchedule", "NoExecute"].contains(&taint.effect.as_str()))
}

fn some_of(names: &BTreeSet<String>) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<_> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::fitness::Verdict;

    fn nodes(some: &[(&str, serde_json::Value)]) -> Nodes {
        let node = |(name, spec): &(&str, serde_json::Value)| {
            let labels = spec["labels"].as_object().cloned().unwrap_or_default();
            serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}, "spec": spec})).unwrap()
        };
        Nodes::of(&some.iter().map(node).collect::<Vec<_>>())
    }

    fn told(nodes: &Nodes, with: &[&str]) -> Check {
        let told = Where { check: "driver", what: "lacks it", reason: Reason::DriverNotOnNode };
        let with = with.iter().map(|name| (*name).to_owned()).collect();
        nodes.judge(&told, &nodes.without(&with), "look there")
    }

    #[test]
    fn nodes_on_which_nothing_starts_do_not_count() {
        let none = [
            ("cordoned", json!({"unschedulable": true})),
            ("windows", json!({"labels": {"kubernetes.io/os": "windows"}})),
            ("virtual", json!({"labels": {"type": "virtual-kubelet"}})),
        ];
        assert_eq!(told(&nodes(&none), &[]).verdict, Verdict::Skipped);
        assert_eq!(told(&nodes(&[("a", json!({})), none[0].clone()]), &["a"]).verdict, Verdict::Ok);
    }

    #[test]
    fn what_is_missing_behind_a_taint_is_a_warning() {
        let taint = |effect: &str| json!({"taints": [{"key": "k", "effect": effect}]});
        let some = nodes(&[("a", json!({})), ("b", taint("NoSchedule")), ("c", taint("PreferNoSchedule"))]);
        assert_eq!(told(&some, &["a", "c"]).verdict, Verdict::Warning);
        let check = told(&some, &["b"]);
        assert_eq!((check.verdict, check.message.as_str()), (Verdict::Error, "2 of 3 nodes: lacks it: a, c"));
    }

    #[test]
    fn many_nodes_are_not_all_named() {
        let names = (1..=7).map(|number| format!("n{number}")).collect();
        assert_eq!(some_of(&names), "n1, n2, n3, n4, n5 and 2 more");
    }
}
