//! The Python that the emulator runs on: a virtual environment in the target folder, made when it is first needed.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

const REQUIREMENTS: &str = include_str!("requirements.txt");
/// Fails where the packages could not be installed. Debian has `venv` without `ensurepip` until python3-venv is there.
const CHECK: &str = "import sys; assert sys.version_info >= (3, 10), 'it is ' + sys.version.split()[0]
import ensurepip, venv";
/// Nothing else of the environment that the tests run in may change what they test; functions inherit it too. Without
/// a home nobody's AWS profile is read.
const INHERITED: [&str; 3] = ["PATH", "LANG", "LD_LIBRARY_PATH"];

/// Everything of the emulator that is not in the repository.
pub fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/emulator"))
}

/// A file beside this one.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/emulator").join(name)
}

/// A command to run a script beside this file, with the emulator's packages.
pub fn command(script: &str) -> Result<Command, String> {
    static INTERPRETER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let interpreter =
        INTERPRETER.get_or_init(|| set_up("python3", folder())).as_ref().map_err(Clone::clone)?;
    let mut command = Command::new(interpreter);
    command.arg(source(script)).env_clear();
    command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    Ok(command)
}

/// Makes the virtual environment in `folder`, unless it is there with these very requirements.
pub fn set_up(python: &str, folder: &Path) -> Result<PathBuf, String> {
    let io = |error: io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(io)?;
    // Of several test processes one makes it, and the others wait.
    let lock =
        OpenOptions::new().read(true).append(true).create(true).open(folder.join("lock")).map_err(io)?;
    lock.lock().map_err(io)?;
    let venv = folder.join("venv");
    let interpreter = venv.join("bin/python");
    let complete = venv.join("complete");
    let installed = fs::read_to_string(&complete).is_ok_and(|installed| installed == REQUIREMENTS);
    // The link to an interpreter that is no longer installed leads nowhere.
    if installed && interpreter.exists() {
        return Ok(interpreter);
    }
    install(python, &venv, &lock)?;
    fs::write(complete, REQUIREMENTS).map_err(io)?;
    Ok(interpreter)
}

fn install(python: &str, venv: &Path, lock: &File) -> Result<(), String> {
    let missing = |error| {
        format!(
            "the tests on the AWS emulator need Python 3.10 or newer with venv, and `{python}` will not do \
             ({error}): install python3 (Debian: apt-get install python3 python3-venv)"
        )
    };
    run(Command::new(python).args(["-c", CHECK]), lock).map_err(missing)?;
    // Not `eprintln!`, which a test keeps to itself until it fails.
    let _ = writeln!(io::stderr(), "setting up the AWS emulator in {}; this takes a while", venv.display());
    run(Command::new(python).args(["-m", "venv", "--clear"]).arg(venv), lock).map_err(missing)?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "-q", "-r"]);
    run(pip.arg(source("requirements.txt")), lock).map_err(|error| {
        format!(
            "the tests on the AWS emulator need packages from PyPI, and pip could not install them ({error}): \
             make PyPI, or a mirror that pip is configured for, reachable and test again"
        )
    })
}

/// Runs a command to its end; of an error, the last line tells most. The command holds the lock as well: it may
/// outlive a test process that is killed, and nobody else may begin before it has ended.
fn run(command: &mut Command, lock: &File) -> Result<(), String> {
    let output = lock.try_clone().and_then(|lock| command.stdin(lock).output()).map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let told = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let last = told.iter().find_map(|text| text.lines().rfind(|line| !line.trim().is_empty()));
    Err(last.map_or_else(|| output.status.to_string(), |line| line.trim().to_owned()))
}

/// Runs a script beside this file to its end, with `input`; gives its standard output.
pub fn run_script(name: &str, arguments: &[&OsStr], environment: &[(&str, &str)], input: &str) -> String {
    let mut command = command(name).unwrap_or_else(|error| panic!("{error}"));
    command.args(arguments).envs(environment.iter().copied());
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = thread::scope(|scope| {
        // A script that ended early says why on standard error.
        scope.spawn(move || stdin.write_all(input.as_bytes()));
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
