//! Tests power cuts and failing disks.
//!
//! A run of the real service is recorded with its file system calls ([`strace`], [`calls`], [`recording`]) and its
//! answers ([`answers`]). From the recording, [`cut`] constructs the folders that a power cut could leave at any point
//! of the run ([`disk`]). [`survivors`] opens each folder with the real service and compares it with the answers.
//! [`outages`] contains the tests of power cuts, and [`faults`] the tests of disks that fail, are full or stall.
//! `docs/testing-faults.md` explains the models.

mod answers;
mod calls;
mod cut;
mod dead_letters;
mod descriptors;
mod disk;
mod faults;
mod load;
mod outages;
mod plan;
mod recording;
mod strace;
mod survivors;
