//! Tests `orders load` against both backends, against a service that is killed, and against a service that
//! tampers with answers.

#[cfg(feature = "aws")]
mod aws;
mod killed;
mod page;
mod runs;
mod tampering;
mod webhooks;

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::service::orders;

/// The output of a finished `orders load`.
pub struct LoadOutput {
    pub output: Output,
    /// The JSON report. `null` if there is none.
    pub report: Value,
}

impl LoadOutput {
    /// Standard output and standard error.
    pub fn text(&self) -> String {
        let [out, err] = [&self.output.stdout, &self.output.stderr].map(|text| String::from_utf8_lossy(text));
        format!("{out}\n{err}")
    }

    pub fn number(&self, pointer: &str) -> u64 {
        let number = self.report.pointer(pointer).and_then(Value::as_u64);
        number.unwrap_or_else(|| panic!("no number at {pointer}: {}", self.text()))
    }

    /// Asserts that the audit has no findings, and that the outcomes add up to the accepted events.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.output.status.success(), "{}", self.text());
        assert_eq!(self.report["audit"]["clean"], true);
        let [accepted, recorded, rejected, parked, lost] =
            ["accepted", "recorded", "rejected", "parked", "lost"]
                .map(|what| self.number(&format!("/audit/tally/{what}")));
        assert!(recorded > 0, "{}", self.text());
        assert_eq!((accepted, lost), (recorded + rejected + parked, 0), "{}", self.text());
    }

    /// Asserts that the audit has findings of the given kind, that the report contains `words`, and that the
    /// command failed.
    #[track_caller]
    pub fn assert_found(&self, kind: &str, words: &str) {
        assert_eq!(self.output.status.code(), Some(1), "{}", self.text());
        assert_eq!(self.report["audit"]["clean"], false);
        assert!(self.number(&format!("/audit/findings/kinds/{kind}/count")) > 0);
        let text = self.text();
        assert!(text.contains(words) && text.contains("NOT CLEAN"), "no {words:?}: {text}");
        assert!(text.contains("error: the audit is not clean"), "{text}");
    }
}

/// Runs a load against a URL to its end. Writes the report into `folder`.
pub async fn load(folder: &Path, url: &str, arguments: &[&str]) -> LoadOutput {
    let json = folder.join("report.json");
    let mut command = orders(&["load", "--url", url]);
    command.args(arguments).arg("--json").arg(&json);
    // The command runs on another thread, because the test may run other tasks during the load.
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let report = std::fs::read_to_string(json).unwrap_or_default();
    LoadOutput { output, report: serde_json::from_str(&report).unwrap_or_default() }
}
