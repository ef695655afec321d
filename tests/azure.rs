//! `hcp-identity azure`: the files that it makes, what it makes of those that are there, and what it leaves alone.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are parts of tests")]
#![allow(clippy::disallowed_methods, reason = "this is about files")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hcp_identity::provision::{INSTALLER_COPY, PRIVATE, PUBLIC, Reason};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use strum::IntoEnumIterator as _;
use support::{hcp_identity, text};

/// An empty folder of this test's own.
fn empty(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("azure").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A pair, and another one: made once.
static PAIRS: LazyLock<[PathBuf; 2]> = LazyLock::new(|| {
    ["one-pair", "another-pair"].map(|name| {
        let folder = empty(name);
        assert_eq!(create_key_pair(&folder).0, 0);
        folder
    })
});

/// A folder with a pair.
fn pair(name: &str) -> PathBuf {
    let folder = empty(name);
    fs::create_dir(folder.join("tls")).unwrap();
    for file in [PRIVATE, PUBLIC, INSTALLER_COPY] {
        fs::copy(PAIRS[0].join(file), folder.join(file)).unwrap();
    }
    folder
}

fn create_key_pair(folder: &Path) -> (i32, String, String) {
    run(hcp_identity().args(["azure", "create-key-pair", "--output-dir"]).arg(folder))
}

fn rotate(folder: &Path) -> (i32, String, String) {
    run(hcp_identity().args(["azure", "create-key-pair", "--rotate", "--output-dir"]).arg(folder))
}

fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().expect("it starts");
    (output.status.code().expect("it exits"), text(output.stdout), text(output.stderr))
}

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).output().expect("openssl is installed");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Every file below, with what it holds and who may read it.
fn contents(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            found.extend(contents(&path));
        } else {
            let bytes = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            found.insert(path, (metadata.mode(), bytes));
        }
    }
    found
}

fn names(folder: &Path) -> Vec<String> {
    contents(folder).keys().map(|path| path.strip_prefix(folder).unwrap().to_string_lossy().into_owned()).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn a_pair_is_made_as_ccoctl_and_openssl_would_write_it() {
    let folder = empty("made").join("keys");
    let (exit, stdout, stderr) = create_key_pair(&folder);
    assert_eq!((exit, stderr.as_str()), (0, ""));
    assert_eq!(names(&folder), [PRIVATE, PUBLIC, INSTALLER_COPY]);
    for file in [PRIVATE, PUBLIC, INSTALLER_COPY] {
        assert_eq!(mode(&folder.join(file)), 0o600, "{file}");
        assert!(stdout.contains(&format!("created: {}\n", folder.join(file).display())), "{stdout}");
    }
    assert_eq!((mode(&folder), mode(&folder.join("tls"))), (0o700, 0o700));

    let private = folder.join(PRIVATE);
    let private = private.to_str().unwrap();
    openssl(&["rsa", "-in", private, "-check", "-noout"]);
    let bits = text(openssl(&["rsa", "-in", private, "-text", "-noout"]));
    assert!(bits.starts_with("Private-Key: (4096 bit, 2 primes)"), "{bits}");
    assert_eq!(openssl(&["rsa", "-in", private, "-traditional"]), fs::read(private).unwrap());
    assert_eq!(openssl(&["pkey", "-in", private, "-pubout"]), fs::read(folder.join(PUBLIC)).unwrap());
    assert_eq!(fs::read(private).unwrap(), fs::read(folder.join(INSTALLER_COPY)).unwrap());

    let info = openssl(&["pkey", "-in", private, "-pubout", "-outform", "DER"]);
    let id = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(info));
    assert!(stdout.ends_with(&format!("key id: {id}\n")), "{stdout}");
}

#[test]
fn every_pair_is_another_one() {
    let [one, another] = &*PAIRS;
    assert_ne!(fs::read(one.join(PRIVATE)).unwrap(), fs::read(another.join(PRIVATE)).unwrap());
}

