//! Private keys as Go's `crypto/x509` reads and `crypto/rsa` checks them.

use crypto_bigint::{BoxedUint, ConcatenatingMul as _, Integer as _, NonZero};
use zeroize::Zeroizing;

use super::der::{self, OCTET_STRING, Reader, SEQUENCE};

/// What signs: its public half, and of which kind it is.
pub(super) enum PrivateKey {
    Rsa(RsaPublic),
    /// The consumer signs with RSA only.
    Other(&'static str),
}

/// Enough to find the certificate of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RsaPublic {
    /// Big-endian, without leading zeros.
    pub(crate) modulus: Vec<u8>,
    pub(crate) exponent: i64,
}

impl RsaPublic {
    pub(crate) fn bits(&self) -> usize {
        let zeros = self.modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
        (self.modulus.len() * 8).saturating_sub(zeros)
    }
}

pub(super) const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// The key of a block `PRIVATE KEY`: PKCS#8, or PKCS#1 under the wrong name.
pub(super) fn read(bytes: &[u8]) -> Option<PrivateKey> {
    pkcs8(bytes).or_else(|| pkcs1(bytes).map(PrivateKey::Rsa))
}

fn pkcs8(bytes: &[u8]) -> Option<PrivateKey> {
    let (algorithm, key) = inside_pkcs8(bytes)?;
    match algorithm {
        RSA => pkcs1(key).map(PrivateKey::Rsa),
        EC => Some(PrivateKey::Other("EC")),
        ED25519 => Some(PrivateKey::Other("Ed25519")),
        _ => None,
    }
}

/// Of which kind the key is, and the key itself: PKCS#1 where it is an RSA key.
pub(super) fn inside_pkcs8(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut info = Reader(bytes).enter(SEQUENCE)?;
    info.small_integer()?;
    let (algorithm, _) = info.algorithm()?;
    Some((algorithm, info.value(OCTET_STRING)?))
}

/// The key of a block `RSA PRIVATE KEY`.
pub(super) fn pkcs1(bytes: &[u8]) -> Option<RsaPublic> {
    let mut key = Reader(der::only(bytes, SEQUENCE)?.value);
    if key.small_integer()? > 1 {
        return None;
    }
    let modulus = key.positive()?;
    let public = RsaPublic { modulus: modulus.to_vec(), exponent: key.small_integer()? };
    let n = number(modulus);
    let (d, p, q) = (number(key.positive()?), number(key.positive()?), number(key.positive()?));
    let mut hints = Vec::new();
    while hints.len() < 3 && key.peek() == Some(der::INTEGER) {
        hints.push(number(key.positive()?));
    }
    if !key.is_empty() {
        // Go looks for more primes there.
        key.header()?;
    }
    let several_primes = key.peek() == Some(SEQUENCE);
    let sound = is_sound_public(&public, &n)
        && below(&d, &n)
        && (several_primes || is_sound(&Numbers { e: public.exponent, n, d, p, q, hints: &hints })?);
    sound.then_some(public)
}

type Number = Zeroizing<BoxedUint>;

fn number(bytes: &[u8]) -> Number {
    Zeroizing::new(BoxedUint::from_be_slice_vartime(bytes))
}

struct Numbers<'a> {
    e: i64,
    n: Number,
    d: Number,
    p: Number,
    q: Number,
    /// d mod p-1, d mod q-1 and q⁻¹ mod p, as far as they are written down.
    hints: &'a [Number],
}

/// Odd, and with an exponent that fits into 31 bits, is odd and not one.
fn is_sound_public(public: &RsaPublic, n: &Number) -> bool {
    let odd = n.is_odd().to_bool();
    odd && (3..=0x7fff_ffff).contains(&public.exponent) && public.exponent % 2 == 1
}

/// Go's checks of consistency: p·q = n, d·e = 1 mod p-1 and q-1, hints that are right, p and q not close, d not small.
fn is_sound(key: &Numbers) -> Option<bool> {
    let Numbers { e, n, d, p, q, hints } = key;
    if !below(p, n) || !below(q, n) || !remainder(&multiply(p, q), n)?.is_zero().to_bool() {
        return Some(false);
    }
    let e = number(&e.to_be_bytes());
    for (prime, hint) in [(p, hints.first()), (q, hints.get(1))] {
        let less_one = Zeroizing::new(prime.wrapping_sub(BoxedUint::one()));
        let reduced = remainder(d, &less_one)?;
        let inverse = *remainder(&multiply(&e, &reduced), &less_one)? == BoxedUint::one();
        // With a hint missing Go computes all of them anew.
        let hinted = hints.len() < 3 || hint.is_some_and(|hint| **hint == *reduced);
        if !inverse || !hinted {
            return Some(false);
        }
    }
    if let [_, _, coefficient] = hints {
        let inverse = *remainder(&multiply(coefficient, q), p)? == BoxedUint::one();
        if !inverse || !below(coefficient, p) {
            return Some(false);
        }
    }
    let distance = if below(p, q) { q.wrapping_sub(&**p) } else { p.wrapping_sub(&**q) };
    let half = i64::from(n.bit_width_vartime() / 2);
    let far = i64::from(Zeroizing::new(distance).bit_width_vartime()) > half - 100;
    Some(far && i64::from(d.bit_width_vartime()) > half)
}

fn below(a: &Number, b: &Number) -> bool {
    **a < **b
}

fn multiply(a: &Number, b: &Number) -> Number {
    Zeroizing::new(a.concatenating_mul(b))
}

fn remainder(a: &Number, modulus: &Number) -> Option<Number> {
    let modulus = NonZero::new((**modulus).clone()).into_option()?;
    Some(Zeroizing::new(a.rem_vartime(&modulus)))
}
