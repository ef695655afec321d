//! The table, row by row.

use std::collections::HashSet;

use strum::IntoEnumIterator;

use super::*;
use crate::names::{is_dns_label, is_secret_name};

#[test]
fn every_id_has_exactly_one_row_in_its_order() {
    let rows: Vec<Id> = COMPONENTS.iter().map(|component| component.id).collect();
    assert_eq!(rows, Id::iter().collect::<Vec<_>>());
    assert!(Id::iter().all(|id| Component::of(id).id == id));
}

#[test]
fn ids_read_the_same_in_settings_and_in_text() {
    for id in Id::iter() {
        assert_eq!(serde_json::to_value(id).unwrap(), id.to_string());
        assert_eq!(id.to_string().parse::<Id>(), Ok(id));
    }
}

#[test]
fn classes_and_fields_are_unique_and_valid() {
    let classes: HashSet<_> = COMPONENTS.iter().map(|component| component.class).collect();
    let fields: HashSet<_> = COMPONENTS.iter().map(|component| component.field).collect();
    assert_eq!((classes.len(), fields.len()), (9, 9));
    let federated = || COMPONENTS.iter().map(|component| &component.federated);
    let fields: HashSet<_> = federated().map(|federated| federated.field).collect();
    let names: HashSet<_> = federated().map(|federated| federated.name).collect();
    assert_eq!((fields.len(), names.len()), (9, 9));
    assert!(classes.iter().all(|class| is_dns_label(class)));
}

#[test]
fn no_two_rows_write_the_same_thing_into_one_container() {
    let mut written = HashSet::new();
    for component in &COMPONENTS {
        for pod in component.pods {
            for container in pod.containers {
                let paths = pod.mount.iter().map(|mount| mount.path);
                let env = pod.env.iter().map(|env| env.name);
                for item in paths.chain(env) {
                    assert!(written.insert((pod.app, container.name, item)), "{:?}: {item}", component.id);
                }
            }
        }
    }
}

/// One token, one identity: Entra would take either.
#[test]
fn no_two_rows_share_a_service_account_and_no_row_has_one_name_twice() {
    let mut accounts = HashSet::new();
    for ServiceAccount { namespace, name, .. } in COMPONENTS.iter().flat_map(|row| row.federated.service_accounts) {
        assert!(is_dns_label(namespace) && is_dns_label(name) && accounts.insert((namespace, name)), "{name}");
    }
    for row in &COMPONENTS {
        let accounts = row.federated.service_accounts;
        let suffixes: HashSet<_> = accounts.iter().map(|account| account.suffix).collect();
        assert!(!accounts.is_empty() && suffixes.len() == accounts.len(), "{:?}", row.id);
        // Which a minter is told.
        assert!(accounts.iter().all(|account| account.namespace == accounts[0].namespace), "{:?}", row.id);
    }
}

#[test]
fn the_first_pod_of_a_row_mounts_and_every_pod_gets_something() {
    for component in &COMPONENTS {
        assert!(component.pods[0].mount.is_some(), "{:?}", component.id);
        assert!(component.pods.iter().all(|pod| pod.mount.is_some() || !pod.env.is_empty()));
        assert!(component.pods.iter().all(|pod| pod.containers[0].presence == Presence::Required));
        assert!(component.pods.iter().flat_map(|pod| &pod.mount).all(|mount| is_secret_name(mount.volume)));
    }
}

/// Their Secrets and ServiceAccounts are asked for by name.
#[test]
fn every_row_is_told_as_whom_it_signs_in_and_by_no_object_of_another() {
    let mut objects = HashSet::new();
    for row in &COMPONENTS {
        let Token { minter, volume, told_by, secret_folder, .. } = &row.federated.token;
        assert!(is_dns_label(minter) && is_dns_label(volume) && !told_by.is_empty(), "{:?}", row.id);
        let secrets = told_by.iter().filter(|place| place.secret().is_some()).count();
        assert!(secret_folder.is_none() || secrets == 1, "{:?}", row.id);
        for name in told_by.iter().filter_map(|place| place.secret().or(place.service_account())) {
            assert!(is_dns_label(name) && objects.insert(name), "{name}");
        }
    }
    assert_eq!(objects.len(), 8);
}

#[test]
fn a_token_is_in_the_folder_that_is_mounted() {
    assert_eq!(TOKEN_FILE.rsplit_once('/'), Some((TOKEN_FOLDER, "token")));
}
