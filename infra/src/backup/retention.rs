//! Removes old increments: first their manifests, then the segments that no remaining manifest lists.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime};

use super::error::BackupError;
use super::manifest::Manifest;
use super::segment::FileHash;
use super::target::{StoredFile, Target};

/// The minimum age of an unlisted segment before it is removed. A younger segment may belong to an increment that
/// another process is writing to the same bucket.
const ORPHAN_AGE: Duration = Duration::from_secs(60 * 60);

/// Keeps the newest increments of a target, and removes older ones. A second call of [`Retention::apply`] reads only
/// new manifests.
#[derive(Debug, Default)]
pub struct Retention {
    /// The segments that each manifest lists, for the manifests that were read.
    known: BTreeMap<u64, HashSet<FileHash>>,
}

impl Retention {
    /// Keeps the newest `keep` increments and their segments, and removes all others. Returns the number of removed
    /// increments. The caller must hold the lock of the target.
    pub async fn apply(&mut self, target: &Target, keep: u64) -> Result<u64, BackupError> {
        let numbers = target.manifests().await?;
        let kept = usize::try_from(keep.max(1)).unwrap_or(usize::MAX);
        let (old, kept) = numbers.split_at(numbers.len().saturating_sub(kept));
        if old.is_empty() {
            return Ok(0);
        }
        let is_first = self.known.is_empty();
        self.known.retain(|number, _| numbers.contains(number));
        for number in &numbers {
            self.read(target, *number, kept.contains(number)).await?;
        }
        let needed: HashSet<_> =
            kept.iter().filter_map(|number| self.known.get(number)).flatten().copied().collect();
        let listed = old.iter().filter_map(|number| self.known.get(number)).flatten();
        let mut unneeded: HashSet<_> = listed.filter(|file| !needed.contains(*file)).copied().collect();
        if is_first {
            unneeded.extend(orphans(target, &needed).await?);
        }
        // Segments are removed after manifests, so that no manifest ever lists a missing segment.
        for number in old {
            target.remove(&Manifest::path(*number)).await?;
        }
        for file in unneeded {
            target.remove(&format!("segments/{file}.zst")).await?;
        }
        self.known.retain(|number, _| kept.contains(number));
        Ok(old.len() as u64)
    }

    async fn read(&mut self, target: &Target, number: u64, is_kept: bool) -> Result<(), BackupError> {
        if self.known.contains_key(&number) {
            return Ok(());
        }
        let files = match target.manifest(number).await {
            Ok((manifest, _)) => manifest.files().map(|file| file.sha256).collect(),
            // The segments of a damaged manifest are unknown. An old damaged manifest is removed, and its segments are
            // removed as orphans.
            Err(BackupError::Manifest { .. }) if !is_kept => HashSet::new(),
            Err(error) => return Err(error),
        };
        self.known.insert(number, files);
        Ok(())
    }
}

/// The segments that no kept manifest lists and that are old enough to be removed.
async fn orphans(target: &Target, needed: &HashSet<FileHash>) -> Result<Vec<FileHash>, BackupError> {
    let now = SystemTime::now();
    let is_old = |file: &StoredFile| now.duration_since(file.written_at).is_ok_and(|age| age >= ORPHAN_AGE);
    let files = target.list("segments").await?;
    let old = files.iter().filter(|file| is_old(file));
    let hashes = old.filter_map(|file| FileHash::parse(file.name.strip_suffix(".zst")?));
    Ok(hashes.filter(|file| !needed.contains(file)).collect())
}
