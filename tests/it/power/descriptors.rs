//! The open files of a recorded process.

use std::collections::HashMap;

use super::disk::Node;

/// An open file. Duplicates of a descriptor share its `OpenFile`.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) node: Node,
    pub(super) offset: u64,
    /// Whether the file was opened with `O_APPEND`.
    pub(super) appends: bool,
}

/// The open files in the recorded folder, by descriptor.
#[derive(Default)]
pub(super) struct Descriptors {
    files: Vec<OpenFile>,
    numbers: HashMap<i64, usize>,
}

impl Descriptors {
    pub(super) fn open(&mut self, descriptor: i64, file: OpenFile) {
        self.files.push(file);
        self.numbers.insert(descriptor, self.files.len() - 1);
    }

    pub(super) fn duplicate(&mut self, from: i64, to: i64) {
        match self.numbers.get(&from).copied() {
            Some(file) => self.numbers.insert(to, file),
            None => self.numbers.remove(&to),
        };
    }

    pub(super) fn close(&mut self, descriptor: i64) {
        self.numbers.remove(&descriptor);
    }

    pub(super) fn get(&mut self, descriptor: i64) -> Option<&mut OpenFile> {
        self.numbers.get(&descriptor).map(|file| &mut self.files[*file])
    }
}
