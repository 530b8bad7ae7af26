//! A recorded run: the operations on files and folders, and the answers in between.

use std::path::{Path, PathBuf};

use super::answers::{Answers, Fact};
use super::calls::{
    Call, UNKNOWN_RESULT, as_successful, calls, descriptor_number, descriptor_target, sent_bytes, unquote,
};
use super::descriptors::{Descriptors, OpenFile};
use super::disk::{Change, Disk, FileImage, Node, NodeContent, Operation, ROOT};

/// Everything that a service did in a folder, in several processes one after the other.
pub(super) struct Recording {
    pub(super) root: PathBuf,
    /// The folder before the first run.
    pub(super) before: Disk,
    /// The folder after the latest run.
    pub(super) now: Disk,
    pub(super) operations: Vec<Operation>,
    /// The facts in the service's answers, each with the line of its answer in the recording.
    pub(super) facts: Vec<(usize, Fact)>,
    pub(super) lines: usize,
}

/// The open files and the incomplete answers of one process.
#[derive(Default)]
struct Process {
    descriptors: Descriptors,
    answers: Answers,
}

impl Recording {
    /// Begins a recording of what happens below `root`. Everything that already exists there counts as synced.
    pub(super) fn new(root: &Path) -> Self {
        let root = root.canonicalize().unwrap();
        let mut now = Disk::read(&root);
        let before = now.clone();
        now.nodes.reserve(1000);
        Self { root, before, now, operations: Vec::new(), facts: Vec::new(), lines: 1 }
    }

    /// Adds the run of a process that has ended. Asserts that the recorded changes result in the real folder.
    pub(super) fn add(&mut self, trace: &str) {
        let mut process = Process::default();
        let (killed, ended): (Vec<_>, Vec<_>) =
            calls(trace, self.lines).into_iter().partition(|call| call.returned == UNKNOWN_RESULT);
        ended.iter().for_each(|call| self.apply(call, &mut process));
        self.lines += trace.lines().count() + 1;
        if self.difference().is_some() {
            // If a thread was killed during a call, that call may still have succeeded.
            killed.iter().filter_map(as_successful).for_each(|call| self.apply(&call, &mut process));
        }
        let difference = self.difference();
        assert!(difference.is_none(), "the recording differs from the folder in {difference:?}");
    }

    /// The first file that differs between the recording and the real folder.
    fn difference(&self) -> Option<String> {
        let real = Disk::read(&self.root);
        let (expected, real) = (self.now.paths(), real.paths());
        let mut paths = expected.keys().chain(real.keys());
        paths.find(|path| expected.get(*path) != real.get(*path)).cloned()
    }

    /// Adds facts that were known before the recording.
    pub(super) fn add_earlier_facts(&mut self, facts: &[Fact]) {
        self.facts.extend(facts.iter().map(|fact| (0, fact.clone())));
    }

    pub(super) fn facts_before(&self, line: usize) -> Vec<Fact> {
        self.facts.iter().filter(|(at, _)| *at < line).map(|(_, fact)| fact.clone()).collect()
    }

    pub(super) fn without_syncs_of_folders(mut self) -> Self {
        let nodes = &self.now.nodes;
        self.operations.retain(|operation| match operation.change {
            Change::Sync { node, .. } => matches!(nodes[node], NodeContent::File(_)),
            _ => true,
        });
        self
    }

    fn apply(&mut self, call: &Call<'_>, process: &mut Process) {
        let arguments = &call.arguments[..];
        let first = arguments.first().copied().unwrap_or_default();
        if call.returned < 0 {
            // A failed call has changed nothing, unless it is a sync.
            if matches!(call.name, "fsync" | "fdatasync")
                && let Some(node) = process.descriptors.get(descriptor_number(first)).map(|file| file.node)
            {
                self.note(call, Change::FailedSync { node });
            }
            return;
        }
        match call.name {
            "open" | "openat" | "creat" => self.open(call, process),
            "close" => {
                process.descriptors.close(descriptor_number(first));
                process.answers.close(descriptor_number(first));
            }
            "dup" | "dup2" | "dup3" => process.descriptors.duplicate(descriptor_number(first), call.returned),
            "fcntl" if arguments[1].starts_with("F_DUPFD") => {
                process.descriptors.duplicate(descriptor_number(first), call.returned);
            }
            "lseek" => {
                if let Some(file) = process.descriptors.get(descriptor_number(first)) {
                    file.offset = call.returned.unsigned_abs();
                }
            }
            "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" | "sendto" | "sendmsg" => {
                self.written(call, process);
            }
            "ftruncate" | "fallocate" | "fsync" | "fdatasync" => {
                match process.descriptors.get(descriptor_number(first)).map(|file| file.node) {
                    Some(file) => self.file_call(call, file),
                    // An unknown descriptor of a recorded file must fail the test here. The final comparison with the
                    // real folder would not notice that a sync is missing.
                    None => assert!(
                        !Path::new(descriptor_target(first)).starts_with(&self.root),
                        "the recording has lost a descriptor: {call:?}"
                    ),
                }
            }
            "sync" | "syncfs" if !call.is_injected => {
                for node in 0..self.now.nodes.len() {
                    self.note(call, Change::Sync { node, data_only: false });
                }
            }
            "mkdir" | "mkdirat" | "unlink" | "unlinkat" | "rmdir" | "rename" | "renameat" | "renameat2"
            | "link" | "linkat" => self.folder_call(call),
            "fcntl" | "sync_file_range" => {}
            _ => {
                let concerns_us = arguments.iter().any(|it| it.contains(&*self.root.to_string_lossy()));
                let writes = |it: &[&str]| it[2].contains("PROT_WRITE") && it[3].contains("MAP_SHARED");
                let only_reads = call.name == "mmap" && !writes(arguments);
                assert!(!concerns_us || only_reads, "the model does not support {call:?}");
            }
        }
    }

