//! Runs the receiver, a Python process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::service::Service;
use crate::support::venv::Venv;

pub struct Receiver {
    process: Service,
    folder: PathBuf,
    port: u64,
    starts: u32,
}

/// A request, as the receiver's journal describes it.
#[derive(Debug, Clone)]
pub struct Request {
    pub id: String,
    pub order: String,
    pub version: u64,
    pub content_type: String,
    pub verified: bool,
    /// Whether the verification would also accept the signature for a changed body.
    pub tampered_verifies: bool,
    pub body_hash: u64,
    pub does: String,
}

impl Request {
    fn read(line: &str) -> Self {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        Self {
            id: text("id"),
            order: text("order"),
            version: line["version"].as_u64().unwrap_or(0),
            content_type: text("content_type"),
            verified: line["verified"].as_bool().unwrap(),
            tampered_verifies: line["tampered_verifies"].as_bool().unwrap(),
            body_hash: line["body_hash"].as_u64().unwrap(),
            does: text("does"),
        }
    }

    /// Whether the answer counts as a success. An answer with status 2xx does, even if the connection breaks
    /// before the end of the body, or if bytes follow after the body. An incomplete head does not.
    pub fn delivers(&self) -> bool {
        ["accept", "cut_body", "answer_twice"].contains(&self.does.as_str())
    }
}

fn python() -> PathBuf {
    let venv = Venv {
        name: "the library of Standard Webhooks",
        needed_by: "the tests of webhook deliveries",
        minor: 10,
        requirements: Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/webhooks/requirements.txt"),
    };
    let folder = Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/webhooks"));
    venv.set_up("python3", folder).unwrap_or_else(|error| panic!("{error}"))
}

fn spawn(folder: &Path, port: u64, mood: &str, seed: u32) -> (Service, u64) {
    let mut command = Command::new(python());
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/deliveries/receiver.py"))
        .arg(port.to_string())
        .args([folder.join("journal"), folder.join("secret")])
        .args([mood, &seed.to_string()])
        .stdin(Stdio::null());
    let (process, line) = Service::spawn_until(command, "\"receiving\"");
    (process, line["receiving"].as_u64().unwrap())
}

impl Receiver {
    pub fn start(folder: &Path, mood: &str) -> Self {
        let (process, port) = spawn(folder, 0, mood, 0);
        Self { process, folder: folder.to_owned(), port, starts: 1 }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    pub fn set_secret(&self, secret: &str) {
        // The file is replaced atomically, because the receiver may read the file at any time.
        fs::write(self.folder.join("secret.new"), secret).unwrap();
        fs::rename(self.folder.join("secret.new"), self.folder.join("secret")).unwrap();
    }

    /// Kills the process and starts it again on the same port.
    pub fn restart(&mut self, mood: &str) {
        self.process.kill();
        (self.process, self.port) = spawn(&self.folder, self.port, mood, self.starts);
        self.starts += 1;
    }

    /// All requests so far, in the order of their arrival. Ignores a last line that the receiver has not written completely.
    pub fn requests(&self) -> Vec<Request> {
        let journal = fs::read_to_string(self.folder.join("journal")).unwrap_or_default();
        let complete = journal.rfind('\n').map_or("", |end| &journal[..end]);
        complete.lines().map(Request::read).collect()
    }
}
