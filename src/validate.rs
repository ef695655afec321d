//! The door `validate`: findings, and nothing else.

use std::{
    io::{self, BufRead},
    sync::Arc,
};

use crate::{
    finding::{Finding, FindingsOfDocument},
    input::{self, Located, Role, Rules, Visitor},
    manifest::Limits,
    namespaces::Namespaces,
};

/// Holds the HostedClusters of any number of sources against the rules.
pub struct Validator<'f> {
    rules: Rules,
    limits: Limits,
    findings: &'f mut dyn FnMut(Finding),
    clusters: Namespaces<()>,
    summary: Summary,
    pending: Pending,
}

/// What came of the document that is being read.
#[derive(Default)]
struct Pending {
    clusters: Namespaces<()>,
    findings: FindingsOfDocument,
    summary: Summary,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    pub documents: usize,
    pub hosted_clusters: usize,
    pub other: usize,
}

impl<'f> Validator<'f> {
    pub fn new(rules: Rules, limits: Limits, findings: &'f mut dyn FnMut(Finding)) -> Self {
        let (clusters, summary, pending) = Default::default();
        Self { rules, limits, findings, clusters, summary, pending }
    }

    /// Reads one source; its findings come as its documents do.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn read(&mut self, source: &Arc<str>, reader: impl BufRead) -> io::Result<()> {
        input::read(source, reader, self.limits, self)
    }

    /// Reports what only all sources together tell.
    pub fn finish(self) -> Summary {
        drop(self.clusters.settle(self.findings));
        self.summary
    }
}

impl Visitor for Validator<'_> {
    fn object(&mut self, object: Located) {
        let pending = &mut self.pending;
        pending.findings.extend(object.refusal());
        if object.role() != Role::HostedCluster {
            pending.summary.other += 1;
            return;
        }
        pending.summary.hosted_clusters += 1;
        let (_, problems) = input::inspect(object.node(), self.rules);
        pending.findings.extend(problems.into_iter().map(|problem| object.finding(problem)));
        if self.rules == Rules::All {
            pending.clusters.add(&object, ());
        }
    }

    fn commit(&mut self) {
        let Pending { mut clusters, findings, summary } = std::mem::take(&mut self.pending);
        self.clusters.append(&mut clusters);
        findings.report(self.findings);
        self.summary.documents += 1;
        self.summary.hosted_clusters += summary.hosted_clusters;
        self.summary.other += summary.other;
    }

    fn discard(&mut self, finding: Finding) {
        self.pending = Pending::default();
        self.summary.documents += 1;
        (self.findings)(finding);
    }
}
