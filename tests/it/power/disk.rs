//! A disk in memory. It consists of folders, and of files that are divided into pages. A recording applies
//! its changes to such a disk. A simulated power cut returns the disk that is left.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// The size of a page of the page cache. Much software assumes that a page is written completely or not at all.
pub(super) const PAGE_BYTES: u64 = 4096;
/// The size of a sector, which a disk does write completely or not at all.
pub(super) const SECTOR_BYTES: u64 = 512;

/// The number that identifies a file or folder on the disk. The root folder has number 0.
pub(super) type Node = usize;
pub(super) const ROOT: Node = 0;

/// The content of a file. Pages that were never written contain zeros.
#[derive(Debug, Clone, Default)]
pub(super) struct FileImage {
    pub(super) length: u64,
    pages: BTreeMap<u64, Arc<[u8; PAGE_BYTES as usize]>>,
}

impl PartialEq for FileImage {
    fn eq(&self, other: &Self) -> bool {
        let not_zero =
            |(_, page): &(&u64, &Arc<[u8; PAGE_BYTES as usize]>)| page.iter().any(|byte| *byte != 0);
        self.length == other.length
            && self.pages.iter().filter(not_zero).eq(other.pages.iter().filter(not_zero))
    }
}

impl FileImage {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut image = Self::default();
        image.write(0, bytes);
        image
    }

    /// Writes the given bytes. The file grows if the bytes extend beyond its end.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.patch(offset, bytes);
        self.length = self.length.max(offset + bytes.len() as u64);
    }

    /// Like [`FileImage::write`], but does not change the length of the file. Bytes beyond the length become readable
    /// when the file grows.
    pub(super) fn patch(&mut self, mut offset: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let start = (offset % PAGE_BYTES) as usize;
            let (part, rest) = bytes.split_at(bytes.len().min(PAGE_BYTES as usize - start));
            // Pages of zeros stay holes, because a hole reads as zeros.
            if self.pages.contains_key(&(offset / PAGE_BYTES)) || part.iter().any(|byte| *byte != 0) {
                let page = self
                    .pages
                    .entry(offset / PAGE_BYTES)
                    .or_insert_with(|| Arc::new([0; PAGE_BYTES as usize]));
                Arc::make_mut(page)[start..start + part.len()].copy_from_slice(part);
            }
            offset += part.len() as u64;
            bytes = rest;
        }
    }

    pub(super) fn resize(&mut self, length: u64) {
        if length < self.length {
            self.pages.split_off(&length.div_ceil(PAGE_BYTES));
            if let Some(page) = self.pages.get_mut(&(length / PAGE_BYTES)) {
                Arc::make_mut(page)[(length % PAGE_BYTES) as usize..].fill(0);
            }
        }
        self.length = length;
    }

    fn write_to(&self, path: &Path) {
        let file = File::create_new(path).unwrap();
        // Adjacent pages are written with one call, up to about 1 MiB.
        let (mut start, mut run) = (0, Vec::new());
        for (number, page) in &self.pages {
            let offset = number * PAGE_BYTES;
            if offset >= self.length {
                break;
            }
            if start + run.len() as u64 != offset || run.len() >= 1 << 20 {
                file.write_all_at(&run, start).unwrap();
                (start, run) = (offset, Vec::new());
            }
            run.extend_from_slice(&page[..]);
        }
        file.write_all_at(&run, start).unwrap();
        file.set_len(self.length).unwrap();
    }
}

/// A file or a folder.
#[derive(Debug, Clone)]
pub(super) enum NodeContent {
    Folder(BTreeMap<String, Node>),
    File(FileImage),
}

impl NodeContent {
    pub(super) fn folder(&mut self) -> &mut BTreeMap<String, Node> {
        match self {
            Self::Folder(entries) => entries,
            Self::File(_) => panic!("a file was found where a folder was expected"),
        }
    }

    pub(super) fn file(&mut self) -> &mut FileImage {
        match self {
            Self::File(file) => file,
            Self::Folder(_) => panic!("a folder was found where a file was expected"),
        }
    }
}

