//! Starts the browser that the tests of this process share. [`super::page`] opens pages in it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::support::eventually::eventually_blocking;

/// The names of the browser program on Debian and on other systems.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const FLAGS: [&str; 14] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    // Pages of other tests are always behind this one. They must not become slow.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--remote-debugging-port=0",
];
/// Runs the browser until standard input ends, which it does when the test process ends, in whatever way. Then ends the
/// browser and removes its profile.
const UNTIL_INPUT_ENDS: &str = r#"
    profile=$1; shift
    "$@" &
    cat > /dev/null
    kill $!
    wait $!
    rm -rf "$profile"
"#;

/// A running browser.
pub(super) struct Browser {
    /// The port of its DevTools protocol, on 127.0.0.1.
    pub(super) port: u16,
    /// The path of the WebSocket of the whole browser.
    pub(super) path: String,
    /// The browser ends when this value is dropped, because its standard input ends.
    _shell: Child,
}

/// The browser of this process. The first call starts it. If no browser is installed, the test fails and is not skipped.
pub(super) fn browser() -> &'static Browser {
    static BROWSER: OnceLock<Browser> = OnceLock::new();
    BROWSER.get_or_init(start)
}

fn start() -> Browser {
    // The shell removes the folder, because a static value is never dropped.
    let profile = TempDir::new().unwrap().keep();
    let mut command = Command::new("sh");
    command.args(["-c", UNTIL_INPUT_ENDS, "sh"]).arg(&profile).arg(program()).args(FLAGS);
    command.arg(format!("--user-data-dir={}", profile.display())).arg("about:blank");
    let shell = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (port, path) = eventually_blocking("the browser listens", || address(&profile).ok_or("no address"));
    Browser { port, path, _shell: shell }
}

/// The port and the path that the browser has written into its profile.
fn address(profile: &Path) -> Option<(u16, String)> {
    let text = fs::read_to_string(profile.join("DevToolsActivePort")).ok()?;
    let (port, path) = text.split_once('\n')?;
    Some((port.parse().ok()?, path.trim().to_owned())).filter(|(_, path)| !path.is_empty())
}

fn program() -> &'static str {
    let runs = |name: &&&str| {
        let version =
            Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    NAMES.iter().find(runs).unwrap_or_else(|| {
        panic!("the tests of pages need a browser, but none is installed: install chromium (Debian: apt-get install chromium)")
    })
}
