//! Packages of npm in the target folder, installed when a test first needs them. The webhook receiver in TypeScript and
//! the accessibility tests use it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// The oldest version of Node that works.
const MINIMUM: u32 = 20;

/// Copies the manifest, its lock file and other `files` from `source` to `folder`, and installs the packages there,
/// unless they are installed. The packages must have the checksums of the lock file. Returns a lock, which keeps other
/// processes from the folder until it is dropped.
pub fn install(needed_by: &str, source: &Path, files: &[&str], folder: &Path) -> Result<File, String> {
    let io = |error: io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(io)?;
    let lock =
        OpenOptions::new().read(true).append(true).create(true).open(folder.join("lock")).map_err(io)?;
    lock.lock().map_err(io)?;
    let node =
        format!("{needed_by} need Node {MINIMUM} or newer with npm (Debian: apt-get install nodejs npm)");
    let version =
        output(Command::new("node").arg("--version")).map_err(|error| format!("{node}: {error}"))?;
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u32| major < MINIMUM) {
        return Err(format!("{node}, but the installed version of node is {}", version.trim()));
    }
    for file in ["package.json", "package-lock.json"].iter().chain(files) {
        let copy = folder.join(file);
        copy.parent().map_or(Ok(()), fs::create_dir_all).map_err(io)?;
        fs::copy(source.join(file), copy).map_err(|error| format!("{file}: {error}"))?;
    }
    let wanted = fs::read(folder.join("package-lock.json")).map_err(io)?;
    if fs::read(folder.join("complete")).ok().as_ref() != Some(&wanted) {
        let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
        output(Command::new("npm").args(arguments).current_dir(folder))
            .map_err(|error| format!("{node}, and the npm registry or a mirror of it: {error}"))?;
        fs::write(folder.join("complete"), wanted).map_err(io)?;
    }
    Ok(lock)
}

/// Runs a command to its end. Returns what it printed.
pub fn output(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(format!("{command:?}: {}{}", text(&output.stdout), text(&output.stderr))),
    }
}