#[test]
fn the_current_folder_is_the_default() {
    let folder = pair("current");
    let (exit, stdout, stderr) = run(hcp_identity().current_dir(&folder).args(["azure", "create-key-pair"]));
    assert_eq!((exit, stderr.as_str()), (0, ""));
    assert!(stdout.starts_with("kept: ./serviceaccount-signer.private\n"), "{stdout}");
}

#[test]
fn a_pair_that_is_there_is_not_touched() {
    let folder = pair("untouched");
    let times =
        || [PRIVATE, PUBLIC, INSTALLER_COPY].map(|file| fs::metadata(folder.join(file)).unwrap().modified().unwrap());
    let before = (contents(&folder), times());
    let (exit, stdout, stderr) = create_key_pair(&folder);
    assert_eq!((exit, stderr.as_str()), (0, ""));
    assert_eq!(stdout.matches("kept: ").count(), 3, "{stdout}");
    assert_eq!((contents(&folder), times()), before);
}

#[test]
fn what_is_missing_is_made_from_the_private_key() {
    let folder = pair("missing");
    let before = contents(&folder);
    for missing in [PUBLIC, INSTALLER_COPY] {
        fs::remove_file(folder.join(missing)).unwrap();
        let (exit, stdout, _) = create_key_pair(&folder);
        assert_eq!(exit, 0);
        assert!(stdout.contains(&format!("created: {}", folder.join(missing).display())), "{stdout}");
        assert_eq!(contents(&folder), before);
    }
}

#[test]
fn keys_that_others_could_read_are_taken_from_them() {
    let folder = pair("open");
    for (file, permissions) in [(PRIVATE, 0o644), (PUBLIC, 0o644), (INSTALLER_COPY, 0o640)] {
        fs::set_permissions(folder.join(file), Permissions::from_mode(permissions)).unwrap();
    }
    let (exit, stdout, _) = create_key_pair(&folder);
    assert_eq!(exit, 0);
    assert_eq!(stdout.matches("restricted: ").count(), 2, "{stdout}");
    assert_eq!([PRIVATE, PUBLIC, INSTALLER_COPY].map(|file| mode(&folder.join(file))), [0o600, 0o644, 0o600]);
}

#[test]
fn a_private_key_as_openssl_3_writes_it_is_one_too() {
    let folder = pair("pkcs8");
    let private = folder.join(PRIVATE);
    let pkcs8 = openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", private.to_str().unwrap()]);
    fs::write(&private, &pkcs8).unwrap();
    assert_eq!(create_key_pair(&folder).0, 0);
    assert_eq!(fs::read(&private).unwrap(), pkcs8);
}

/// Something that is wrong with a pair, what does it, and what is said.
struct Wrong {
    name: &'static str,
    tweak: fn(&Path),
    reasons: &'static [Reason],
    /// What the first message says of it.
    says: &'static str,
}

fn write(folder: &Path, file: &str, bytes: impl AsRef<[u8]>) {
    fs::write(folder.join(file), bytes).unwrap();
}

fn of_another(folder: &Path, file: &str) {
    fs::copy(PAIRS[1].join(file), folder.join(file)).unwrap();
}

fn twice(folder: &Path) {
    let key = fs::read_to_string(folder.join(PRIVATE)).unwrap();
    write(folder, PRIVATE, key.repeat(2));
}

fn damaged(folder: &Path) {
    let key = fs::read_to_string(folder.join(PRIVATE)).unwrap();
    let (head, tail) = key.split_at(key.len() / 2);
    let other = if tail.starts_with('A') { "B" } else { "A" };
    write(folder, PRIVATE, format!("{head}{other}{}", &tail[1..]));
}

fn with_openssl(folder: &Path, arguments: &[&str]) {
    let key = openssl(arguments);
    write(folder, PRIVATE, key);
}

