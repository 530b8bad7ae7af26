//! `orders load`, against the shapes of the service, and against services that do wrong.

#[cfg(feature = "aws")]
mod aws;
mod killed;
mod lying;
mod page;
mod runs;

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::service::orders;

/// A load that has ended.
pub struct Ended {
    pub output: Output,
    /// `null` if there is none.
    pub report: Value,
}

impl Ended {
    /// Everything that it printed.
    pub fn told(&self) -> String {
        let [out, err] = [&self.output.stdout, &self.output.stderr].map(|text| String::from_utf8_lossy(text));
        format!("{out}\n{err}")
    }

    pub fn number(&self, pointer: &str) -> u64 {
        let number = self.report.pointer(pointer).and_then(Value::as_u64);
        number.unwrap_or_else(|| panic!("no number at {pointer}: {}", self.told()))
    }

    /// The audit found nothing, and what was accepted adds up.
    pub fn is_clean(&self) {
        assert!(self.output.status.success(), "{}", self.told());
        assert_eq!(self.report["audit"]["clean"], true);
        let [accepted, recorded, rejected, parked, lost] =
            ["accepted", "recorded", "rejected", "parked", "lost"]
                .map(|what| self.number(&format!("/audit/tally/{what}")));
        assert!(recorded > 0, "{}", self.told());
        assert_eq!((accepted, lost), (recorded + rejected + parked, 0), "{}", self.told());
    }

    /// The audit found this, said so, and failed.
    pub fn found(&self, kind: &str, words: &str) {
        assert_eq!(self.output.status.code(), Some(1), "{}", self.told());
        assert_eq!(self.report["audit"]["clean"], false);
        assert!(self.number(&format!("/audit/findings/kinds/{kind}/count")) > 0);
        let told = self.told();
        assert!(told.contains(words) && told.contains("NOT CLEAN"), "no {words:?}: {told}");
        assert!(told.contains("error: the audit is not clean"), "{told}");
    }
}

/// Runs a load against a URL to its end. `folder` is for its files.
pub async fn load(folder: &Path, url: &str, arguments: &[&str]) -> Ended {
    let json = folder.join("report.json");
    let mut command = orders(&["load", "--url", url]);
    command.args(arguments).arg("--json").arg(&json);
    // The test may have tasks to run meanwhile.
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let report = std::fs::read_to_string(json).unwrap_or_default();
    Ended { output, report: serde_json::from_str(&report).unwrap_or_default() }
}
