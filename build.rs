//! Gives `orders --version` the commit that it was built from. A source archive has none, which is no error.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // An archive that was unpacked within another repository must not show the commit of that one.
    let root = git(&["rev-parse", "--show-toplevel"]);
    let is_own = root.is_some_and(|root| Path::new(&root) == Path::new(env!("CARGO_MANIFEST_DIR")));
    let commit = if is_own { git(&["rev-parse", "--short=12", "HEAD"]) } else { None };
    println!("cargo::rustc-env=ORDERS_COMMIT={}", commit.unwrap_or_default());
    // The log of HEAD changes with each commit and each checkout.
    let log = if is_own { git(&["rev-parse", "--git-path", "logs/HEAD"]) } else { None };
    if let Some(log) = log.filter(|log| Path::new(log).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
}

/// What git prints; `None` without git, without a repository, or if it fails.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