    fn open(&mut self, call: &Call<'_>, process: &mut Process) {
        process.descriptors.close(call.returned);
        let Some((folder, name, at)) = self.path(call, 0) else { return };
        let flags = if call.name == "creat" { "O_CREAT|O_TRUNC|O_WRONLY" } else { call.arguments[at + 1] };
        assert!(!flags.contains("O_TMPFILE"), "the model does not support {call:?}");
        let node = if name.is_empty() { Some(folder) } else { self.entry(folder, &name) };
        let node = node.unwrap_or_else(|| {
            // A file that is opened without O_CREAT may be missing in the recording, because another thread is still
            // creating it. For example, the sync thread opens the next journal before the creating call returns. The
            // file is added here, so the creating call finds it when it returns.
            let node = self.now.add(NodeContent::File(FileImage::default()));
            self.before.add(NodeContent::File(FileImage::default()));
            self.note(call, Change::Link { folder, entries: vec![(name, Some(node))] });
            node
        });
        if flags.contains("O_TRUNC") && self.now.nodes[node].file().length > 0 {
            self.note(call, Change::Resize { file: node, length: 0 });
        }
        let file = OpenFile { node, offset: 0, appends: flags.contains("O_APPEND") };
        process.descriptors.open(call.returned, file);
    }

    fn written(&mut self, call: &Call<'_>, process: &mut Process) {
        let target = descriptor_number(call.arguments[0]);
        let at_offset = call.name.starts_with("pwrite");
        let count = call.returned.unsigned_abs();
        let Some(file) = process.descriptors.get(target) else {
            let to_socket = descriptor_target(call.arguments[0]).starts_with("socket:");
            if to_socket {
                let facts = process.answers.sent(target, &sent_bytes(call));
                self.facts.extend(facts.into_iter().map(|fact| (call.begin, fact)));
            }
            return;
        };
        let bytes = sent_bytes(call);
        let length = self.now.nodes[file.node].file().length;
        let offset = match at_offset {
            true => call.arguments[3].parse().unwrap(),
            false if file.appends => length,
            false => file.offset,
        };
        if !at_offset {
            file.offset = offset + count;
        }
        let grows = offset + count > length;
        self.note(call, Change::Write { file: file.node, offset, bytes, grows });
    }

    fn file_call(&mut self, call: &Call<'_>, file: Node) {
        match call.name {
            "fsync" | "fdatasync" if call.is_injected => {}
            "fsync" | "fdatasync" => {
                self.note(call, Change::Sync { node: file, data_only: call.name == "fdatasync" });
            }
            "ftruncate" => {
                let length = call.arguments[1].parse().unwrap();
                self.note(call, Change::Resize { file, length });
            }
            _ => {
                assert_eq!(call.arguments[1], "0", "the model does not support {call:?}");
                let end = call.arguments[2..4].iter().map(|it| it.parse::<u64>().unwrap()).sum();
                if end > self.now.nodes[file].file().length {
                    self.note(call, Change::Resize { file, length: end });
                }
            }
        }
    }

    fn folder_call(&mut self, call: &Call<'_>) {
        let Some((folder, name, at)) = self.path(call, 0) else { return };
        let entries = match call.name {
            "mkdir" | "mkdirat" => {
                let node = self.now.add(NodeContent::Folder(Default::default()));
                self.before.add(NodeContent::Folder(Default::default()));
                vec![(name, Some(node))]
            }
            "unlink" | "unlinkat" | "rmdir" => vec![(name, None)],
            _ => {
                let (other, new_name, _) =
                    self.path(call, at + 1).expect("the service moves no file out of the recorded folder");
                assert_eq!(folder, other, "the model does not support moves between folders: {call:?}");
                let node = self.entry(folder, &name);
                assert!(node.is_some(), "{call:?}");
                let gone = (!call.name.starts_with("link")).then_some((name, None));
                gone.into_iter().chain([(new_name, node)]).collect()
            }
        };
        self.note(call, Change::Link { folder, entries });
    }

    fn note(&mut self, call: &Call<'_>, change: Change) {
        self.now.apply(&change);
        self.operations.push(Operation { begin: call.begin, end: call.end, change });
    }

    fn entry(&mut self, folder: Node, name: &str) -> Option<Node> {
        self.now.nodes[folder].folder().get(name).copied()
    }

    /// The first path at or after argument `from`, if the path is in the recorded folder. Returns the folder, the
    /// name, and the index of the argument. The name of the root is empty.
    fn path(&mut self, call: &Call<'_>, from: usize) -> Option<(Node, String, usize)> {
        let at = (from..call.arguments.len()).find(|at| call.arguments[*at].starts_with('"'))?;
        let path = String::from_utf8(unquote(call.arguments[at])).ok()?;
        let base = at.checked_sub(1).map_or("/", |base| descriptor_target(call.arguments[base]));
        let path = Path::new(base).join(path);
        let path = path.strip_prefix(&self.root).ok()?;
        let mut names = path.iter().map(|name| name.to_str().expect("names are text").to_owned());
        let Some(mut name) = names.next() else { return Some((ROOT, String::new(), at)) };
        let mut folder = ROOT;
        for next in names {
            folder = self
                .entry(folder, &name)
                .unwrap_or_else(|| panic!("the model does not contain {name}: {call:?}"));
            name = next;
        }
        Some((folder, name, at))
    }
}
