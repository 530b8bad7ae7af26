//! Virtual environments of Python in the target folder, created when a test first needs them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A virtual environment with its packages.
pub struct Venv {
    /// What the environment is for, in error messages, such as `the AWS emulator`.
    pub name: &'static str,
    /// The tests that need the environment, in error messages, such as `the tests on the AWS emulator`.
    pub needed_by: &'static str,
    /// The minimum minor version of Python 3.
    pub minor: u32,
    /// The file that lists the packages.
    pub requirements: PathBuf,
}

impl Venv {
    /// Creates the environment in `folder`, unless it exists with the same requirements. Returns the path of its
    /// interpreter.
    pub fn set_up(&self, python: &str, folder: &Path) -> Result<PathBuf, String> {
        let io = |error: io::Error| format!("{}: {error}", folder.display());
        let requirements = fs::read_to_string(&self.requirements)
            .map_err(|error| format!("{}: {error}", self.requirements.display()))?;
        fs::create_dir_all(folder).map_err(io)?;
        // Only one process creates the environment. Other processes that need it wait for the lock.
        let lock =
            OpenOptions::new().read(true).append(true).create(true).open(folder.join("lock")).map_err(io)?;
        lock.lock().map_err(io)?;
        let venv = folder.join("venv");
        let interpreter = venv.join("bin/python");
        let complete = venv.join("complete");
        let installed = fs::read_to_string(&complete).is_ok_and(|installed| installed == requirements);
        // The link dangles if the interpreter was uninstalled.
        if installed && interpreter.exists() {
            return Ok(interpreter);
        }
        self.install(python, &venv, &lock)?;
        fs::write(complete, requirements).map_err(io)?;
        Ok(interpreter)
    }

    fn install(&self, python: &str, venv: &Path, lock: &File) -> Result<(), String> {
        let Self { name, needed_by, minor, .. } = self;
        let missing = |error| {
            format!(
                "{needed_by} need Python 3.{minor} or newer with venv, and `{python}` cannot be used ({error}): \
                 install python3 (Debian: apt-get install python3 python3-venv)"
            )
        };
        // `venv` needs `ensurepip` to install packages. Debian ships `venv` without `ensurepip` unless python3-venv is
        // installed.
        let check = format!(
            "import sys; assert sys.version_info >= (3, {minor}), 'it is ' + sys.version.split()[0]\n\
             import ensurepip, venv"
        );
        run(Command::new(python).args(["-c", &check]), lock).map_err(missing)?;
        // `eprintln!` would show nothing, because tests capture its output.
        let _ = writeln!(io::stderr(), "setting up {name} in {}; this takes a while", venv.display());
        run(Command::new(python).args(["-m", "venv", "--clear"]).arg(venv), lock).map_err(missing)?;
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "-q", "-r"]);
        run(pip.arg(&self.requirements), lock).map_err(|error| {
            format!(
                "{needed_by} need packages from PyPI, and pip could not install them ({error}): \
                 make PyPI, or a mirror that pip is configured for, reachable and try again"
            )
        })
    }
}

/// Runs a command to its end. If the command fails, returns the last line of its error output, which states the cause.
/// The command inherits the lock. So even if this process is killed, the lock is held until the command ends.
fn run(command: &mut Command, lock: &File) -> Result<(), String> {
    let output = lock.try_clone().and_then(|lock| command.stdin(lock).output()).map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let texts = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let last = texts.iter().find_map(|text| text.lines().rfind(|line| !line.trim().is_empty()));
    Err(last.map_or_else(|| output.status.to_string(), |line| line.trim().to_owned()))
}
