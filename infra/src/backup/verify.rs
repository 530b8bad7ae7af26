//! Checks every file of a backup: the chain of the manifests, and the hash, the size and the lines of each segment. The
//! command `orders backup verify` and the drill call [`check_files`].

use std::collections::HashMap;
use std::ops::ControlFlow;

use serde::Serialize;
use tokio::runtime::Handle;

use super::fetch::Segments;
use super::manifest::{LogSegment, Manifest, StateSegment};
use super::record::LogRecord;
use super::row::StateRow;
use super::running_hash::RunningHash;
use super::segment::{FileHash, lines};
use super::target::Target;
use super::{BackupError, STATE_KEYSPACES};

/// What is wrong with a file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileFlaw {
    /// The path of the file in the backup.
    pub path: String,
    /// A description of the file's content, or an empty string.
    pub holds: String,
    /// What is wrong with the file.
    pub what: String,
}

/// The result of a check of all files.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FileCheck {
    /// The number of manifests.
    pub manifests: u64,
    /// The number of segments that a manifest lists.
    pub segments: u64,
    /// The total size of the listed segments.
    pub bytes: u64,
    /// The number of segments that no manifest lists. Killed backups leave such segments.
    pub unlisted: u64,
    /// The flaws of files.
    pub flaws: Vec<FileFlaw>,
}

/// A check that is under way.
struct Check<'a> {
    runtime: &'a Handle,
    source: &'a Target,
    found: FileCheck,
    /// The number of the manifest whose files are being checked.
    number: u64,
    /// The log segments that were checked already.
    log: HashMap<FileHash, LogSegment>,
    /// The state segments that were checked already.
    state: HashMap<FileHash, StateSegment>,
    progress: &'a dyn Fn(u64) -> ControlFlow<()>,
}

/// Checks all files. Fails if there is no backup, or if the source cannot be read. The result contains every flaw of a
/// file. `progress` gets the number of bytes checked so far. If `progress` returns `Break`, the check fails.
///
/// This call blocks, and uses `runtime` to read the backup.
pub fn check_files(
    runtime: &Handle,
    source: &Target,
    progress: &dyn Fn(u64) -> ControlFlow<()>,
) -> Result<FileCheck, BackupError> {
    let numbers = runtime.block_on(source.manifests())?;
    if numbers.is_empty() {
        return Err(BackupError::Empty { location: source.location().to_owned() });
    }
    let (found, log, state) = (FileCheck::default(), HashMap::new(), HashMap::new());
    let mut check = Check { runtime, source, found, number: 0, log, state, progress };
    let mut before: Option<(u64, Option<(Manifest, FileHash)>)> = None;
    for number in numbers {
        check.number = number;
        let manifest = check.or_flaw(runtime.block_on(source.manifest(number)))?;
        check.found.manifests += 1;
        if let Some((manifest, _)) = &manifest {
            check.chain(manifest, before.as_ref());
            check.log(manifest)?;
            check.state(manifest)?;
        }
        before = Some((number, manifest));
    }
    check.unlisted()?;
    Ok(check.found)
}

