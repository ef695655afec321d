//! The programs around the SDKs: built or installed once, told what to do on stdin.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug)]
pub enum Client {
    Go,
    Python,
}

/// Who signs in how, and what for.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Task {
    pub credential: &'static str,
    pub tenant: &'static str,
    pub client: String,
    pub file: PathBuf,
    pub environment: BTreeMap<String, String>,
    pub vault: &'static str,
    pub secret: &'static str,
}

impl Task {
    pub fn file(mut self, file: &Path) -> Self {
        file.clone_into(&mut self.file);
        self
    }

    pub fn environment(mut self, variables: &[(&str, String)]) -> Self {
        self.environment = variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self
    }

    pub fn secret(mut self, name: &'static str) -> Self {
        self.secret = name;
        self
    }

    pub fn list(self) -> Self {
        self.secret("")
    }
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct Outcome {
    pub value: String,
    pub listed: usize,
    pub error: String,
}

impl Outcome {
    pub fn value(value: &str) -> Self {
        Self { value: value.to_owned(), ..Self::default() }
    }

    pub fn listed(listed: usize) -> Self {
        Self { listed, ..Self::default() }
    }
}

impl Client {
    pub fn run(self, environment: &[(&'static str, String)], tasks: &[Task]) -> Vec<Outcome> {
        let mut command = match self {
            Self::Go => Command::new(&*GO),
            Self::Python => {
                let mut command = Command::new(&*PYTHON);
                command.arg(folder("sdk-python").join("main.py"));
                command
            }
        };
        command.env_clear().envs(environment.iter().cloned());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the client starts");
        child.stdin.take().unwrap().write_all(&serde_json::to_vec(tasks).unwrap()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "the client failed: {}", output.status);
        serde_json::from_slice(&output.stdout).expect("outcomes")
    }

    /// The SDK for Go has its own words for this answer of the metadata service.
    pub fn words_for_no_identity(self) -> &'static str {
        match self {
            Self::Go => "the requested identity isn't assigned to this resource",
            Self::Python => "Identity not found",
        }
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn built(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

static GO: LazyLock<PathBuf> = LazyLock::new(|| {
    let program = built("sdk-go");
    done(Command::new("go").current_dir(folder("sdk-go")).args(["build", "-o"]).arg(&program).arg("."));
    program
});

/// A virtual environment with exactly what requirements.txt pins.
static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
    let (environment, requirements) = (built("sdk-python"), folder("sdk-python").join("requirements.txt"));
    let python = environment.join("bin/python");
    if !python.exists() {
        done(Command::new("python3").args(["-m", "venv"]).arg(&environment));
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"];
    done(Command::new(&python).args(pip).arg(requirements));
    python
});

fn done(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
