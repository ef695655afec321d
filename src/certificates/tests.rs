use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    time::Duration,
};

use k8s_openapi::ByteString;
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::aws_lc_rs,
    pki_types::UnixTime,
};

use super::*;
use crate::credential::Secret;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn service() -> Service {
    Service { name: "hcp-identity-webhook".to_owned(), namespace: "hcp-identity".to_owned() }
}

fn start() -> Timestamp {
    "2026-11-27T09:00:00Z".parse().unwrap()
}

/// What a client says to a certificate that is served to it.
fn accepts(bundle: &[u8], leaf: &Leaf, now: Timestamp) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(bundle).unwrap() {
        roots.add(certificate).unwrap();
    }
    let provider = aws_lc_rs::default_provider().into();
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
    let now = UnixTime::since_unix_epoch(now.duration_since(Timestamp::UNIX_EPOCH).unsigned_abs());
    let [certificate] = &leaf.certified.cert[..] else { panic!("a chain") };
    verifier.verify_server_cert(certificate, &[], &service().server_name().unwrap(), &[], now).map(drop)
}

/// A Secret that replicas keep, each by a clock and at a time of its own, and the bundles that there have been.
struct World {
    lifetimes: Lifetimes,
    secret: Authority,
    bundles: Vec<(Timestamp, Vec<u8>)>,
    replicas: Vec<Replica>,
}

#[derive(Default)]
struct Replica {
    /// By how much its clock is ahead.
    ahead: Duration,
    read: Option<(Authority, Timestamp)>,
    leaf: Option<Leaf>,
    trusted: Option<Timestamp>,
}

impl World {
    fn new(lifetimes: Lifetimes, replicas: usize) -> Self {
        let secret = Authority::new(start(), &lifetimes).unwrap();
        let bundles = vec![(start(), secret.bundle())];
        let ahead = |index| lifetimes.skew / 2 * index;
        let replicas =
            (0..).take(replicas).map(|index| Replica { ahead: ahead(index), ..Replica::default() }).collect();
        Self { lifetimes, secret, bundles, replicas }
    }

    /// A replica that is cut off does not hear of the Secret; it goes on with what it has read.
    fn turn(&mut self, index: usize, now: Timestamp, is_cut_off: bool) {
        let replica = &mut self.replicas[index];
        let now = later(now, replica.ahead);
        if !is_cut_off {
            if self.secret.has_next() {
                replica.trusted.get_or_insert(now);
            } else {
                replica.trusted = None;
            }
            if let Some(next) = self.secret.next(now, &self.lifetimes, replica.trusted).unwrap() {
                self.bundles.push((now, next.bundle()));
                self.secret = next;
            }
            replica.read = Some((self.secret.clone(), now));
        }
        let Some((authority, read)) = &replica.read else { return };
        if replica.leaf.as_ref().is_none_or(|leaf| leaf.is_due(authority, *read)) {
            replica.leaf = Leaf::new(authority, &service(), *read, &self.lifetimes).ok();
        }
    }

    fn bundle_of(&self, then: Timestamp) -> usize {
        self.bundles.iter().rposition(|(since, _)| *since <= then).unwrap_or_default()
    }
}

