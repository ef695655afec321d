//! One round over one vault: list it, read what has changed, judge, sign in.

use std::{borrow::Cow, collections::HashMap};

use jiff::Timestamp;

use super::{
    Azure, Level, Vault,
    client::{Fetched, Listed},
    memory::{Found, Memory, Rules, disabled, expectation, missing},
    pace::Ending,
    refusal::{Kind, Refusal},
};
use crate::{
    credential::{SignIn, judge},
    verification::Wanted,
};

/// Values that are read of one vault in one round; the rest is read in the next ones.
const BUDGET: usize = 1000;

/// One identity may read some of a vault's secrets and not others, and one authority be away: so many in a row mean all.
const REFUSALS: usize = 5;

/// What a vault lists of wanted secrets, by their names in lower case, as Key Vault takes either for the same.
type Listing<'a> = HashMap<Cow<'a, str>, Option<Listed>>;

fn name(wanted: &Wanted) -> Cow<'_, str> {
    let secret = &wanted.secret;
    let is_lower = !secret.bytes().any(|byte| byte.is_ascii_uppercase());
    if is_lower { Cow::Borrowed(secret) } else { Cow::Owned(secret.to_ascii_lowercase()) }
}

/// What is wanted of one vault.
pub(super) struct Order<'a> {
    pub(super) vault: &'a str,
    pub(super) cloud: &'a str,
    pub(super) wanted: Vec<&'a Wanted>,
    pub(super) rules: Rules,
    pub(super) now: Timestamp,
}

/// How it went. A refusal that is about the vault and not about a secret is its trouble.
pub(super) struct Swept {
    pub(super) ending: Ending,
    pub(super) trouble: Option<String>,
}

impl Swept {
    fn failed(refusal: Refusal) -> Self {
        let Refusal { message, retry_after, .. } = refusal;
        Self { ending: Ending::Failed { retry_after }, trouble: Some(message) }
    }
}