const WRONG: &[Wrong] = &[
    Wrong {
        name: "the-public-key-of-another-pair",
        tweak: |folder| of_another(folder, PUBLIC),
        reasons: &[Reason::PublicKeyOfAnotherPair],
        says: "serviceaccount-signer.public does not belong to serviceaccount-signer.private; delete serviceaccount-signer.public",
    },
    Wrong {
        name: "the-private-key-of-another-pair",
        tweak: |folder| of_another(folder, PRIVATE),
        reasons: &[Reason::PublicKeyOfAnotherPair, Reason::CopyOfAnotherKey],
        says: "does not belong to serviceaccount-signer.private",
    },
    Wrong {
        name: "the-copy-of-another-key",
        tweak: |folder| of_another(folder, INSTALLER_COPY),
        reasons: &[Reason::CopyOfAnotherKey],
        says: "tls/bound-service-account-signing-key.key is another key than serviceaccount-signer.private; move",
    },
    Wrong {
        name: "no-private-key",
        tweak: |folder| fs::remove_file(folder.join(PRIVATE)).unwrap(),
        reasons: &[Reason::PrivateKeyMissing, Reason::PrivateKeyMissing],
        says: "serviceaccount-signer.public is there and serviceaccount-signer.private is not; bring back",
    },
    Wrong {
        name: "an-empty-private-key",
        tweak: |folder| write(folder, PRIVATE, ""),
        reasons: &[Reason::UnusableKey],
        says: "serviceaccount-signer.private has no PEM block; move the files",
    },
    Wrong {
        name: "a-binary-private-key",
        tweak: |folder| write(folder, PRIVATE, (0..=255).collect::<Vec<u8>>()),
        reasons: &[Reason::UnusableKey],
        says: "serviceaccount-signer.private has no PEM block",
    },
    Wrong {
        name: "two-private-keys",
        tweak: twice,
        reasons: &[Reason::UnusableKey],
        says: "serviceaccount-signer.private has more than one PEM block",
    },
    Wrong {
        name: "a-damaged-private-key",
        tweak: damaged,
        reasons: &[Reason::UnusableKey],
        says: "serviceaccount-signer.private has a key whose numbers do not belong together, or that is damaged",
    },
    Wrong {
        name: "an-encrypted-private-key",
        tweak: |folder| {
            let key = folder.join(PRIVATE);
            let key = key.to_str().unwrap();
            with_openssl(folder, &["rsa", "-in", key, "-traditional", "-aes128", "-passout", "pass:x"]);
        },
        reasons: &[Reason::UnusableKey],
        says: "serviceaccount-signer.private is encrypted",
    },
    Wrong {
        name: "an-encrypted-private-key-of-pkcs8",
        tweak: |folder| {
            let key = folder.join(PRIVATE);
            with_openssl(folder, &["pkcs8", "-topk8", "-passout", "pass:x", "-in", key.to_str().unwrap()]);
        },
        reasons: &[Reason::UnusableKey],
        says: "serviceaccount-signer.private is encrypted",
    },
    Wrong {
        name: "a-private-key-on-a-curve",
        tweak: |folder| with_openssl(folder, &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        reasons: &[Reason::UnusableKey],
        says: "serviceaccount-signer.private is no RSA key",
    },
    Wrong {
        name: "the-public-key-as-the-private-one",
        tweak: |folder| {
            fs::copy(folder.join(PUBLIC), folder.join(PRIVATE)).unwrap();
        },
        reasons: &[Reason::UnusableKey],
        says: "serviceaccount-signer.private has a PEM block of another kind than `RSA PRIVATE KEY`",
    },
    Wrong {
        name: "the-private-key-as-the-public-one",
        tweak: |folder| {
            fs::copy(folder.join(PRIVATE), folder.join(PUBLIC)).unwrap();
        },
        reasons: &[Reason::UnusableKey],
        says: "serviceaccount-signer.public has a PEM block of another kind than `PUBLIC KEY`; delete",
    },
    Wrong {
        name: "a-small-key",
        tweak: |folder| {
            fs::remove_file(folder.join(PUBLIC)).unwrap();
            fs::remove_file(folder.join(INSTALLER_COPY)).unwrap();
            with_openssl(folder, &["genrsa", "-traditional", "2048"]);
        },
        reasons: &[Reason::KeySize],
        says: "serviceaccount-signer.private is a key of 2048 bits, not of 4096; move the files",
    },
    Wrong {
        name: "nothing-that-is-a-key",
        tweak: |folder| [PRIVATE, PUBLIC, INSTALLER_COPY].iter().for_each(|file| write(folder, file, "x")),
        reasons: &[Reason::UnusableKey, Reason::UnusableKey, Reason::UnusableKey],
        says: "serviceaccount-signer.private has no PEM block",
    },
];

#[test]
fn what_is_no_pair_is_refused_and_left_as_it_is() {
    for Wrong { name, tweak, reasons, says } in WRONG {
        let folder = pair(name);
        tweak(&folder);
        let before = contents(&folder);
        let (exit, stdout, stderr) = create_key_pair(&folder);
        assert_eq!((exit, stdout.as_str()), (1, ""), "{name}: {stderr}");
        let lines: Vec<_> = stderr.lines().collect();
        assert_eq!(lines.len(), reasons.len(), "{name}: {stderr}");
        for (line, reason) in lines.iter().zip(*reasons) {
            let reason: &str = reason.into();
            assert!(line.starts_with(&format!("error[{reason}] {}: ", folder.display())), "{name}: {line}");
        }
        assert!(lines[0].contains(says), "{name}: {stderr}");
        assert_eq!(contents(&folder), before, "{name}");
    }
}

#[test]
fn every_reason_is_shown_and_explained() {
    let shown: BTreeSet<&str> = WRONG.iter().flat_map(|wrong| wrong.reasons).map(Into::into).collect();
    let all: BTreeSet<&str> = Reason::iter().map(Into::into).collect();
    assert_eq!(shown, all);
    let documented = support::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/azure.md"));
    for reason in all {
        assert!(documented.contains(&format!("| `{reason}` |")), "docs/azure.md does not explain {reason}");
    }
}

#[test]
fn machines_read_json() {
    let folder = pair("json");
    let json = |folder: &Path| {
        let mut command = hcp_identity();
        let (exit, stdout, stderr) =
            run(command.args(["azure", "create-key-pair", "-o", "json", "--output-dir"]).arg(folder));
        assert_eq!(stderr, "");
        (exit, serde_json::from_str::<Value>(&stdout).unwrap())
    };
    let (exit, answer) = json(&folder);
    assert_eq!(exit, 0);
    assert_eq!(answer["keyID"].as_str().unwrap().len(), 43);
    assert_eq!(answer["files"].as_array().unwrap().len(), 3);
    assert_eq!(answer["files"][0]["path"], folder.join(PRIVATE).to_str().unwrap());
    assert_eq!(answer["files"][0]["change"], "kept");
    assert_eq!(answer["problems"], Value::Array(Vec::new()));

    of_another(&folder, PUBLIC);
    let (exit, answer) = json(&folder);
    assert_eq!(exit, 1);
    assert_eq!(answer["files"], Value::Array(Vec::new()));
    assert_eq!(answer["problems"][0]["reason"], "PublicKeyOfAnotherPair");
    assert_eq!(answer["problems"][0]["file"], PUBLIC);
}

/// Runs it where no file may be larger than a block: the system kills it in the middle of the first one.
fn killed(folder: &Path, argument: &str) -> Option<i32> {
    let limited = "ulimit -c 0; ulimit -f 1; exec \"$0\" azure create-key-pair \"$2\" --output-dir \"$1\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", limited, env!("CARGO_BIN_EXE_hcp-identity")]).arg(folder).arg(argument);
    shell.status().unwrap().code()
}