impl Check<'_> {
    /// Adds a flaw of a file to the result. An error of the source itself ends the check.
    fn or_flaw<T>(&mut self, result: Result<T, BackupError>) -> Result<Option<T>, BackupError> {
        let (path, holds, what) = match result {
            Ok(value) => return Ok(Some(value)),
            // A service that limits the number of increments may remove an increment during the check.
            Err(BackupError::Missing { .. }) if self.is_removed()? => return Ok(None),
            Err(BackupError::Missing { path, holds, .. }) => (path, holds, "it is missing".to_owned()),
            Err(BackupError::Manifest { path, flaw, .. }) => (path, String::new(), flaw.to_string()),
            Err(BackupError::Segment { path, holds, flaw, .. }) => (path, holds, flaw.to_string()),
            Err(other) => return Err(other),
        };
        self.found.flaws.push(FileFlaw { path, holds, what });
        Ok(None)
    }

    /// Whether the manifest was removed, while later manifests still exist.
    fn is_removed(&self) -> Result<bool, BackupError> {
        let numbers = self.runtime.block_on(self.source.manifests())?;
        Ok(numbers.first().is_some_and(|oldest| *oldest > self.number))
    }

    fn flaw(&mut self, path: String, holds: &str, what: String) {
        self.found.flaws.push(FileFlaw { path, holds: holds.to_owned(), what });
    }

    /// Compares a manifest with the previous manifest.
    fn chain(&mut self, manifest: &Manifest, before: Option<&(u64, Option<(Manifest, FileHash)>)>) {
        let mut flaw = |number, what: &str| self.flaw(Manifest::path(number), "", what.to_owned());
        let number = manifest.number;
        let Some((before, previous)) = before else {
            // The oldest manifest is the first one, or earlier manifests were removed.
            if (number == 1) != manifest.previous.is_none() {
                flaw(number, "it should continue an earlier manifest exactly if it is not the first one");
            }
            return;
        };
        for missing in before + 1..number {
            flaw(missing, "it is missing");
        }
        // The flaws of the previous manifest are in the result already.
        let Some((previous, hash)) = previous.as_ref().filter(|_| before + 1 == number) else { return };
        if manifest.previous != Some(*hash) {
            flaw(number, "it continues another manifest than the one before it");
        }
        let (now, then) = (&manifest.folder, &previous.folder);
        if now.name != then.name || now.position < then.position || now.commit < then.commit {
            flaw(
                number,
                "it is of another data folder, or of an earlier moment, than the manifest before it",
            );
        }
    }

    /// Checks the log segments that no earlier manifest lists.
    fn log(&mut self, manifest: &Manifest) -> Result<(), BackupError> {
        let mut hash = RunningHash::default();
        let mut new = Vec::new();
        for segment in &manifest.log {
            match self.log.get(&segment.file.sha256) {
                None => new.push((*segment, hash)),
                Some(known) if known == segment => {}
                Some(_) => self.flaw(
                    Manifest::path(manifest.number),
                    "",
                    format!("{} has other properties than in an earlier manifest", segment.file.path()),
                ),
            }
            hash = segment.hash;
        }
        let refs: Vec<_> = new.iter().map(|(segment, _)| (segment.file, holds_events(segment))).collect();
        for ((segment, before), plain) in
            new.into_iter().zip(Segments::new(self.runtime, self.source, refs.into_iter()))
        {
            if let Some(plain) = self.or_flaw(plain)?
                && let Err(error) = check_log_segment(&segment, before, &plain)
            {
                self.flaw(segment.file.path(), &holds_events(&segment), format!("{error:#}"));
            }
            self.log.insert(segment.file.sha256, segment);
            self.count(segment.file.bytes)?;
        }
        if manifest.contradicts_ledger() {
            let (events, recorded) = (manifest.events(), manifest.folder.ledger.recorded);
            let what =
                format!("its ledger counts {recorded} recorded events, and its segments have {events}");
            self.flaw(Manifest::path(manifest.number), "", what);
        }
        Ok(())
    }

    /// Checks the state segments that no earlier manifest lists.
    fn state(&mut self, manifest: &Manifest) -> Result<(), BackupError> {
        let is_new = |segment: &&StateSegment| !self.state.contains_key(&segment.file.sha256);
        let new: Vec<_> = manifest.state.iter().filter(is_new).cloned().collect();
        let refs: Vec<_> = new.iter().map(|segment| (segment.file, holds_rows(segment))).collect();
        for (segment, plain) in
            new.into_iter().zip(Segments::new(self.runtime, self.source, refs.into_iter()))
        {
            if let Some(plain) = self.or_flaw(plain)?
                && let Err(error) = check_state_segment(&segment, &plain)
            {
                self.flaw(segment.file.path(), &holds_rows(&segment), format!("{error:#}"));
            }
            self.count(segment.file.bytes)?;
            self.state.insert(segment.file.sha256, segment);
        }
        Ok(())
    }

    fn count(&mut self, bytes: u64) -> Result<(), BackupError> {
        self.found.segments += 1;
        self.found.bytes += bytes;
        let shown = (self.progress)(self.found.bytes);
        if shown.is_continue() {
            Ok(())
        } else {
            Err(BackupError::Source(anyhow::anyhow!("the check was stopped")))
        }
    }

    /// Checks the hash of segments that no manifest lists, because the next backup may use such segments.
    fn unlisted(&mut self) -> Result<(), BackupError> {
        for file in self.runtime.block_on(self.source.list("segments"))? {
            let Some(hash) = file.name.strip_suffix(".zst").and_then(FileHash::parse) else { continue };
            if self.log.contains_key(&hash) || self.state.contains_key(&hash) {
                continue;
            }
            self.found.unlisted += 1;
            let path = format!("segments/{}", file.name);
            // A running backup may remove the file during the check.
            let content = self.runtime.block_on(self.source.get(&path))?;
            if content.is_some_and(|content| FileHash::of(&content) != hash) {
                self.flaw(path, "no manifest lists it", "its SHA-256 is not its name".to_owned());
            }
        }
        Ok(())
    }
}

/// Describes the content of a log segment, for errors.
pub(crate) fn holds_events(segment: &LogSegment) -> String {
    format!("events at positions {} to {}", segment.first, segment.last)
}

/// Describes the content of a state segment, for errors.
pub(crate) fn holds_rows(segment: &StateSegment) -> String {
    format!("{} rows of {}", segment.rows, segment.keyspace)
}

/// Checks the lines of a log segment against its manifest. `before` is the running hash before the segment.
fn check_log_segment(segment: &LogSegment, before: RunningHash, plain: &[u8]) -> anyhow::Result<()> {
    let (mut next, mut hash, mut events, mut orders) = (segment.first, before, 0, 0);
    for line in lines(plain) {
        let record = LogRecord::decode(line)?;
        anyhow::ensure!(record.first() == next, "position {next} is missing");
        next = record.last() + 1;
        if let LogRecord::Event(event) = &record {
            hash.add(event);
            events += 1;
            orders += u64::from(event.version == 1);
        }
    }
    anyhow::ensure!(next == segment.last + 1, "position {next} is missing");
    let counts = (events, orders) == (segment.events, segment.orders);
    anyhow::ensure!(
        counts,
        "it has {events} events and {orders} new orders, which is not what its manifest says"
    );
    anyhow::ensure!(hash == segment.hash, "the running hash of its events is not the one in its manifest");
    Ok(())
}

/// Checks the lines of a state segment against its manifest.
fn check_state_segment(segment: &StateSegment, plain: &[u8]) -> anyhow::Result<()> {
    let known = STATE_KEYSPACES.contains(&segment.keyspace.as_str());
    anyhow::ensure!(known, "it has rows of the unknown keyspace {:?}", segment.keyspace);
    let (mut rows, mut latest) = (0, None);
    for line in lines(plain) {
        let row = StateRow::decode(line)?;
        anyhow::ensure!(latest.is_none_or(|latest| latest < row.key), "its rows are not in order");
        latest = Some(row.key);
        rows += 1;
    }
    anyhow::ensure!(rows == segment.rows, "it has {rows} rows, which is not what its manifest says");
    Ok(())
}
