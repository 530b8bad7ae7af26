//! Tests `orders doctor` on Terraform configurations, on plans, on AWS, on a running API and on the environment.

mod broken;
mod capacity_faults;
mod configurations;
mod deployments;
mod environment;
mod faults;
#[cfg(feature = "aws")]
mod live;
mod webhook_faults;

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::service::orders;

/// The JSON output of the doctor, and the exit code.
pub struct Report {
    pub code: Option<i32>,
    pub json: Value,
}

impl Report {
    /// Runs the doctor on a target, and returns its report.
    pub fn of(target: &str) -> Self {
        Self::by(orders(&["doctor", "--json", target]))
    }

    pub fn by(mut command: Command) -> Self {
        let output = command.output().unwrap();
        let json = serde_json::from_slice(&output.stdout);
        let error_output = || String::from_utf8_lossy(&output.stderr).into_owned();
        Self {
            code: output.status.code(),
            json: json.unwrap_or_else(|error| panic!("{error}: {}", error_output())),
        }
    }

    /// Every finding as `rule resource attribute`, sorted.
    pub fn findings(&self) -> Vec<String> {
        let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
        let findings = self.json["findings"].as_array().unwrap().iter();
        let mut lines: Vec<_> = findings
            .map(|f| {
                format!("{} {} {}", text(f, "rule"), text(f, "resource"), text(f, "attribute"))
                    .trim_end()
                    .to_owned()
            })
            .collect();
        lines.sort();
        lines
    }

    /// The values that the findings of the given rule report.
    pub fn found(&self, rule: &str) -> Vec<&str> {
        let findings = self.json["findings"].as_array().unwrap().iter();
        findings.filter(|f| f["rule"] == rule).map(|f| f["found"].as_str().unwrap()).collect()
    }

    /// Whether the report lists the given rule as unchecked for any resource.
    pub fn left_open(&self, rule: &str) -> bool {
        let unchecked = self.json["unchecked"].as_array().unwrap().iter();
        unchecked.flat_map(|it| it["rules"].as_array().unwrap()).any(|name| name == rule)
    }
}

/// The path of a file or folder of the repository.
pub fn here(path: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path).to_str().unwrap().to_owned()
}
