//! A real browser, for tests of HTML pages.

use std::path::Path;
use std::process::{Command, Stdio};

/// The names of the browser program in Debian and in other systems.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=5000",
];

/// A browser with a separate profile. If no browser is installed, the test fails and is not skipped.
fn browser(profile: &Path) -> Command {
    let runs = |name: &&str| {
        let version =
            Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    let name = NAMES.iter().find(|name| runs(name)).unwrap_or_else(|| {
        panic!("pages are tested in a browser, and there is none: install chromium (Debian: apt-get install chromium)")
    });
    let mut command = Command::new(name);
    command.args(FLAGS).arg(format!("--user-data-dir={}", profile.display())).stderr(Stdio::null());
    command
}

/// The page at this address after its scripts have run, in a window of this width.
pub fn rendered(address: &str, width: u32, folder: &Path) -> String {
    let window = format!("--window-size={width},1900");
    let output = browser(&folder.join("profile")).arg(window).arg("--dump-dom").arg(address).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}
