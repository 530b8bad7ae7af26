//! Passes the commit that `orders` is built from to the compiler, for `orders --version`. A source archive has no
//! commit, and is built without one.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // If an archive was unpacked within another repository, the commit of that repository must not be shown.
    let root = git(&["rev-parse", "--show-toplevel"]);
    let is_own = root.is_some_and(|root| Path::new(&root) == Path::new(env!("CARGO_MANIFEST_DIR")));
    let commit = if is_own { git(&["rev-parse", "--short=12", "HEAD"]) } else { None };
    println!("cargo::rustc-env=ORDERS_COMMIT={}", commit.unwrap_or_default());
    // Git appends to this file at each commit and each checkout. Cargo then runs this script again.
    let log = if is_own { git(&["rev-parse", "--git-path", "logs/HEAD"]) } else { None };
    if let Some(log) = log.filter(|log| Path::new(log).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
}

/// The output of git. `None` if git is missing or fails, or if this folder is not in a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
