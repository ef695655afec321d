//! The certificate and key of a credential: `azidentity.ParseCertificates` v1.8.2 and MSAL's choice of the certificate
//! that signs.

use super::{
    Field::ClientSecret,
    Problem, Reason, Secret,
    certificate::Certificate,
    encoding,
    pem::{self, Block},
    pkcs12::{self, Refusal},
    private_key::{self, PrivateKey, RsaPublic},
};

/// What could be read.
#[derive(Default)]
pub(super) struct Bundle {
    /// In the order in which the consumer sends them: the one that signs first.
    pub(super) chain: Vec<Certificate>,
    pub(super) key: Option<RsaPublic>,
}

impl Bundle {
    /// The certificate of the key.
    pub(super) fn signer(&self) -> Option<&Certificate> {
        self.chain.first().filter(|certificate| self.key.is_some() && certificate.key == self.key)
    }
}

const CONVERT: &str = "convert it: openssl pkcs12 -in NEW.pfx -passin pass: -nodes -out BUNDLE.pem, and store BUNDLE.pem in base64 \
                       (or: openssl pkcs12 -export -legacy -macalg SHA1 -in BUNDLE.pem -passout pass: -out OLD.pfx)";

/// Reads `client_secret`, and says everything that is wrong with it.
pub(super) fn read(client_secret: &str, problems: &mut Vec<Problem>) -> Bundle {
    let mut found = |problem| problems.push(problem);
    match blocks(client_secret) {
        Ok(blocks) => assemble(&blocks, &mut found),
        Err(problem) => {
            found(problem);
            Bundle::default()
        }
    }
}

/// The key that signs, as PKCS#8 or PKCS#1; none where there is no certificate of it.
pub(super) fn signing_key(client_secret: &str) -> Option<(Secret, Vec<Certificate>)> {
    signing_key_of(&encoding::base64(client_secret.as_bytes())?)
}

/// The same of a file.
pub(super) fn signing_key_of(file: &Secret) -> Option<(Secret, Vec<Certificate>)> {
    let blocks = blocks_of(file).ok()?;
    let bundle = assemble(&blocks, &mut |_| {});
    bundle.signer()?;
    let is_it =
        |block: &&Block| matches!(read_key(block), Some(PrivateKey::Rsa(key)) if Some(&key) == bundle.key.as_ref());
    let key = blocks.iter().find(is_it)?.bytes.clone();
    Some((key, bundle.chain))
}

fn assemble(blocks: &[Block], found: &mut impl FnMut(Problem)) -> Bundle {
    let certificates = certificates(blocks, found);
    let key = key(blocks, found);
    chain(certificates, key, found)
}

fn blocks(client_secret: &str) -> Result<Vec<Block>, Problem> {
    let bytes = encoding::base64(client_secret.as_bytes()).ok_or_else(|| not_base64(client_secret))?;
    blocks_of(&bytes).map_err(|refusal| refused(refusal, &bytes))
}

fn blocks_of(file: &Secret) -> Result<Vec<Block>, Refusal> {
    let blocks = pem::blocks(file.expose());
    if blocks.is_empty() { pkcs12::blocks(file.expose()) } else { Ok(blocks) }
}

fn not_base64(client_secret: &str) -> Problem {
    let message = if client_secret.contains("-----BEGIN") {
        "is PEM text, and the consumer wants it in base64"
    } else if client_secret.contains(['-', '_']) {
        "is base64 for URLs, and the consumer wants the standard one (+ and / for - and _)"
    } else if !client_secret.len().is_multiple_of(4) {
        "is no base64: its length is no multiple of four, padding (=) included"
    } else {
        "is no base64"
    };
    Problem::error(
        Reason::SecretNotBase64,
        ClientSecret,
        message,
        "store the PEM or PKCS#12 file as `base64 -w0` prints it",
    )
}

fn refused(refusal: Refusal, bytes: &Secret) -> Problem {
    let error = |reason, message: String, remedy: &str| Problem::error(reason, ClientSecret, message, remedy);
    match refusal {
        Refusal::NotPkcs12 => {
            let twice = encoding::base64(bytes.expose()).is_some_and(|inner| {
                !pem::blocks(inner.expose()).is_empty()
                    || !matches!(pkcs12::blocks(inner.expose()), Err(Refusal::NotPkcs12))
            });
            let (message, remedy) = if twice {
                ("is in base64 twice", "encode the file once")
            } else {
                (
                    "holds neither PEM blocks nor PKCS#12",
                    "store a certificate with its private key, as PEM or as PKCS#12 without a password",
                )
            };
            error(Reason::NotACertificate, message.to_owned(), remedy)
        }
        Refusal::Damaged(part) => {
            let message = format!("is PKCS#12 of which {part} cannot be read");
            error(Reason::DamagedPkcs12, message, "store the file anew, as it was exported")
        }
        Refusal::Key => {
            let message = "is PKCS#12 whose private key is no key".to_owned();
            error(Reason::DamagedPkcs12, message, "export the certificate with its key anew")
        }
        Refusal::Password => {
            let message = "is PKCS#12 with a password (or damaged: its MAC is wrong for the empty one)".to_owned();
            error(Reason::Pkcs12Password, message, "export it without a password: nobody gives the consumer one")
        }
        Refusal::NoMac => {
            error(Reason::UnsupportedPkcs12, "is PKCS#12 without a MAC, which the consumer refuses".to_owned(), CONVERT)
        }
        Refusal::Mac(algorithm) => {
            let name = match algorithm.as_str() {
                "2.16.840.1.101.3.4.2.1" => "SHA-256, OpenSSL 3's default",
                other => other,
            };
            let message = format!("is PKCS#12 with a MAC of {name}; the consumer reads SHA-1 only");
            error(Reason::UnsupportedPkcs12, message, CONVERT)
        }
        Refusal::Cipher(algorithm) => {
            let name = match algorithm.as_str() {
                "1.2.840.113549.1.5.13" => "PBES2 (AES), OpenSSL 3's default",
                other => other,
            };
            let message = format!(
                "is PKCS#12 encrypted with {name}; the consumer reads SHA-1 with triple DES or 40-bit RC2 only"
            );
            error(Reason::UnsupportedPkcs12, message, CONVERT)
        }
        Refusal::TooManyIterations => {
            let message = "is PKCS#12 with more than ten million iterations: the consumer would be busy for minutes";
            error(Reason::UnsupportedPkcs12, message.to_owned(), CONVERT)
        }
        Refusal::Layout(layout) => error(Reason::UnsupportedPkcs12, format!("is PKCS#12 that {layout}"), CONVERT),
    }
}

