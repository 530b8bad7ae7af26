//! A server in a child process that never outlives the test process.

use std::fs::{self, DirEntry, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::Aws;
use super::python::{self, folder};
use crate::support::service::PATIENCE;

/// How long logs are kept, so that they can be read after a failure.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// A server that `run.py` can start. When this value is dropped, the server and all processes that it has started are
/// killed.
pub(super) struct Process {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Process {
    pub(super) fn start(server: &str, arguments: &[&str]) -> Result<Self, String> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let mut command = python::command("run.py")?;
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("{server}-{}-{number}", std::process::id());
        let (log, temporary) = prepare(&name).map_err(|error| format!("{}: {error}", folder().display()))?;
        command.arg(server).args(arguments).env("TMPDIR", temporary);
        let stderr = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        // The server stops when its standard input is closed, which happens however the test process ends.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().map_err(|error| format!("run.py: {error}"))?;

        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let read = BufReader::new(stdout).read_line(&mut line);
        let mut process = Self { child, port: 0, log };
        let port = read.ok().and_then(|_| line.trim().parse().ok());
        process.port = port.ok_or_else(|| process.failed("did not start"))?;
        Ok(process)
    }

    /// Waits until the server answers one request. The server is already listening.
    pub(super) fn wait_until_healthy(&self, path: &str) -> Result<(), String> {
        let answer =
            get(self.port, path).map_err(|error| self.failed(&format!("does not answer: {error}")))?;
        if answer.starts_with("HTTP/1.1 200") {
            return Ok(());
        }
        Err(self.failed(&format!("is not healthy: {answer}")))
    }

    /// Access to the AWS that this server emulates, at `localhost` or `127.0.0.1`.
    pub(super) fn aws(&self, host: &str) -> Aws {
        Aws { endpoint: format!("http://{host}:{}", self.port), log: self.log.clone() }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    fn failed(&self, what: &str) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        format!("the AWS emulator {what}; the end of {}:\n{tail}", self.log.display())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // `drop` cannot report an error.
        let _ = self.child.wait();
    }
}

/// Returns the paths of the log and of the temporary folder of a new process.
fn prepare(name: &str) -> io::Result<(PathBuf, PathBuf)> {
    let [logs, temporary] = ["logs", "run"].map(|kind| folder().join(kind));
    for folder in [&logs, &temporary] {
        fs::create_dir_all(folder)?;
        for entry in fs::read_dir(folder)?.flatten() {
            remove_if_old(&entry);
        }
    }
    let temporary = temporary.join(name);
    fs::create_dir_all(&temporary)?;
    Ok((logs.join(format!("{name}.log")), temporary))
}

fn remove_if_old(entry: &DirEntry) {
    let modified = entry.metadata().and_then(|metadata| metadata.modified());
    if modified.ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > KEEP) {
        // Another test process may have removed the entry already.
        let _ = fs::remove_file(entry.path()).or_else(|_| fs::remove_dir_all(entry.path()));
    }
}

/// Requests a path without an HTTP client, because this function is called inside and outside of async runtimes.
fn get(port: u16, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