/// The process is killed by the system in the middle of its first file: nothing of it stands under the file's name, and what
/// stands beside it goes with the next run.
#[test]
fn a_run_that_is_killed_while_it_writes_leaves_no_half_a_key() {
    let folder = empty("killed");
    assert_eq!(killed(&folder, "-otext"), None, "it is killed by SIGXFSZ");
    let left = names(&folder);
    assert!(
        matches!(&left[..], [one] if one.starts_with(&format!(".{PRIVATE}.")) && one.ends_with(".partial")),
        "{left:?}"
    );
    assert_eq!(mode(&folder.join(&left[0])), 0o600);

    assert_eq!(create_key_pair(&folder).0, 0);
    assert_eq!(names(&folder), [PRIVATE, PUBLIC, INSTALLER_COPY]);
}

#[test]
fn a_rotation_keeps_the_pair_that_was() {
    let folder = pair("rotated");
    let before = [PRIVATE, PUBLIC].map(|file| fs::read(folder.join(file)).unwrap());
    let (exit, stdout, stderr) = rotate(&folder);
    assert_eq!((exit, stderr.as_str()), (0, ""));
    assert_eq!((stdout.matches("created: ").count(), stdout.matches("replaced: ").count()), (2, 3), "{stdout}");
    let all = names(&folder);
    let [old_private, old_public, ..] = &all[..] else { panic!("{all:?}") };
    assert_eq!(all[2..], [PRIVATE, PUBLIC, INSTALLER_COPY]);
    assert_eq!([old_private, old_public].map(|file| fs::read(folder.join(file)).unwrap()), before);
    let old_id = key_id(&PAIRS[0]);
    assert_eq!(*old_private, format!("retired/serviceaccount-signer-{old_id}.private"));
    assert_eq!(*old_public, format!("retired/serviceaccount-signer-{old_id}.public"));
    assert!(contents(&folder).values().all(|(mode, _)| mode & 0o777 == 0o600));

    let (exit, stdout, _) = create_key_pair(&folder);
    assert_eq!((exit, stdout.matches("kept: ").count()), (0, 3), "{stdout}");
    assert_ne!(key_id(&folder), old_id);
    assert_eq!(rotate(&folder).0, 0);
    assert_eq!(names(&folder).len(), 7, "each rotation keeps one more");
}