/// Has replicas serve for a time, and a client that is `behind` call each at every step: how many bundles there were, or
/// what the client was refused with.
fn serve_for(time: Duration, step: Duration, behind: Duration, lifetimes: Lifetimes) -> Result<usize, String> {
    let mut world = World::new(lifetimes, 3);
    let mut known = HashSet::new();
    let mut now = start();
    for turn in 0_u64.. {
        if now > later(start(), time) {
            break;
        }
        for index in 0..world.replicas.len() {
            // The last one hears of nothing for two lives of a leaf of every five, and another one only every seventh time.
            let lives = now.duration_since(start()).as_secs_f64() / lifetimes.leaf.as_secs_f64();
            let is_cut_off = match index {
                2 => lives % 5.0 > 3.0,
                1 => !turn.is_multiple_of(7),
                _ => false,
            };
            world.turn(index, now, is_cut_off);
        }
        for behind in [Duration::ZERO, behind] {
            let bundle = world.bundle_of(earlier(now, behind));
            for (index, replica) in world.replicas.iter().enumerate() {
                let Some(leaf) = replica.leaf.as_ref().filter(|leaf| now < leaf.not_after) else {
                    assert_eq!(index, 2, "only who is cut off for longer than a certificate lasts has none at {now}");
                    continue;
                };
                // A chain that was good stays so until the certificate expires.
                if known.insert((bundle, leaf.certified.cert[0].to_vec())) {
                    let accepted = accepts(&world.bundles[bundle].1, leaf, now);
                    accepted.map_err(|error| format!("{index} at {now}: {error}"))?;
                }
            }
        }
        now = later(now, step);
    }
    Ok(world.bundles.len())
}

#[test]
fn in_a_year_and_a_half_no_client_refuses_any_replica() {
    let lifetimes = Lifetimes::default();
    let bundles = serve_for(540 * DAY, 15 * MINUTE, lifetimes.overlap - 20 * MINUTE, lifetimes).unwrap();
    // Twice a next one, which signs, and the one before goes.
    assert_eq!(bundles, 1 + 2 * 3);
}

#[test]
fn at_every_turn_of_short_lives_no_client_refuses_any_replica() {
    let lifetimes = Lifetimes { authority: 30 * DAY, leaf: 6 * HOUR, overlap: 2 * HOUR, skew: 5 * MINUTE };
    let bundles = serve_for(150 * DAY, 10 * MINUTE, lifetimes.overlap - 20 * MINUTE, lifetimes).unwrap();
    assert_eq!(bundles, 1 + 7 * 3);
}

#[test]
fn without_the_overlap_a_client_would_refuse() {
    let lifetimes = Lifetimes { authority: 30 * DAY, leaf: 6 * HOUR, overlap: Duration::ZERO, skew: 5 * MINUTE };
    let refused = serve_for(60 * DAY, 10 * MINUTE, 100 * MINUTE, lifetimes).unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
}

/// The states of an authority, by the lifetimes above.
#[test]
fn an_authority_is_trusted_before_it_signs_and_after() {
    let lifetimes = Lifetimes::default();
    let after = |days: u32| later(start(), days * DAY);
    let next = |authority: &Authority, now, trusted| authority.next(now, &lifetimes, trusted).unwrap();
    let count = |authority: &Authority| pem::certificates(&authority.bundle()).unwrap().len();

    let first = Authority::new(start(), &lifetimes).unwrap();
    assert!(next(&first, after(243), None).is_none() && count(&first) == 1);
    let both = next(&first, after(244), None).expect("two thirds are over");
    assert_eq!((count(&both), both.has_next(), both.not_after()), (2, true, first.not_after()));
    // Nobody is known to trust it; then not for long enough.
    assert!(next(&both, after(300), None).is_none());
    assert!(next(&both, after(300), Some(earlier(after(300), 59 * MINUTE))).is_none());
    let second = next(&both, after(300), Some(earlier(after(300), 60 * MINUTE))).expect("it is trusted");
    assert_eq!((count(&second), second.has_next()), (2, false));
    assert_eq!(second.bundle(), both.bundle(), "nobody need hear of it");
    assert!(second.not_after() > first.not_after());
    // Until the last leaf of the first has expired.
    assert!(next(&second, later(after(301), 9 * MINUTE), None).is_none());
    let alone = next(&second, later(after(301), 10 * MINUTE), None).expect("the first is of no use");
    assert_eq!((count(&alone), alone.not_after()), (1, second.not_after()));
}

