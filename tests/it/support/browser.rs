//! A real browser, for tests of HTML pages.

use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The names of the browser program on Debian and on other systems.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// A browser with a separate profile. If no browser is installed, the test fails and is not skipped.
fn browser(profile: &Path) -> Command {
    let runs = |name: &&str| {
        let version =
            Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    let name = NAMES.iter().find(|name| runs(name)).unwrap_or_else(|| {
        panic!("the tests of pages need a browser, but none is installed: install chromium (Debian: apt-get install chromium)")
    });
    let mut command = Command::new(name);
    command.args(FLAGS).arg(format!("--user-data-dir={}", profile.display())).stderr(Stdio::null());
    command
}

/// The page at this address after its scripts have run, in a window of this width.
pub fn rendered(address: &str, width: u32, folder: &Path) -> String {
    let window = format!("--window-size={width},1900");
    let flags = [window.as_str(), "--virtual-time-budget=5000", "--dump-dom", address];
    let output = browser(&folder.join("profile")).args(flags).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

/// A browser that shows a page until this value is dropped. Its clock is the real one, unlike that of [`rendered`], so the
/// page can wait for events of a server.
pub struct OpenPage(Child);

impl OpenPage {
    pub fn at(address: &str, folder: &Path) -> Self {
        let mut command = browser(&folder.join("profile"));
        // Without a debugging port, a headless browser ends as soon as the page is loaded.
        let child = command.arg("--remote-debugging-port=0").arg(address).stdout(Stdio::null()).spawn();
        Self(child.unwrap())
    }
}

impl Drop for OpenPage {
    fn drop(&mut self) {
        // The browser may already have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
