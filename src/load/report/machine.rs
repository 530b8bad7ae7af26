//! Describes the machine that sent the load, for the report.

use serde::Serialize;

#[derive(Debug, Clone, Serialize)]
pub(super) struct ClientMachine {
    system: String,
    processor: String,
    pub(super) cores: usize,
    memory_gib: Option<f64>,
}

impl ClientMachine {
    /// Reads the description from `/proc`. Missing values are left out.
    pub(super) fn here() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let kib = field(&read("/proc/meminfo"), "MemTotal")
            .and_then(|text| text.trim_end_matches("kB").trim().parse::<f64>().ok());
        let release = read("/proc/sys/kernel/osrelease");
        Self {
            system: format!("{} {} {}", std::env::consts::OS, release.trim(), std::env::consts::ARCH),
            processor: field(&cpu, "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: kib.map(|kib| (kib / 1024.0 / 1024.0 * 10.0).round() / 10.0),
        }
    }

    pub(super) fn describe(&self) -> String {
        let memory = self.memory_gib.map_or_else(String::new, |gib| format!(", {gib} GiB"));
        format!("{}, {} cores{memory}, {}", self.processor, self.cores, self.system)
    }
}

/// Returns the value of the first line that has the form `name: value`.
fn field(text: &str, name: &str) -> Option<String> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(found, _)| found.trim() == name).map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_name() {
        let text = "processor\t: 0\nmodel name\t: A CPU: fast\nMemTotal:  16 kB\n";
        assert_eq!(field(text, "model name").as_deref(), Some("A CPU: fast"));
        assert_eq!(field(text, "MemTotal").as_deref(), Some("16 kB"));
        assert_eq!(field(text, "flags"), None);
    }
}
