//! The metrics of the process, by the conventions of Prometheus, and of the build. The parent module registers and
//! measures them.

use metrics::{describe_gauge, gauge};

use crate::cli;

const BUILD: &str = "orders_build_info";

/// Sets the metric of the build, and describes those of the process.
pub(super) fn register() {
    describe_gauge!(BUILD, "The build, as labels; the value is 1");
    let (version, commit) = (env!("CARGO_PKG_VERSION"), cli::commit().unwrap_or("unknown"));
    gauge!(BUILD, "version" => version, "commit" => commit, "features" => cli::features()).set(1.0);
    #[cfg(target_os = "linux")]
    metrics_process::Collector::default().describe();
}

/// Measures the process. Only Linux is supported.
pub(super) fn measure() {
    #[cfg(target_os = "linux")]
    metrics_process::Collector::default().collect();
}
