//! Constructs the possible states of the disk after a power cut in a recorded run.
//!
//! Only data that was synced before the cut is certain to be on the disk. A sync covers the earlier changes to its
//! file or folder, once the sync has ended. The [`Model`] decides how many of the other changes are on the disk.

use std::collections::BTreeMap;
use std::ops::Range;

use fastrand::Rng;

use super::disk::{Change, Disk, Node, Operation, PAGE_BYTES, SECTOR_BYTES};
use super::recording::Recording;

/// What file systems and disks may do with unsynced changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Model {
    /// No unsynced change is on the disk. A new name is on the disk only after a sync of its folder; a sync of the
    /// file is not enough.
    Strict,
    /// Changes of folders and lengths reach the disk in order, as in a file system journal. Every sync flushes the
    /// journal up to the beginning of that sync. For each file, only the first few writes are on the disk. ext4
    /// behaves like this.
    Ordered,
    /// Like `Ordered`, but each page may have the state after any of its writes. So a file may have holes, and may
    /// contain new pages after old ones.
    Pages,
    /// Like `Pages`, but for sectors. So a page may be only partly written.
    Torn,
    /// Like `Pages`. In addition, any change of a folder may be on the disk, unless it depends on a change that is
    /// missing.
    Reordered,
}

pub(super) const MODELS: [Model; 5] =
    [Model::Strict, Model::Ordered, Model::Pages, Model::Torn, Model::Reordered];

#[derive(Debug, Clone, Copy)]
pub(super) struct PowerCut {
    /// The line of the recording before which the power fails.
    pub(super) line: usize,
    pub(super) model: Model,
    /// The seed that selects one of the possible states.
    pub(super) seed: u64,
}

pub(super) fn disk_after(recording: &Recording, cut: PowerCut) -> Disk {
    let mut rng = Rng::with_seed(cut.seed ^ ((cut.line as u64) << 32));
    let happened = recording.operations.iter().filter(|it| it.begin < cut.line);
    let synced = SyncedLines::before(recording, cut.line);
    let journaled = !matches!(cut.model, Model::Strict | Model::Reordered);
    let limit = rng.usize(synced.journal..=cut.line);
    let mut disk = recording.before.clone();
    let mut files: BTreeMap<Node, Vec<&Operation>> = BTreeMap::new();
    let mut folders: BTreeMap<Node, Vec<&Operation>> = BTreeMap::new();
    for operation in happened {
        let is_synced = match &operation.change {
            Change::Sync { .. } | Change::FailedSync { .. } => continue,
            Change::Write { file: node, .. } => synced.has_written(*node, operation.end),
            Change::Resize { file: node, .. } | Change::Link { folder: node, .. } => {
                operation.end < if journaled { limit } else { synced.nodes[*node] }
            }
        };
        match &operation.change {
            _ if is_synced => disk.apply(&operation.change),
            // A new length is lost if it is not in the file system journal yet.
            Change::Resize { .. } if journaled => {}
            Change::Write { file: node, .. } | Change::Resize { file: node, .. } => {
                files.entry(*node).or_default().push(operation);
            }
            Change::Link { folder, .. } if cut.model == Model::Reordered => {
                folders.entry(*folder).or_default().push(operation);
            }
            _ => {}
        }
    }
    for operations in folders.values() {
        keep_some_links(&mut disk, operations, &mut rng);
    }
    for (file, operations) in &files {
        match cut.model {
            Model::Strict => {}
            Model::Ordered => {
                let count = rng.usize(..=operations.len());
                operations[..count].iter().for_each(|operation| disk.apply(&operation.change));
            }
            Model::Pages | Model::Reordered => keep_parts(&mut disk, *file, operations, PAGE_BYTES, &mut rng),
            Model::Torn => keep_parts(&mut disk, *file, operations, SECTOR_BYTES, &mut rng),
        }
    }
    disk
}

/// Which changes are certain to be on the disk at the time of the power cut, because they were synced.
struct SyncedLines {
    /// For each file or folder, a line of the recording. All changes of the file or folder before this line are synced.
    nodes: Vec<usize>,
    /// A line of the recording. All changes of folders and lengths before this line are on the disk, because the file
    /// system journal was flushed.
    journal: usize,
    /// For each failed sync, the file and the lines of the writes that the operating system may have dropped.
    dropped: Vec<(Node, Range<usize>)>,
}

