//! What a power cut could leave of a recorded run.
//!
//! Certain is only what was synced before the cut. A sync makes durable what was done to that file, or in that folder,
//! before the sync began; it counts from when it has ended. How much of the rest is there depends on the [`Model`].

use std::collections::BTreeMap;
use std::ops::Range;

use fastrand::Rng;

use super::disk::{Disk, Node, Operation, PAGE, SECTOR, What};
use super::recording::Recording;

/// What file systems and disks may do with what is not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Model {
    /// Nothing of it is there. A new name needs a sync of its folder; that of the file is not enough.
    Strict,
    /// Folders and lengths change in order, as in a journal that every sync writes out to here; of each file, the first
    /// so many writes are there. So does ext4.
    Ordered,
    /// The same, but each page is there as it was after any of its writes: holes, and a new page behind an old one.
    Pages,
    /// The same, by sectors: pages are torn.
    Torn,
    /// As with pages; and of the changes of each folder any are there that do not build on ones that are not.
    Reordered,
}

pub(super) const MODELS: [Model; 5] =
    [Model::Strict, Model::Ordered, Model::Pages, Model::Torn, Model::Reordered];

/// A power cut, and what it left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    /// The line of the recording before which the power failed.
    pub(super) line: usize,
    pub(super) model: Model,
    /// Decides what is left where several things are possible.
    pub(super) seed: u64,
}

/// What is left of the recorded run.
pub(super) fn cut(recording: &Recording, cut: Cut) -> Disk {
    let mut rng = Rng::with_seed(cut.seed ^ ((cut.line as u64) << 32));
    let happened = recording.operations.iter().filter(|it| it.begin < cut.line);
    let synced = Synced::before(recording, cut.line);
    let journaled = !matches!(cut.model, Model::Strict | Model::Reordered);
    let limit = rng.usize(synced.journal..=cut.line);
    let mut disk = recording.before.clone();
    let mut files: BTreeMap<Node, Vec<&Operation>> = BTreeMap::new();
    let mut folders: BTreeMap<Node, Vec<&Operation>> = BTreeMap::new();
    for operation in happened {
        let is_synced = match &operation.what {
            What::Sync { .. } | What::Failed { .. } => continue,
            What::Write { file: node, .. } => synced.has_written(*node, operation.end),
            What::Resize { file: node, .. } | What::Link { folder: node, .. } => {
                operation.end < if journaled { limit } else { synced.nodes[*node] }
            }
        };
        match &operation.what {
            _ if is_synced => disk.apply(&operation.what),
            // A length that the journal lacks does not come by itself.
            What::Resize { .. } if journaled => {}
            What::Write { file: node, .. } | What::Resize { file: node, .. } => {
                files.entry(*node).or_default().push(operation);
            }
            What::Link { folder, .. } if cut.model == Model::Reordered => {
                folders.entry(*folder).or_default().push(operation);
            }
            _ => {}
        }
    }
    for operations in folders.values() {
        keep_some(&mut disk, operations, &mut rng);
    }
    for (file, operations) in &files {
        match cut.model {
            Model::Strict => {}
            Model::Ordered => {
                let count = rng.usize(..=operations.len());
                operations[..count].iter().for_each(|operation| disk.apply(&operation.what));
            }
            Model::Pages | Model::Reordered => keep_parts(&mut disk, *file, operations, PAGE, &mut rng),
            Model::Torn => keep_parts(&mut disk, *file, operations, SECTOR, &mut rng),
        }
    }
    disk
}

/// Up to which line everything is durable.
struct Synced {
    /// By file, or folder.
    nodes: Vec<usize>,
    /// What a file system with a journal has written out of it.
    journal: usize,
    /// By file, from where to where a sync has failed.
    dropped: Vec<(Node, Range<usize>)>,
}

impl Synced {
    fn before(recording: &Recording, line: usize) -> Self {
        let mut nodes = vec![0; recording.now.nodes.len()];
        // A sync of data alone writes out the journal if the file is new, or has a new length.
        let mut changed = nodes.clone();
        let (mut journal, mut dropped) = (0, Vec::new());
        for Operation { begin, end, what } in recording.operations.iter().filter(|it| it.end < line) {
            match what {
                What::Sync { node, data_only } => {
                    nodes[*node] = nodes[*node].max(*begin);
                    if !data_only || changed[*node] > journal {
                        journal = journal.max(*begin);
                    }
                }
                What::Write { file: node, grows: true, .. } | What::Resize { file: node, .. } => {
                    changed[*node] = *end;
                }
                What::Link { entries, .. } => {
                    entries.iter().filter_map(|(_, node)| *node).for_each(|node| changed[node] = *end);
                }
                // What is not synced by then is not synced by any sync that follows.
                What::Failed { node } => dropped.push((*node, nodes[*node]..*begin)),
                What::Write { .. } => {}
            }
        }
        Self { nodes, journal, dropped }
    }

    /// Whether a write to this file is on the disk that ended at this line.
    fn has_written(&self, file: Node, end: usize) -> bool {
        let is_dropped = self.dropped.iter().any(|(node, lines)| *node == file && lines.contains(&end));
        end < self.nodes[file] && !is_dropped
    }
}

/// Does some of what was done in a folder. What is done to a name needs what was done to that name before.
fn keep_some(disk: &mut Disk, operations: &[&Operation], rng: &mut Rng) {
    let likely = [0.2, 0.5, 0.8][rng.usize(..3)];
    let mut kept = Vec::new();
    let mut needed: Vec<&str> = Vec::new();
    for operation in operations.iter().rev() {
        let What::Link { entries, .. } = &operation.what else { unreachable!("these are folders") };
        let names = || entries.iter().map(|(name, _)| name.as_str());
        if names().any(|name| needed.contains(&name)) || rng.f64() < likely {
            needed.extend(names());
            kept.push(operation);
        }
    }
    kept.iter().rev().for_each(|operation| disk.apply(&operation.what));
}

/// Does some of what was done to a file: each part of it is as some of the writes left it.
fn keep_parts(disk: &mut Disk, file: Node, operations: &[&Operation], unit: u64, rng: &mut Rng) {
    let mut writes: BTreeMap<u64, usize> = BTreeMap::new();
    for operation in operations {
        if let What::Write { offset, bytes, .. } = &operation.what {
            (offset / unit..(offset + bytes.len() as u64).div_ceil(unit))
                .for_each(|part| *writes.entry(part).or_default() += 1);
        }
    }
    let keep = choose(&writes, rng);
    let mut done: BTreeMap<u64, usize> = BTreeMap::new();
    let image = disk.nodes[file].file();
    let mut lengths = vec![image.length];
    for operation in operations {
        match &operation.what {
            What::Write { offset, bytes, .. } => {
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
            What::Resize { length, .. } => image.resize(*length),
            _ => unreachable!("these are files"),
        }
        lengths.push(image.length);
    }
    // The length is that of some moment too.
    let length = lengths[rng.usize(..lengths.len())];
    image.resize(length);
}

/// How many of its writes each part has seen: any number of them; or all parts all but one; or one alone.
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