/// A change of the disk. It happens between two lines of the recording.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) begin: usize,
    pub(super) end: usize,
    pub(super) change: Change,
}

#[derive(Debug)]
pub(super) enum Change {
    Write {
        file: Node,
        offset: u64,
        bytes: Vec<u8>,
        grows: bool,
    },
    Resize {
        file: Node,
        length: u64,
    },
    /// Names in one folder that get a new node or are removed. Either all of these changes happen or none.
    Link {
        folder: Node,
        entries: Vec<(String, Option<Node>)>,
    },
    Sync {
        node: Node,
        data_only: bool,
    },
    /// A failed sync. The operating system may have dropped the writes that this sync covers, and no later sync
    /// writes them.
    FailedSync {
        node: Node,
    },
}

/// A root folder and everything below it.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) nodes: Vec<NodeContent>,
}

impl Disk {
    /// Reads everything below `folder`.
    pub(super) fn read(folder: &Path) -> Self {
        let mut disk = Self { nodes: vec![NodeContent::Folder(BTreeMap::new())] };
        disk.read_into(ROOT, folder);
        disk
    }

    fn read_into(&mut self, node: Node, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let is_folder = entry.file_type().unwrap().is_dir();
            let content = if is_folder {
                NodeContent::Folder(BTreeMap::new())
            } else {
                NodeContent::File(FileImage::of(&fs::read(entry.path()).unwrap()))
            };
            let child = self.add(content);
            self.nodes[node].folder().insert(entry.file_name().into_string().unwrap(), child);
            if is_folder {
                self.read_into(child, &entry.path());
            }
        }
    }

    pub(super) fn add(&mut self, content: NodeContent) -> Node {
        self.nodes.push(content);
        self.nodes.len() - 1
    }

    /// Writes everything into `folder`, which must be empty.
    pub(super) fn write_to(&self, folder: &Path) {
        self.write_node(ROOT, folder);
    }

    fn write_node(&self, node: Node, path: &Path) {
        match &self.nodes[node] {
            NodeContent::File(file) => file.write_to(path),
            NodeContent::Folder(entries) => {
                for (name, child) in entries {
                    let path = path.join(name);
                    if matches!(self.nodes[*child], NodeContent::Folder(_)) {
                        fs::create_dir(&path).unwrap();
                    }
                    self.write_node(*child, &path);
                }
            }
        }
    }

    /// Every path, with its file image, or with `None` for a folder.
    pub(super) fn paths(&self) -> BTreeMap<String, Option<&FileImage>> {
        let mut paths = BTreeMap::new();
        self.collect(ROOT, "", &mut paths);
        paths
    }

    fn collect<'a>(&'a self, node: Node, path: &str, paths: &mut BTreeMap<String, Option<&'a FileImage>>) {
        let image = match &self.nodes[node] {
            NodeContent::File(image) => Some(image),
            NodeContent::Folder(entries) => {
                for (name, child) in entries {
                    self.collect(*child, &format!("{path}/{name}"), paths);
                }
                None
            }
        };
        paths.insert(path.to_owned(), image);
    }

    /// A list of all files, for use in error messages.
    pub(super) fn listing(&self) -> String {
        let line = |(path, image): (String, Option<&FileImage>)| match image {
            Some(image) => format!("  {path}: {} bytes, {} pages\n", image.length, image.pages.len()),
            None => format!("  {path}/\n"),
        };
        self.paths().into_iter().map(line).collect()
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Write { file, offset, bytes, .. } => self.nodes[*file].file().write(*offset, bytes),
            Change::Resize { file, length } => self.nodes[*file].file().resize(*length),
            Change::Link { folder, entries } => {
                for (name, node) in entries {
                    let folder = self.nodes[*folder].folder();
                    match node {
                        Some(node) => folder.insert(name.clone(), *node),
                        None => folder.remove(name),
                    };
                }
            }
            Change::Sync { .. } | Change::FailedSync { .. } => {}
        }
    }
}