#[test]
fn what_has_expired_is_replaced_by_the_next_trusted_or_not() {
    let lifetimes = Lifetimes::default();
    let expired = later(start(), lifetimes.authority);
    let next = |authority: &Authority, now| authority.next(now, &lifetimes, None).unwrap().expect("something new");
    let first = Authority::new(start(), &lifetimes).unwrap();
    let both = next(&first, later(start(), 300 * DAY));
    let (second, anew) = (next(&both, expired), next(&first, expired));
    assert_eq!(second.not_after(), later(start(), 665 * DAY));
    assert_eq!(anew.not_after(), later(expired, lifetimes.authority));
    // Nobody was there for years.
    let anew = next(&both, later(expired, 700 * DAY));
    assert_eq!(anew.not_after(), later(start(), (365 + 700 + 365) * DAY));
}

#[test]
fn a_leaf_is_good_from_when_its_authority_was_read_and_no_longer_than_that() {
    let lifetimes = Lifetimes::default();
    let authority = Authority::new(start(), &lifetimes).unwrap();
    let leaf = Leaf::new(&authority, &service(), start(), &lifetimes).unwrap();
    assert_eq!(leaf.not_after, later(start(), DAY));
    let accepted = |at| accepts(&authority.bundle(), &leaf, at).is_ok();
    assert!(accepted(earlier(start(), 5 * MINUTE)) && !accepted(earlier(start(), 6 * MINUTE)));
    assert!(accepted(later(start(), DAY)) && !accepted(later(start(), DAY + MINUTE)));
    assert!(!leaf.is_due(&authority, later(start(), 15 * HOUR)) && leaf.is_due(&authority, later(start(), 16 * HOUR)));
    assert!(leaf.is_due(&Authority::new(start(), &lifetimes).unwrap(), start()), "another authority");
    let late = Leaf::new(&authority, &service(), earlier(authority.not_after(), HOUR), &lifetimes).unwrap();
    assert_eq!(late.not_after, authority.not_after());
}

#[test]
fn a_leaf_is_for_what_the_service_is_called_and_for_nothing_else() {
    let lifetimes = Lifetimes::default();
    let authority = Authority::new(start(), &lifetimes).unwrap();
    let leaf = Leaf::new(&authority, &service(), start(), &lifetimes).unwrap();
    let parsed = rustls::server::ParsedCertificate::try_from(&leaf.certified.cert[0]).unwrap();
    let is_for =
        |name: &'static str| rustls::client::verify_server_name(&parsed, &ServerName::try_from(name).unwrap()).is_ok();
    for name in ["hcp-identity-webhook.hcp-identity.svc", "hcp-identity-webhook.hcp-identity.svc.cluster.local"] {
        assert!(is_for(name) && is_for("hcp-identity-webhook.hcp-identity"));
    }
    for name in ["hcp-identity-webhook", "another.hcp-identity.svc", "hcp-identity-webhook.another.svc", "localhost"] {
        assert!(!is_for(name), "{name}");
    }
    let no_name = Service { name: "a b".to_owned(), namespace: "c".to_owned() };
    let failed = Leaf::new(&authority, &no_name, start(), &lifetimes).unwrap_err();
    assert_eq!(failed.to_string(), "no certificate can be for the Service's name a b.c.svc");
}

/// An authority at every turn, as it comes back from the Secret.
#[test]
fn a_secret_gives_back_what_was_put_into_it() {
    let lifetimes = Lifetimes::default();
    let mut authority = Authority::new(start(), &lifetimes).unwrap();
    for (day, entries) in [(0, 2), (244, 4), (245, 4), (247, 2)] {
        let now = later(start(), day * DAY);
        let trusted = Some(earlier(now, HOUR));
        authority = authority.next(now, &lifetimes, trusted).unwrap().unwrap_or(authority);
        let data = authority.to_data();
        assert_eq!(data.len(), entries, "{:?}", data.keys());
        authority = Authority::from_data(&data).unwrap();
        assert!(authority.to_data() == data, "day {day}");
        let leaf = Leaf::new(&authority, &service(), now, &lifetimes).unwrap();
        accepts(&authority.bundle(), &leaf, now).unwrap();
    }
}