fn key_id(folder: &Path) -> String {
    let info = openssl(&["pkey", "-pubin", "-in", folder.join(PUBLIC).to_str().unwrap(), "-outform", "DER"]);
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(info))
}

/// Each way in which a rotation can be left by a run that was killed: the first write fails, or some files are the new
/// pair's and the others still the old one's.
#[test]
fn a_rotation_that_was_killed_is_carried_through() {
    let folder = pair("rotation-killed");
    let before = contents(&folder);
    assert_eq!(killed(&folder, "--rotate"), None, "it is killed by SIGXFSZ");
    let mut after = contents(&folder);
    after.retain(|path, _| !path.to_string_lossy().ends_with(".partial"));
    assert_eq!(after, before);
    assert_eq!(rotate(&folder).0, 0);
    let rotated = contents(&folder);
    assert!(rotated.keys().all(|path| !path.to_string_lossy().ends_with(".partial")), "{:?}", names(&folder));

    for (command, old) in [
        (create_key_pair as fn(&Path) -> _, vec![PUBLIC, INSTALLER_COPY]),
        (create_key_pair, vec![INSTALLER_COPY]),
        (rotate, vec![PUBLIC, INSTALLER_COPY]),
        (rotate, vec![INSTALLER_COPY]),
    ] {
        for file in &old {
            fs::copy(PAIRS[0].join(file), folder.join(file)).unwrap();
        }
        let (exit, stdout, stderr) = command(&folder);
        assert_eq!((exit, stderr.as_str()), (0, ""));
        assert_eq!(stdout.matches("replaced: ").count(), old.len(), "{stdout}");
        assert_eq!(contents(&folder), rotated);
    }
}

#[test]
fn what_is_no_pair_is_not_rotated() {
    let folder = empty("rotate-nothing");
    let (exit, stdout, stderr) = rotate(&folder);
    assert_eq!((exit, stdout.as_str()), (2, ""));
    assert!(stderr.contains("has no key pair to rotate; leave --rotate out to make one"), "{stderr}");
    assert!(names(&folder).is_empty());

    let folder = pair("rotate-no-pair");
    of_another(&folder, PUBLIC);
    fs::create_dir(folder.join("retired")).unwrap();
    // A key that has nothing to do with it, and what is no key.
    write(&folder, "retired/a.private", "x");
    fs::copy(PAIRS[0].join(PRIVATE), folder.join("retired/b.private")).unwrap();
    let before = contents(&folder);
    let (exit, _, stderr) = rotate(&folder);
    assert_eq!(exit, 1);
    assert!(stderr.starts_with("error[PublicKeyOfAnotherPair]"), "{stderr}");
    assert_eq!(contents(&folder), before);
}

