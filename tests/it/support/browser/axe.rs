//! Accessibility rules, checked in a page by axe-core. Tests of pages call it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use super::page::Page;
use crate::support::npm;

/// The script of axe-core. It is installed in the target folder when a test first needs it, with the version and the
/// checksum of the lock file.
fn script() -> &'static str {
    static SCRIPT: OnceLock<Result<String, String>> = OnceLock::new();
    let read = || {
        let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/axe");
        let folder: PathBuf = [env!("CARGO_TARGET_TMPDIR"), "axe"].iter().collect();
        let _lock = npm::install("the tests of the accessibility of pages", &manifests, &[], &folder)?;
        let script = folder.join("node_modules/axe-core/axe.min.js");
        fs::read_to_string(&script).map_err(|error| format!("{}: {error}", script.display()))
    };
    SCRIPT.get_or_init(read).as_ref().unwrap_or_else(|error| panic!("{error}"))
}

impl Page {
    /// The serious and critical findings of axe-core, one line each: the rule, and the elements.
    pub async fn serious_findings(&self) -> Vec<String> {
        self.eval(&format!("(() => {{ {} }})()", script())).await;
        let findings = self.eval("axe.run(document, { resultTypes: ['violations'] })").await;
        let findings = findings["violations"].as_array().expect("axe-core lists violations");
        let text = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        let is_serious =
            |finding: &&Value| ["serious", "critical"].contains(&text(finding, "impact").as_str());
        let line = |finding: &Value| {
            format!("{}: {}: {}", text(finding, "id"), text(finding, "help"), elements(finding))
        };
        findings.iter().filter(is_serious).map(line).collect()
    }
}

fn elements(finding: &Value) -> String {
    let nodes = finding["nodes"].as_array().map_or(&[][..], Vec::as_slice);
    let shown = nodes.iter().take(5).map(|node| format!("{} {}", node["html"], node["failureSummary"]));
    shown.collect::<Vec<_>>().join("\n  ")
}