#[test]
fn what_is_not_ours_in_the_secret_is_named_and_not_replaced() {
    let lifetimes = Lifetimes::default();
    let first = Authority::new(start(), &lifetimes).unwrap();
    let both = first.next(later(start(), 244 * DAY), &lifetimes, None).unwrap().unwrap();
    let now = later(start(), 246 * DAY);
    let second = both.next(now, &lifetimes, Some(start())).unwrap().unwrap();
    let another = Authority::new(start(), &lifetimes).unwrap().to_data();
    let foreign = azure_standin::authority::Authority::new("another's").unwrap().pem().to_owned();
    let text = |text: &str| Some(ByteString(text.as_bytes().to_vec()));
    let twice = |key: &str| Some(ByteString([first.to_data()[key].0.clone(), another[key].0.clone()].concat()));
    let refused = |authority: &Authority, key: &str, value: Option<ByteString>| {
        let mut data = authority.to_data();
        data.remove(key).expect("an entry");
        data.extend(value.map(|value| (key.to_owned(), value)));
        Authority::from_data(&data).unwrap_err().to_string()
    };
    for (authority, key, value, expected) in [
        (&first, "signer.crt", None, "it has no signer.crt"),
        (&first, "signer.key", None, "it has no signer.key"),
        (&both, "next.key", None, "it has no next.key"),
        (&second, "previous.until", None, "it has no previous.until"),
        (&first, "signer.crt", text(""), "signer.crt is not one certificate in PEM that we have made"),
        (&first, "signer.crt", text(&foreign), "signer.crt is not one certificate in PEM that we have made"),
        (&first, "signer.crt", twice("signer.crt"), "signer.crt is not one certificate in PEM that we have made"),
        (&second, "previous.crt", text("x"), "previous.crt is not one certificate in PEM that we have made"),
        (&first, "signer.key", text("x"), "signer.key is not a PKCS#8 key in PEM"),
        (&first, "signer.key", Some(another["signer.key"].clone()), "signer.key is not the key of signer.crt"),
        (&both, "next.crt", Some(another["signer.crt"].clone()), "next.key is not the key of next.crt"),
        (&second, "previous.until", text("tomorrow"), "previous.until is no time"),
    ] {
        assert_eq!(refused(authority, key, value), expected);
    }
    assert_eq!(Authority::from_data(&BTreeMap::new()).unwrap_err(), Unfit::Missing("signer.crt"));
}

#[test]
fn no_key_is_printed() {
    let authority = Authority::new(start(), &Lifetimes::default()).unwrap();
    let leaf = Leaf::new(&authority, &service(), start(), &Lifetimes::default()).unwrap();
    let key = String::from_utf8(authority.to_data()["signer.key"].0.clone()).unwrap();
    let printed = format!("{authority:?} {leaf:?}");
    assert!(key.lines().all(|line| !printed.contains(line)), "{printed}");
    assert!(printed.contains("hcp-identity webhook 2026-11-27T09:00:00Z"), "{printed}");
}

/// A certificate of an authority of somebody else's, and its key, in PEM.
struct Issued {
    chain: Vec<u8>,
    key: Vec<u8>,
}

fn issued(names: &[&str], from: Timestamp, to: Timestamp) -> Issued {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let mut wanted = rcgen::CertificateParams::new(names).unwrap();
    authority::set_validity(&mut wanted, from, to).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = Authority::new(start(), &Lifetimes::default()).unwrap().sign(&wanted, &key).unwrap();
    let intermediate = azure_standin::authority::Authority::new("intermediate").unwrap();
    let chain = [pem::block("CERTIFICATE", &leaf), intermediate.pem().as_bytes().to_vec()].concat();
    Issued { chain, key: pem::block("PRIVATE KEY", key.serialized_der()) }
}

