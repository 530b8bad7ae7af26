//! Statistics over rounds, and the CPU time and memory of a process.

use std::fmt;
use std::time::Duration;

/// The minimum, median and maximum of several rounds.
pub(crate) struct Spread(Vec<f64>);

impl FromIterator<f64> for Spread {
    fn from_iter<I: IntoIterator<Item = f64>>(rounds: I) -> Self {
        let mut rounds: Vec<f64> = rounds.into_iter().collect();
        rounds.sort_by(f64::total_cmp);
        Self(rounds)
    }
}

impl Spread {
    pub(crate) fn median(&self) -> f64 {
        self.0[(self.0.len() - 1) / 2]
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (digits, last) = (f.precision().unwrap_or(2), self.0.len() - 1);
        let (min, median, max) = (self.0[0], self.median(), self.0[last]);
        write!(f, "min {min:.digits$}, median {median:.digits$}, max {max:.digits$}")
    }
}

/// The user and system CPU time that a process has used so far, over all of its threads.
pub(crate) fn cpu(process: u32) -> anyhow::Result<Duration> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // `schedstat` states the time in nanoseconds. `/proc/{pid}/stat` states it only in hundredths of a
        // second.
        let schedule = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += schedule.split(' ').next().unwrap_or("0").parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The resident memory of a process, in MiB.
pub(crate) fn resident(process: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap_or(0.0) / 1024.0)
}
