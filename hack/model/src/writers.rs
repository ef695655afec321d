//! Who else writes: HyperShift's operators as they were measured, and what a person may do.

use crate::{
    objects::{Class, Content, ENV, Field, Items, MOUNT, Managers, Named, Secret, VOLUME, Version, Workload, wiring},
    server::Server,
};

const OPERATOR: Managers = Managers::OPERATOR;

/// Who writes the provider class.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClassWriter {
    Nobody,
    /// The control plane operator up to 4.19: writes what is not derivative of its desired state, or not owned by it.
    Cpo419,
    /// The same with `desired-state-hash`, which makes it write what somebody else created as well.
    Cpo420,
    /// The HyperShift operator: create or update, strictly.
    HyperShiftOperator,
}

/// Who writes the Deployment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WorkloadWriter {
    /// Made once, by Helm or by hand.
    Nobody,
    Cpo419,
    Cpo420,
    /// Whole, as soon as it is not as desired.
    LibraryGo,
    /// The cluster network operator: server-side apply with force.
    ForcedApply,
}

/// HyperShift as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct HyperShift {
    pub class: ClassWriter,
    pub workload: WorkloadWriter,
    /// Whether it wires the Deployment itself.
    pub wires: bool,
}

impl HyperShift {
    /// Reconciles the class, if its HostedCluster names the identity.
    pub fn reconcile_class(self, server: &mut Server, named: Named) {
        let (Some(secret), false) = (named, self.class == ClassWriter::Nobody) else { return };
        let cpo = self.class != ClassWriter::HyperShiftOperator;
        let hash = Some(secret).filter(|_| self.class == ClassWriter::Cpo420);
        let content = Content::Of(secret);
        let Some(mut class) = server.class.clone() else {
            let objects = Some(Field::of(content, OPERATOR));
            let (rest, managers) = (OPERATOR, OPERATOR);
            let version = Version::default();
            return server.create_class(&Class {
                version,
                made_by_us: false,
                adopted: cpo,
                hash,
                objects,
                rest,
                managers,
            });
        };
        let equal = class.objects.is_some_and(|objects| objects.content == content) && class.rest != Managers::NOBODY;
        if equal && class.adopted == cpo && class.hash == hash {
            return;
        }
        match &mut class.objects {
            Some(objects) => objects.update(content, OPERATOR),
            none => *none = Some(Field::of(content, OPERATOR)),
        }
        if class.rest == Managers::NOBODY {
            class.rest = OPERATOR;
        }
        (class.adopted, class.hash, class.managers) = (cpo, hash, class.managers.with(OPERATOR));
        server.put_class(class);
    }

    /// Reconciles the Deployment, after the class.
    pub fn reconcile_workload(self, server: &mut Server, named: Named) {
        let mut before = server.clone();
        self.reconcile_class(&mut before, named);
        if self.wires && before != *server {
            return;
        }
        let named = named.filter(|_| self.wires);
        let desired = named.map_or([None; 3], wiring);
        let workload = &server.workload;
        let derivative = |item: usize| desired[item].is_none_or(|content| workload.contents()[item] == Some(content));
        let derivative = workload.current && (VOLUME..=ENV).all(derivative);
        let written = match self.workload {
            WorkloadWriter::Nobody => return,
            WorkloadWriter::Cpo419 if derivative => return,
            WorkloadWriter::Cpo420 if derivative && workload.hash == named => return,
            WorkloadWriter::LibraryGo if workload.current && workload.contents() == desired => return,
            WorkloadWriter::ForcedApply => forced(workload.items, desired),
            WorkloadWriter::Cpo419 | WorkloadWriter::Cpo420 | WorkloadWriter::LibraryGo => put(workload.items, desired),
        };
        let hash = named.filter(|_| self.workload == WorkloadWriter::Cpo420);
        let workload = Workload { items: written, current: true, hash, ..workload.clone() };
        server.put_workload(workload);
    }
}

/// An update of the whole object: what is not desired goes, whoever owned it.
fn put(there: Items<Field>, desired: Items<Content>) -> Items<Field> {
    let written = |item: usize| {
        let content = desired[item]?;
        let mut field = there[item].unwrap_or(Field::of(content, OPERATOR));
        field.update(content, OPERATOR);
        Some(field)
    };
    [written(VOLUME), written(MOUNT), written(ENV)]
}

/// Server-side apply with force by the operator: what others own beside it stays.
fn forced(there: Items<Field>, desired: Items<Content>) -> Items<Field> {
    let written = |item: usize| match (there[item], desired[item]) {
        (Some(field), Some(content)) if field.content == content => {
            Some(Field { owners: field.owners.with(OPERATOR), ..field })
        }
        (_, Some(content)) => Some(Field::of(content, OPERATOR)),
        (Some(field), None) => {
            let owners = field.owners.without(OPERATOR);
            let its_alone = owners == Managers::NOBODY && field.owners.contains(OPERATOR);
            (!its_alone).then_some(Field { owners, ..field })
        }
        (None, None) => None,
    };
    [written(VOLUME), written(MOUNT), written(ENV)]
}

/// What a person does, each as often as the model's budget allows.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Deed {
    /// Has the HostedCluster name another secret, or none, or one again.
    Name(Named),
    DeleteClass,
    EditClass,
    /// Puts something else where this element of the wiring belongs.
    EditItem(usize),
    /// Takes all of the wiring out of the Deployment.
    DropItems,
    ReplaceWorkload,
}

impl Deed {
    pub const ALL: [Self; 9] = [
        Self::Name(None),
        Self::Name(Some(Secret::A)),
        Self::Name(Some(Secret::B)),
        Self::DeleteClass,
        Self::EditClass,
        Self::EditItem(VOLUME),
        Self::EditItem(ENV),
        Self::DropItems,
        Self::ReplaceWorkload,
    ];

    pub fn perform(self, named: &mut Named, server: &mut Server) {
        let person = Managers::PERSON;
        match self {
            Self::Name(name) => *named = name,
            Self::DeleteClass => server.class = None,
            Self::EditClass => {
                let Some(mut class) = server.class.clone() else { return };
                class.objects.iter_mut().for_each(|objects| objects.update(Content::Foreign, person));
                class.managers = class.managers.with(person);
                server.put_class(class);
            }
            Self::EditItem(item) => {
                let mut workload = server.workload.clone();
                workload.items[item].iter_mut().for_each(|item| item.update(Content::Foreign, person));
                server.put_workload(workload);
            }
            Self::DropItems => {
                let workload = Workload { items: [None; 3], ..server.workload.clone() };
                server.put_workload(workload);
            }
            Self::ReplaceWorkload => server.replace_workload(),
        }
    }
}