fn good() -> Issued {
    issued(&["a.test", "*.hcp-identity.svc"], start(), later(start(), DAY))
}

fn take(chain: &[u8], key: &[u8], now: Timestamp) -> Result<Provided, Refused> {
    let (chain, key) = (Secret::new(chain.to_vec()), Secret::new(key.to_vec()));
    let file = |path, content| File { path: Path::new(path), content };
    Provided::new(file("/c/tls.crt", &chain), file("/c/tls.key", &key), &service(), now)
}

#[test]
fn a_certificate_of_files_is_served_with_its_chain_until_it_expires() {
    let Issued { chain, key } = good();
    let provided = take(&chain, &key, start()).unwrap();
    assert_eq!((provided.certified.cert.len(), provided.not_after), (2, later(start(), DAY)));
    // Text around it, line ends of another kind, and the key before what else there is.
    let around = [b"subject=x\r\n", &chain[..]].concat();
    let around = String::from_utf8(around).unwrap().replace('\n', "\r\n");
    let both = [&key[..], &chain[..]].concat();
    take(around.as_bytes(), &both, later(start(), DAY - MINUTE)).unwrap();
}

#[test]
fn files_that_cannot_be_served_are_refused_with_what_to_do() {
    let Issued { chain, key } = good();
    let expired = issued(&["*.hcp-identity.svc"], earlier(start(), DAY), start());
    let early = issued(&["*.hcp-identity.svc"], later(start(), MINUTE), later(start(), DAY));
    let other = issued(&["a.test", "b.test"], start(), later(start(), DAY));
    let nameless = issued(&[], start(), later(start(), DAY));
    let empty = pem::block("CERTIFICATE", b"nothing");
    let encrypted = pem::block("ENCRYPTED PRIVATE KEY", b"nothing");
    let refused = |chain: &[u8], key: &[u8]| take(chain, key, start()).unwrap_err().to_string();
    for (refused, expected) in [
        (
            refused(b"", &key),
            "/c/tls.crt is not one or more certificates in PEM; it must have the webhook's, and after it \
                              those that lead to its authority",
        ),
        (
            refused(&key, &key),
            "/c/tls.crt is not one or more certificates in PEM; it must have the webhook's, and after it \
                               those that lead to its authority",
        ),
        (refused(&empty, &key), "the first certificate in /c/tls.crt cannot be used: it is no X.509 certificate"),
        (
            refused(&expired.chain, &expired.key),
            "the certificate in /c/tls.crt has expired at 2026-11-27T09:00:00Z; whoever \
                                                 issues it must renew it",
        ),
        (
            refused(&early.chain, &early.key),
            "the certificate in /c/tls.crt is not valid before 2026-11-27T09:01:00Z; set the \
                                             clock of this node or of its issuer",
        ),
        (
            refused(&other.chain, &other.key),
            "the certificate in /c/tls.crt is for a.test, b.test, but API servers ask for \
                                             hcp-identity-webhook.hcp-identity.svc; have it issued for that name",
        ),
        (
            refused(&nameless.chain, &nameless.key),
            "the certificate in /c/tls.crt is for no name, but API servers ask for \
                                                   hcp-identity-webhook.hcp-identity.svc; have it issued for that name",
        ),
        (
            refused(&chain, b""),
            "/c/tls.key is not a private key in PEM that TLS can use (PKCS#8, SEC1 or PKCS#1, not \
                                encrypted)",
        ),
        (
            refused(&chain, &encrypted),
            "/c/tls.key is not a private key in PEM that TLS can use (PKCS#8, SEC1 or PKCS#1, not \
                                       encrypted)",
        ),
        (
            refused(&chain, &other.key),
            "the key in /c/tls.key is not that of the first certificate in /c/tls.crt; both must \
                                       come from the same issue",
        ),
    ] {
        assert_eq!(refused, expected);
    }
}
