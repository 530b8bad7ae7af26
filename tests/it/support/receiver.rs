//! The example receivers of webhooks, as processes. Their tools are installed in the target folder when a test first
//! needs them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::npm::{self, output};
use crate::support::venv::Venv;

/// The language of an example receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Python,
    TypeScript,
    Rust,
}

/// A program, and the script that it runs.
type Program = (PathBuf, Option<PathBuf>);

impl Language {
    pub const ALL: [Self; 3] = [Self::Python, Self::TypeScript, Self::Rust];

    /// The program of the receiver.
    fn program(self) -> Command {
        static PROGRAMS: [OnceLock<Result<Program, String>>; 3] = [const { OnceLock::new() }; 3];
        let prepare = || match self {
            Self::Python => python(),
            Self::TypeScript => typescript(),
            Self::Rust => rust(),
        };
        let prepared = PROGRAMS[self as usize].get_or_init(prepare);
        let (program, script) = prepared.as_ref().unwrap_or_else(|error| panic!("{error}"));
        let mut command = Command::new(program);
        command.args(script);
        command
    }
}

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/webhooks").join(path)
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("receivers").join(name)
}

fn python() -> Result<Program, String> {
    let venv = Venv {
        name: "the webhook receiver in Python",
        needed_by: "the tests of the webhook receiver in Python",
        minor: 10,
        requirements: example("requirements.txt"),
    };
    Ok((venv.set_up("python3", &folder("python"))?, Some(example("receiver.py"))))
}

/// Copies the sources of the receiver into the target folder. Installs the packages and compiles the receiver there.
fn typescript() -> Result<Program, String> {
    let work = folder("typescript");
    let needed_by = "the tests of the webhook receiver in TypeScript";
    let lock = npm::install(needed_by, &example("typescript"), &["tsconfig.json", "src/receiver.ts"], &work)?;
    output(Command::new("npm").args(["run", "--silent", "compile"]).current_dir(&work))?;
    drop(lock);
    Ok(("node".into(), Some(work.join("out/receiver.js"))))
}

/// Builds the receiver with the same features as the tests, because its dependencies are already built with these features.
fn rust() -> Result<Program, String> {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--locked", "--quiet", "--example", "webhook_receiver"]);
    if cfg!(feature = "aws") {
        build.arg("--all-features");
    }
    output(build.current_dir(env!("CARGO_MANIFEST_DIR")))?;
    let folder = Path::new(env!("CARGO_BIN_EXE_orders")).parent().ok_or("the binary has no folder")?;
    Ok((folder.join("examples/webhook_receiver"), None))
}

/// A running receiver. It is killed when this value is dropped.
pub struct Receiver {
    child: Child,
    pub url: String,
    file: PathBuf,
}

impl Receiver {
    /// Starts the receiver on the given port, or on a free port if `port` is 0. The receiver stores its
    /// events in `file`.
    pub fn start(language: Language, secret: &str, file: &Path, port: u16) -> Self {
        let mut command = language.program();
        command.arg(port.to_string()).arg(file).env("WEBHOOK_SECRET", secret);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap_or_else(|| panic!("the receiver in {language:?} did not start"));
        let url = first.unwrap().rsplit(' ').next().unwrap().to_owned();
        // This thread empties the pipe, because the receiver would block on a full pipe. The thread ends when the process exits.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url, file: file.to_owned() }
    }

    /// The events that the receiver has stored, in order.
    pub fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