impl SyncedLines {
    fn before(recording: &Recording, line: usize) -> Self {
        let mut nodes = vec![0; recording.now.nodes.len()];
        // A sync of data flushes the file system journal only if the file is new or has a new length.
        let mut changed_at = nodes.clone();
        let (mut journal, mut dropped) = (0, Vec::new());
        for Operation { begin, end, change } in recording.operations.iter().filter(|it| it.end < line) {
            match change {
                Change::Sync { node, data_only } => {
                    nodes[*node] = nodes[*node].max(*begin);
                    if !data_only || changed_at[*node] > journal {
                        journal = journal.max(*begin);
                    }
                }
                Change::Write { file: node, grows: true, .. } | Change::Resize { file: node, .. } => {
                    changed_at[*node] = *end;
                }
                Change::Link { entries, .. } => {
                    entries.iter().filter_map(|(_, node)| *node).for_each(|node| changed_at[node] = *end);
                }
                // The data that a failed sync covered may be lost, because no later sync writes it.
                Change::FailedSync { node } => dropped.push((*node, nodes[*node]..*begin)),
                Change::Write { .. } => {}
            }
        }
        Self { nodes, journal, dropped }
    }

    /// Whether a sync put the write to this file that ended at line `end` on the disk.
    fn has_written(&self, file: Node, end: usize) -> bool {
        let is_dropped = self.dropped.iter().any(|(node, lines)| *node == file && lines.contains(&end));
        end < self.nodes[file] && !is_dropped
    }
}

/// Applies some of the changes of a folder. A change of a name requires the earlier changes of that name.
fn keep_some_links(disk: &mut Disk, operations: &[&Operation], rng: &mut Rng) {
    let likely = [0.2, 0.5, 0.8][rng.usize(..3)];
    let mut kept = Vec::new();
    let mut needed: Vec<&str> = Vec::new();
    for operation in operations.iter().rev() {
        let Change::Link { entries, .. } = &operation.change else { unreachable!("these are folders") };
        let names = || entries.iter().map(|(name, _)| name.as_str());
        if names().any(|name| needed.contains(&name)) || rng.f64() < likely {
            needed.extend(names());
            kept.push(operation);
        }
    }
    kept.iter().rev().for_each(|operation| disk.apply(&operation.change));
}

/// Applies some of the changes of a file. Each part of the file gets the state that it had after one of its writes.
fn keep_parts(disk: &mut Disk, file: Node, operations: &[&Operation], unit: u64, rng: &mut Rng) {
    let mut writes: BTreeMap<u64, usize> = BTreeMap::new();
    for operation in operations {
        if let Change::Write { offset, bytes, .. } = &operation.change {
            (offset / unit..(offset + bytes.len() as u64).div_ceil(unit))
                .for_each(|part| *writes.entry(part).or_default() += 1);
        }
    }
    let keep = choose(&writes, rng);
    let mut done: BTreeMap<u64, usize> = BTreeMap::new();
    let image = disk.nodes[file].file();
    let mut lengths = vec![image.length];
    for operation in operations {
        match &operation.change {
            Change::Write { offset, bytes, .. } => {
                let end = offset + bytes.len() as u64;
                for part in offset / unit..end.div_ceil(unit) {
                    let done = done.entry(part).or_default();
                    if *done < keep[&part] {
                        *done += 1;
                        let (from, to) = ((part * unit).max(*offset), ((part + 1) * unit).min(end));
                        image.patch(from, &bytes[(from - offset) as usize..(to - offset) as usize]);
                    }
                }
                image.length = image.length.max(end);
            }
            Change::Resize { length, .. } => image.resize(*length),
            _ => unreachable!("these are files"),
        }
        lengths.push(image.length);
    }
    // The length of the file is one of the lengths that it had before the cut.
    let length = lengths[rng.usize(..lengths.len())];
    image.resize(length);
}

/// For each part, the number of its writes that are on the disk. There are three patterns. In the first, each part
/// has any number of its writes. In the second, one part lacks some of its writes, and the other parts have all. In the
/// third, one part has all of its writes, and the other parts have none.
fn choose(writes: &BTreeMap<u64, usize>, rng: &mut Rng) -> BTreeMap<u64, usize> {
    let one = rng.usize(..writes.len().max(1));
    let pattern = rng.usize(..4);
    let parts = writes.iter().enumerate().map(|(number, (part, count))| {
        let kept = match pattern {
            0 | 1 => rng.usize(..=*count),
            2 => {
                if number == one {
                    rng.usize(..*count)
                } else {
                    *count
                }
            }
            _ => {
                if number == one {
                    *count
                } else {
                    0
                }
            }
        };
        (*part, kept)
    });
    parts.collect()
}
