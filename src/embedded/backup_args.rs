//! The flags of the continuous backup of `orders serve`.

use std::time::Duration;

use clap::Args;
use infra::backup::target::Target;
use infra::embedded::backup::continuous::ContinuousBackup;

/// The shortest interval, because each increment costs several requests to the bucket.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest interval. A longer one is refused, because it is probably a typo.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

#[derive(Debug, Args)]
#[command(next_help_heading = "Backup")]
pub(crate) struct ContinuousBackupArgs {
    /// Back up the data folder again and again: to a folder, or to s3://BUCKET/PREFIX. For a bucket, the variables
    /// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL count.
    #[arg(long, env = "ORDERS_BACKUP_TO", value_name = "TARGET")]
    backup_to: Option<String>,
    /// The time from one increment of the backup to the next one, such as `5m`.
    #[arg(long, env = "ORDERS_BACKUP_EVERY", default_value = "5m", value_name = "DURATION", value_parser = interval)]
    backup_every: Duration,
    /// Keep the newest increments of the backup, this many, and remove older ones. By default, all are kept.
    #[arg(long, env = "ORDERS_BACKUP_KEEP", value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    backup_keep: Option<u64>,
}

/// Parses the time between two increments, or between two drills.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let interval =
        humantime::parse_duration(text).map_err(|error| format!("{error}; write for example 5m"))?;
    let is_possible = (SHORTEST..=LONGEST).contains(&interval);
    if is_possible { Ok(interval) } else { Err("must be at least 1s, and at most 1 year".to_owned()) }
}

impl ContinuousBackupArgs {
    /// The continuous backup, if there is one.
    pub(super) fn read(&self) -> Result<Option<ContinuousBackup>, String> {
        let Some(location) = self.backup_to.as_deref().filter(|location| !location.is_empty()) else {
            return Ok(None);
        };
        let target = Target::parse(location).map_err(|error| format!("ORDERS_BACKUP_TO {error}"))?;
        Ok(Some(ContinuousBackup { target, every: self.backup_every, keep: self.backup_keep }))
    }
}