fn certificates(blocks: &[Block], found: &mut impl FnMut(Problem)) -> Vec<Certificate> {
    let mut certificates = Vec::new();
    let mut there = false;
    for block in blocks.iter().filter(|block| block.label == "CERTIFICATE") {
        there = true;
        match Certificate::read(block.bytes.expose()) {
            Some(certificate) => certificates.push(certificate),
            None => found(Problem::error(
                Reason::InvalidCertificate,
                ClientSecret,
                "has a certificate that cannot be read; the consumer refuses all for one",
                "replace it, or leave it out if it is not of the chain",
            )),
        }
    }
    if !there {
        let message = "has no certificate (PEM block CERTIFICATE)";
        found(Problem::error(Reason::NoCertificate, ClientSecret, message, "add the certificate of the private key"));
    }
    certificates
}

const KEYS: [&str; 2] = ["PRIVATE KEY", "RSA PRIVATE KEY"];

fn read_key(block: &Block) -> Option<PrivateKey> {
    match block.label.as_str() {
        "PRIVATE KEY" => private_key::read(block.bytes.expose()),
        "RSA PRIVATE KEY" if !block.encrypted => private_key::pkcs1(block.bytes.expose()).map(PrivateKey::Rsa),
        _ => None,
    }
}

fn key(blocks: &[Block], found: &mut impl FnMut(Problem)) -> Option<RsaPublic> {
    let mut keys = Vec::new();
    for block in blocks.iter().filter(|block| KEYS.contains(&block.label.as_str())) {
        keys.push(read_key(block));
    }
    let mut error =
        |reason, message: String, remedy: &str| found(Problem::error(reason, ClientSecret, message, remedy));
    if keys.is_empty() {
        let (message, remedy) = no_key(blocks);
        error(Reason::NoPrivateKey, message, remedy);
    }
    if keys.len() > 1 {
        let message = format!("has {} private keys, and the consumer takes exactly one", keys.len());
        error(Reason::SeveralPrivateKeys, message, "leave only the key that belongs to the certificate");
    }
    let mut rsa = None;
    for key in keys {
        match key {
            Some(PrivateKey::Rsa(key)) => rsa = rsa.or(Some(key)),
            Some(PrivateKey::Other(kind)) => {
                let message = format!("has an {kind} key; the consumer signs with RSA only");
                error(Reason::KeyNotRsa, message, "issue the certificate for an RSA key of 2048 bits or more");
            }
            None => {
                let message = "has a private key that is damaged, encrypted or of an unknown kind".to_owned();
                error(Reason::InvalidPrivateKey, message, "store the key as unencrypted PKCS#8 or PKCS#1");
            }
        }
    }
    rsa
}

fn no_key(blocks: &[Block]) -> (String, &'static str) {
    let has = |label: &str| blocks.iter().any(|block| block.label == label);
    if has("ENCRYPTED PRIVATE KEY") {
        ("has only an encrypted private key".to_owned(), "decrypt it: openssl pkey -in KEY.pem -out KEY.plain.pem")
    } else if has("EC PRIVATE KEY") {
        let message = "has only an EC private key, which the consumer does not see".to_owned();
        (message, "issue the certificate for an RSA key of 2048 bits or more")
    } else {
        let message = "has no private key (PEM block PRIVATE KEY or RSA PRIVATE KEY)".to_owned();
        (message, "add the private key of the certificate")
    }
}

/// As MSAL sends it: the certificates of the key first, the others as they stand.
fn chain(certificates: Vec<Certificate>, key: Option<RsaPublic>, found: &mut impl FnMut(Problem)) -> Bundle {
    let Some(key) = key else { return Bundle { chain: certificates, key } };
    let (mut chain, others): (Vec<_>, Vec<_>) =
        certificates.into_iter().partition(|certificate| certificate.key.as_ref() == Some(&key));
    if chain.is_empty() && !others.is_empty() {
        let message = "has a private key that belongs to none of its certificates";
        let remedy = "store the certificate and the key that were issued together";
        found(Problem::error(Reason::KeyWithoutCertificate, ClientSecret, message, remedy));
    }
    chain.reverse();
    chain.extend(others);
    if key.bits() < 2048 {
        let message = format!("has a key of {} bits, which is too weak for Entra", key.bits());
        found(Problem::error(
            Reason::WeakKey,
            ClientSecret,
            message,
            "issue the certificate for a key of 2048 bits or more",
        ));
    }
    let out_of_order = chain.windows(2).any(|pair| match pair {
        [issued, issuer] => issued.issuer != issuer.subject || issued.is_self_issued(),
        _ => false,
    });
    if out_of_order {
        let message = "has certificates that do not follow one another: each should be issued by the next";
        let remedy = "put the certificate of the key first, then the one that issued it, and so on; leave others out";
        found(Problem::warning(Reason::ChainOrder, ClientSecret, message, remedy));
    }
    Bundle { chain, key: Some(key) }
}
