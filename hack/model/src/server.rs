//! The API server: preconditions, server-side apply with field ownership, deletion.
//!
//! What it does was measured on the real one: an apply without force conflicts with another manager's different value,
//! co-owns an equal one, and takes away what only we owned and no longer name. What changes nothing keeps its version.

use crate::objects::{Class, Content, Field, Items, Managers, Secret, Version, Workload};

const US: Managers = Managers::US;

/// A write of ours on its way.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Request {
    pub write: Write,
    /// What it was planned from. Absent: the object was not there.
    pub planned_from: Option<Version>,
    /// How the ledger knows it.
    pub key: hcp_identity::diff::LedgerKey,
    pub content: u64,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Write {
    ApplyClass(Secret),
    /// An apply that names nothing: how not to withdraw.
    EmptyClass,
    DeleteClass,
    ApplyWorkload(Items<Content>),
}

impl Write {
    #[must_use]
    pub fn is_to_class(&self) -> bool {
        !matches!(self, Self::ApplyWorkload(_))
    }
}

/// How the server answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    Done,
    Conflict,
}

/// What the model's daemon may do wrong at this point.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manners {
    pub force: bool,
    pub ignore_versions: bool,
}

/// What is stored.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Server {
    pub class: Option<Class>,
    pub workload: Workload,
    /// The next uid and revision of each, above all that anybody remembers.
    pub next_class: Version,
    pub next_workload: Version,
}

impl Server {
    /// Stores a class that somebody has changed, in a new version if that is a change.
    pub fn put_class(&mut self, mut class: Class) {
        if self.class.as_ref().is_none_or(|old| old.version.uid != class.version.uid || *old != class) {
            class.version.revision = self.next_class.revision;
            self.next_class.revision += 1;
            self.class = Some(class);
        }
    }

    pub fn create_class(&mut self, class: &Class) {
        let version = self.next_class;
        self.next_class.uid += 1;
        self.put_class(Class { version, ..*class });
    }

    pub fn put_workload(&mut self, mut workload: Workload) {
        if self.workload != workload {
            workload.rolling |= workload.pod() != self.workload.pod();
            workload.version.revision = self.next_workload.revision;
            self.next_workload.revision += 1;
            self.workload = workload;
        }
    }

    /// Deletes the Deployment; its owner makes it anew at once.
    pub fn replace_workload(&mut self) {
        let version = self.next_workload;
        self.next_workload.uid += 1;
        self.put_workload(Workload { version, current: false, hash: None, items: [None; 3], rolling: true });
    }

    /// The version of what a write is about, if that is there.
    #[must_use]
    pub fn version(&self, write: &Write) -> Option<Version> {
        if write.is_to_class() { self.class.as_ref().map(|class| class.version) } else { Some(self.workload.version) }
    }

    pub fn serve(&mut self, request: &Request, manners: Manners) -> Answer {
        let there = self.version(&request.write);
        let planned_from = if manners.ignore_versions { None } else { request.planned_from };
        if planned_from.is_some() && planned_from != there {
            return Answer::Conflict;
        }
        // A create of what is there; a forced apply would be none.
        if planned_from.is_none()
            && there.is_some()
            && request.write.is_to_class()
            && !manners.ignore_versions
            && !manners.force
        {
            return Answer::Conflict;
        }
        match (&request.write, self.class.clone()) {
            (Write::ApplyWorkload(items), _) => self.apply_workload(items, manners.force),
            (Write::DeleteClass, _) => {
                self.class = None;
                Answer::Done
            }
            (Write::ApplyClass(secret), None) => {
                self.create_class(&Class {
                    version: Version::default(),
                    made_by_us: true,
                    adopted: false,
                    hash: None,
                    objects: Some(Field::of(Content::Of(*secret), US)),
                    rest: US,
                    managers: US,
                });
                Answer::Done
            }
            (Write::ApplyClass(secret), Some(class)) => self.apply_class(&class, *secret, manners.force),
            (Write::EmptyClass, None) => Answer::Conflict,
            (Write::EmptyClass, Some(class)) => {
                let objects = apply(class.objects, None, manners.force).unwrap_or(class.objects);
                let (rest, managers) = (class.rest.without(US), class.managers.without(US));
                self.put_class(Class { objects, rest, managers, ..class });
                Answer::Done
            }
        }
    }

    fn apply_class(&mut self, class: &Class, secret: Secret, force: bool) -> Answer {
        let Ok(objects) = apply(class.objects, Some(Content::Of(secret)), force) else { return Answer::Conflict };
        let (rest, managers) = (class.rest.with(US), class.managers.with(US));
        self.put_class(Class { objects, rest, managers, made_by_us: true, ..*class });
        Answer::Done
    }

    fn apply_workload(&mut self, wanted: &Items<Content>, force: bool) -> Answer {
        let mut workload = self.workload.clone();
        for (item, wanted) in workload.items.iter_mut().zip(wanted) {
            match apply(*item, *wanted, force) {
                Ok(applied) => *item = applied,
                Err(Conflict) => return Answer::Conflict,
            }
        }
        self.put_workload(workload);
        Answer::Done
    }
}

struct Conflict;

/// What server-side apply by us makes of one field.
fn apply(there: Option<Field>, wanted: Option<Content>, force: bool) -> Result<Option<Field>, Conflict> {
    Ok(match (there, wanted) {
        (None, None) => None,
        (None, Some(content)) => Some(Field::of(content, US)),
        (Some(field), None) => {
            let owners = field.owners.without(US);
            // A field of nobody's stays; one that was ours alone goes.
            let ours_alone = owners == Managers::NOBODY && field.owners.contains(US);
            (!ours_alone).then_some(Field { owners, ..field })
        }
        (Some(field), Some(content)) if field.content == content => {
            Some(Field { owners: field.owners.with(US), ..field })
        }
        (Some(field), Some(_)) if field.owners.without(US) != Managers::NOBODY && !force => return Err(Conflict),
        (Some(_), Some(content)) => Some(Field::of(content, US)),
    })
}
