//! The Python of the emulator: a virtual environment in the target folder, created when a test first needs it.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use crate::support::venv::Venv;

/// The only variables that the emulator and its Lambda functions inherit, so that the environment of the test run cannot
/// affect a test. Without HOME, no AWS profile is read.
const INHERITED: [&str; 3] = ["PATH", "LANG", "LD_LIBRARY_PATH"];

/// The folder that contains the emulator's installed and temporary files.
pub fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/emulator"))
}

/// The path of a file in `tests/it/support/emulator`.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/emulator").join(name)
}

/// A command that runs a script of `tests/it/support/emulator` with the emulator's packages.
pub fn command(script: &str) -> Result<Command, String> {
    static INTERPRETER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let interpreter =
        INTERPRETER.get_or_init(|| set_up("python3", folder())).as_ref().map_err(Clone::clone)?;
    let mut command = Command::new(interpreter);
    command.arg(source(script)).env_clear();
    command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    Ok(command)
}

/// Creates the virtual environment in `folder` unless it exists.
pub fn set_up(python: &str, folder: &Path) -> Result<PathBuf, String> {
    let requirements = source("requirements.txt");
    Venv { name: "the AWS emulator", needed_by: "the tests on the AWS emulator", minor: 10, requirements }
        .set_up(python, folder)
}

/// Runs a script of `tests/it/support/emulator` to its end, with `input` on standard input. Returns the standard output.
pub fn run_script(name: &str, arguments: &[&OsStr], environment: &[(&str, &str)], input: &str) -> String {
    let mut command = command(name).unwrap_or_else(|error| panic!("{error}"));
    command.args(arguments).envs(environment.iter().copied());
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = thread::scope(|scope| {
        // The write fails if the script ended early. In that case, the standard error of the script contains the
        // cause.
        scope.spawn(move || stdin.write_all(input.as_bytes()));
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