impl Order<'_> {
    /// Costs a request for 25 secrets of the vault, and one for each whose value has to be read.
    pub(super) async fn sweep(&self, azure: &Azure, memory: &mut Memory) -> Swept {
        let outcome = async {
            let vault = azure.vault(self.vault, self.cloud)?;
            let listing = self.list(&vault).await?;
            let (due, rest) = self.due(listing.as_ref(), memory);
            drop(listing);
            self.read(azure, &vault, &due, rest, memory).await
        };
        outcome.await.unwrap_or_else(Swept::failed)
    }

    /// What the vault lists of the wanted secrets. None where the caller may not list, and may ask for each by its name.
    async fn list(&self, vault: &Vault) -> Result<Option<Listing<'_>>, Refusal> {
        let mut listing: Listing<'_> = self.wanted.iter().map(|wanted| (name(wanted), None)).collect();
        let listed = vault.list(|name, listed| {
            if let Some(known) = listing.get_mut(name.as_str()) {
                *known = Some(listed);
            }
        });
        match listed.await {
            Ok(()) => Ok(Some(listing)),
            Err(refusal) if refusal.kind == Kind::Forbidden && self.rules.level > Level::Metadata => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// The secrets whose values have to be read in this round, who waits longest first, and whether there are more.
    fn due(&self, listing: Option<&Listing<'_>>, memory: &mut Memory) -> (Vec<Due<'_>>, Rest) {
        let mut needed = Vec::new();
        for &wanted in &self.wanted {
            let listed = listing.map(|listing| listing.get(&name(wanted)).copied().flatten());
            if let Some(listed) = &listed {
                memory.listed(wanted, listed.as_ref(), self.rules, self.now);
            }
            let listed = listed.flatten();
            let is_needed = match listed {
                Some(listed) => listed.enabled && memory.needs(wanted, &listed, self.rules, self.now),
                None => listing.is_none(),
            };
            if is_needed {
                needed.push(wanted);
            }
        }
        needed.sort_by_key(|wanted| memory.asked(wanted));
        let (mut due, mut rest): (Vec<Due>, _) = (Vec::new(), Rest::None);
        let mut places: HashMap<Cow<'_, str>, usize> = HashMap::new();
        for wanted in needed {
            let name = name(wanted);
            match places.get(&name) {
                Some(place) => due[*place].wanted.push(wanted),
                None if due.len() == BUDGET => rest = Rest::Some,
                None => {
                    let listed = listing.and_then(|listing| listing.get(&name).copied().flatten());
                    places.insert(name, due.len());
                    due.push(Due { listed, wanted: vec![wanted] });
                }
            }
        }
        (due, rest)
    }

    async fn read(
        &self,
        azure: &Azure,
        vault: &Vault,
        due: &[Due<'_>],
        rest: Rest,
        memory: &mut Memory,
    ) -> Result<Swept, Refusal> {
        let mut trouble: Option<Refusal> = None;
        let mut in_a_row = 0;
        for Due { listed, wanted } in due {
            let Some(first) = wanted.first() else { continue };
            let outcome = match vault.get(&first.secret).await {
                Ok(fetched) => self.judge(azure, &fetched, listed.as_ref(), wanted, memory).await,
                Err(refusal) => self.unread(refusal, wanted, memory),
            };
            match outcome {
                Ok(()) => in_a_row = 0,
                Err(refusal) => {
                    let of_one = [Kind::Forbidden, Kind::Unavailable].contains(&refusal.kind);
                    in_a_row += 1;
                    let refusal = trouble.take().unwrap_or(refusal);
                    if !of_one || in_a_row == REFUSALS {
                        return Err(refusal);
                    }
                    trouble = Some(refusal);
                }
            }
        }
        Ok(match trouble {
            Some(refusal) => Swept::failed(refusal),
            None if rest == Rest::Some => Swept { ending: Ending::Unfinished, trouble: None },
            None => Swept { ending: Ending::Complete, trouble: None },
        })
    }

    /// That a secret cannot be mounted is known of it; everything else is trouble of the vault.
    fn unread(&self, refusal: Refusal, wanted: &[&Wanted], memory: &mut Memory) -> Result<(), Refusal> {
        let says: fn(&Wanted) -> Refusal = match refusal.kind {
            Kind::Missing => missing,
            Kind::Disabled => disabled,
            _ => return Err(refusal),
        };
        wanted.iter().for_each(|one| memory.gone(one, &says(one), self.now));
        Ok(())
    }

    /// Judges a version for all who want it; it signs in once.
    async fn judge(
        &self,
        azure: &Azure,
        fetched: &Fetched,
        listed: Option<&Listed>,
        wanted: &[&Wanted],
        memory: &mut Memory,
    ) -> Result<(), Refusal> {
        let listed = listed.unwrap_or(&fetched.listed);
        let mut sign_in: Option<Result<(), Refusal>> = None;
        for one in wanted {
            if !memory.needs(one, listed, self.rules, self.now) {
                memory.unchanged(one, self.now);
                continue;
            }
            let verdict = judge(&fetched.value, one.encoding, &expectation(one, listed, self.rules), self.now);
            let tried = verdict.is_valid() && memory.needs_sign_in(one, listed, self.rules, self.now);
            if tried && sign_in.is_none() {
                let credential = SignIn::read(&fetched.value, one.encoding);
                sign_in = match &credential {
                    Some(credential) => Some(azure.sign_in(credential, &one.cloud, self.now).await),
                    None => None,
                };
            }
            let sign_in = sign_in.as_ref().filter(|_| tried);
            let version = fetched.version.as_deref();
            memory.judged(one, &Found { listed, version, verdict: &verdict, sign_in }, self.rules, self.now);
        }
        match sign_in {
            Some(Err(refusal)) if refusal.kind != Kind::SignInRefused => Err(refusal),
            _ => Ok(()),
        }
    }
}

/// What is due beyond the budget of a round.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Rest {
    None,
    Some,
}

struct Due<'a> {
    /// None where the vault does not list.
    listed: Option<Listed>,
    wanted: Vec<&'a Wanted>,
}