#[test]
fn only_one_run_writes_into_a_folder() {
    let folder = pair("locked");
    let lock = File::open(&folder).unwrap();
    lock.lock().unwrap();
    let (exit, stdout, stderr) = create_key_pair(&folder);
    assert_eq!((exit, stdout.as_str()), (2, ""));
    assert_eq!(stderr, format!("hcp-identity: another run is writing into {}; wait for its end\n", folder.display()));
    drop(lock);
    assert_eq!(create_key_pair(&folder).0, 0);
}

/// What stands in the place of a file, and what is said of it.
#[test]
fn nothing_is_read_or_written_through_what_is_no_file() {
    let outside = pair("outside");
    let before = contents(&outside);
    type Replace = fn(&Path, &Path);
    let replacements: [(&str, Replace, &str); 5] = [
        ("a link", |at, outside| symlink(outside.join(PRIVATE), at).unwrap(), "is a symbolic link"),
        ("a link to nowhere", |at, outside| symlink(outside.join("nowhere"), at).unwrap(), "is a symbolic link"),
        ("a folder", |at, _| fs::create_dir(at).unwrap(), "is no file"),
        ("a pipe", |at, _| assert!(Command::new("mkfifo").arg(at).status().unwrap().success()), "is no file"),
        ("a huge file", |at, _| File::create(at).unwrap().set_len(1 << 40).unwrap(), "is larger than 1 MiB"),
    ];
    for (name, replace, says) in replacements {
        for file in [PRIVATE, PUBLIC, INSTALLER_COPY] {
            let folder = pair("replaced");
            fs::remove_file(folder.join(file)).unwrap();
            replace(&folder.join(file), &outside);
            let (exit, stdout, stderr) = create_key_pair(&folder);
            assert_eq!((exit, stdout.as_str()), (2, ""), "{name} as {file}: {stderr}");
            assert!(stderr.contains(&folder.join(file).display().to_string()), "{name} as {file}: {stderr}");
            assert!(stderr.contains(says), "{name} as {file}: {stderr}");
            assert_eq!(contents(&outside), before, "{name} as {file}");
        }
    }
}

#[test]
fn a_folder_that_cannot_be_one_is_exit_code_2() {
    let folder = empty("no-folder");
    write(&folder, "file", "");
    symlink("loop", folder.join("loop")).unwrap();
    for (path, says) in [
        (folder.join("file"), "Not a directory"),
        (folder.join("loop"), "Too many levels of symbolic links"),
        (folder.join("missing/keys"), "cannot make the folder"),
        (PathBuf::from("/proc/self"), "cannot make the folder"),
    ] {
        let (exit, stdout, stderr) = create_key_pair(&path);
        assert_eq!((exit, stdout.as_str()), (2, ""), "{}: {stderr}", path.display());
        assert!(stderr.contains(says), "{}: {stderr}", path.display());
    }
    assert_eq!(names(&folder), ["file", "loop"]);
}

#[test]
fn no_key_is_ever_printed() {
    for wrong in WRONG {
        let folder = pair(&format!("silent-{}", wrong.name));
        (wrong.tweak)(&folder);
        for format in ["text", "json"] {
            let mut command = hcp_identity();
            let output = run(command.args(["azure", "create-key-pair", "-o", format, "--output-dir"]).arg(&folder));
            let printed = output.1 + &output.2;
            for key in PAIRS.iter().map(|pair| support::read(&pair.join(PRIVATE))) {
                let leaked = key.lines().filter(|line| !line.starts_with("-----")).any(|line| printed.contains(line));
                assert!(!leaked, "{}: {printed}", wrong.name);
            }
            assert!(!printed.contains("BEGIN"), "{}: {printed}", wrong.name);
        }
    }
    let pair = hcp_identity::provision::KeyPair::generate().expect("randomness");
    let shown = format!("{pair:?}");
    assert!(shown.contains("Secret(redacted)") && !shown.contains("BEGIN"), "{shown}");
}
