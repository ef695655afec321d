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
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    pub documents: usize,
    pub hosted_clusters: usize,
}

impl<'f> Validator<'f> {
    pub fn new(rules: Rules, limits: Limits, findings: &'f mut dyn FnMut(Finding)) -> Self {
        Self { rules, limits, findings, clusters: Namespaces::default(), summary: Summary::default() }
    }

    /// Reads one source; its findings come as its documents do.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn read(&mut self, source: &Arc<str>, reader: impl BufRead) -> io::Result<()> {
        self.summary.documents += input::read(source, reader, self.limits, self)?;
        Ok(())
    }

    /// Reports what only all sources together tell.
    pub fn finish(self) -> Summary {
        drop(self.clusters.settle(|()| {}, self.findings));
        self.summary
    }
}

impl Visitor for Validator<'_> {
    type Gathered = (Namespaces<()>, usize);

    fn object(&self, object: Located, (clusters, count): &mut Self::Gathered, findings: &mut FindingsOfDocument) {
        findings.extend(object.refusal());
        if object.role() != Role::HostedCluster {
            return;
        }
        *count += 1;
        let problems = input::inspect(object.node(), self.rules).problems;
        findings.extend(problems.into_iter().map(|problem| object.finding(problem)));
        if self.rules == Rules::All {
            clusters.add(&object, ());
        }
    }

    fn keep(&mut self, (mut clusters, count): Self::Gathered) {
        self.clusters.append(&mut clusters);
        self.summary.hosted_clusters += count;
    }

    fn report(&mut self, finding: Finding) {
        (self.findings)(finding);
    }
}
