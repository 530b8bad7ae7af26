//! Power cuts and failing disks. A run of the real service is recorded, with all its file-system calls ([`strace`],
//! [`calls`], [`recording`]), and with what it answered meanwhile ([`answers`]). From the recording [`cut`] constructs the
//! folders that a power cut could leave at any point of the run ([`disk`]), and [`survivors`] opens them with the real
//! service and compares them with what it had answered. [`outages`] has the tests for this; [`faults`] those for disks
//! that fail, run full or stall. `docs/testing-faults.md` explains the models.

mod answers;
mod calls;
mod cut;
mod descriptors;
mod disk;
mod faults;
mod load;
mod outages;
mod plan;
mod recording;
mod strace;
mod survivors;
