//! Versions by their rank: two states that differ in nothing but how often something was written before are one.

use crate::{State, objects::Version};

impl State {
    /// Numbers uids and revisions anew, in their order.
    pub(crate) fn canonical(mut self) -> Self {
        for to_class in [true, false] {
            let mut versions = Vec::new();
            self.each_version(to_class, &mut |version| versions.push(*version));
            let rank = |of: fn(&Version) -> u8| {
                let mut known: Vec<u8> = versions.iter().map(of).collect();
                known.sort_unstable();
                known.dedup();
                known
            };
            let uids = rank(|version| version.uid);
            let revisions = rank(|version| version.revision);
            let position = |known: &[u8], number: u8| known.iter().take_while(|other| **other < number).count();
            self.each_version(to_class, &mut |version| {
                let uid = if to_class { small(position(&uids, version.uid)) } else { version.uid };
                *version = Version { uid, revision: small(position(&revisions, version.revision)) };
            });
            let next = Version { uid: small(uids.len()), revision: small(revisions.len()) };
            if to_class {
                self.server.next_class = next;
            } else {
                // The ledger knows workloads by their uid.
                self.server.next_workload.revision = next.revision;
            }
        }
        self
    }

    /// Everything that is compared with the version of an object.
    fn each_version(&mut self, to_class: bool, act: &mut dyn FnMut(&mut Version)) {
        if to_class {
            self.server.class.iter_mut().for_each(|class| act(&mut class.version));
            self.daemon.seen.class.iter_mut().for_each(|class| act(&mut class.version));
        } else {
            act(&mut self.server.workload.version);
            act(&mut self.daemon.seen.workload.version);
        }
        let requests = self.daemon.requests.iter_mut().chain(&mut self.late);
        let those = requests.filter(|request| request.write.is_to_class() == to_class);
        those.filter_map(|request| request.planned_from.as_mut()).for_each(act);
    }
}

fn small(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}
