//! What the model's API server stores: one provider class, one Deployment, its pods. As few values as tell writers apart.

/// The Key Vault secrets that the HostedCluster may name.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Secret {
    A,
    B,
}

/// The identity that the HostedCluster names, if it names one.
pub type Named = Option<Secret>;

/// The value of a field that depends on the HostedCluster.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Content {
    Of(Secret),
    /// What a person has put there.
    Foreign,
}

/// A set of field managers.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Managers(u8);

impl Managers {
    pub const NOBODY: Self = Self(0);
    pub const US: Self = Self(1);
    pub const OPERATOR: Self = Self(2);
    pub const PERSON: Self = Self(4);

    /// Each with the name that it has in managedFields.
    pub const NAMES: [(Self, &'static str); 3] = [
        (Self::PERSON, "kubectl-edit"),
        (Self::OPERATOR, "control-plane-operator-manager"),
        (Self::US, hcp_identity::observed::MANAGER),
    ];

    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A value with its owners.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Field {
    pub content: Content,
    pub owners: Managers,
}

impl Field {
    #[must_use]
    pub fn of(content: Content, owners: Managers) -> Self {
        Self { content, owners }
    }

    /// An update by a manager: it owns what it changes, and nobody else owns that any more.
    pub fn update(&mut self, content: Content, manager: Managers) {
        if self.content != content {
            *self = Self::of(content, manager);
        }
    }
}

/// uid and resourceVersion. Only their order matters, which [`crate::canonical`] makes use of.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Version {
    pub uid: u8,
    pub revision: u8,
}

/// The provider class.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Class {
    pub version: Version,
    /// The label that says who made it.
    pub made_by_us: bool,
    /// The owner reference of HyperShift's control plane operator.
    pub adopted: bool,
    /// The annotation `desired-state-hash`.
    pub hash: Named,
    /// The parameter that names the secret; absent only if somebody has emptied the class.
    pub objects: Option<Field>,
    /// Owners of the provider and of the parameters that never change.
    pub rest: Managers,
    /// Everybody in managedFields.
    pub managers: Managers,
}

/// What wiring adds to the pod template, in this order.
pub const VOLUME: usize = 0;
pub const MOUNT: usize = 1;
pub const ENV: usize = 2;
pub type Items<T> = [Option<T>; 3];

/// What all of the wiring is for a secret. Volume and mount are the same for both.
#[must_use]
pub fn wiring(secret: Secret) -> Items<Content> {
    [Some(Content::Of(Secret::A)), Some(Content::Of(Secret::A)), Some(Content::Of(secret))]
}

/// The Deployment.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Workload {
    pub version: Version,
    /// Whether its writer's last desired state is in it: image, resources and all that is not wiring.
    pub current: bool,
    /// The wiring of the desired state that the annotation `desired-state-hash` stands for.
    pub hash: Named,
    pub items: Items<Field>,
    /// Its status: whether a ReplicaSet of an earlier template may be scaled up.
    pub rolling: bool,
}

impl Workload {
    #[must_use]
    pub fn contents(&self) -> Items<Content> {
        self.items.map(|item| item.map(|field| field.content))
    }

    /// Of which kind its next pod is.
    #[must_use]
    pub fn pod(&self) -> Pods {
        match self.items[VOLUME] {
            Some(Field { content: Content::Of(_), .. }) => Pods::MOUNTING,
            _ => Pods::PLAIN,
        }
    }
}

/// A set of kinds of pods, or of ReplicaSets: those with a volume of the class, and those without.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Pods(u8);

impl Pods {
    pub const NONE: Self = Self(0);
    pub const MOUNTING: Self = Self(1);
    pub const PLAIN: Self = Self(2);
    pub const KINDS: [Self; 2] = [Self::MOUNTING, Self::PLAIN];

    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}
