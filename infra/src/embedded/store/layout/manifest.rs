//! Reads the list of tables of a keyspace. The continuity check and `orders rebuild --check` call this module.
//!
//! The file `current` contains a version number and the XXH3-128 of that version's list. The file `v<version>` lists
//! the tables by level, each with its XXH3-128. The `meta` section of a table contains the highest sequence number in
//! the table.

use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

use super::LayoutError;

/// The list of the tables of a keyspace.
#[derive(Debug, Default)]
pub(crate) struct TableManifest {
    pub(crate) tables: Vec<TableFile>,
}

/// A table, which is written once and never changed.
#[derive(Debug)]
pub(crate) struct TableFile {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    highest_seqno: u64,
    checksum: u128,
}

impl TableManifest {
    /// The highest sequence number in the tables, or `None` if there are no tables.
    pub(crate) fn highest_seqno(&self) -> Option<u64> {
        self.tables.iter().map(|table| table.highest_seqno).max()
    }

    /// Reads the list of tables of the keyspace in `folder`.
    pub(crate) fn read(folder: &Path) -> Result<Self, LayoutError> {
        let current = folder.join("current");
        let bytes = fs::read(&current).map_err(LayoutError::io(&current))?;
        let (version, checksum) = parse_current(&bytes)
            .ok_or_else(|| LayoutError::damaged(&current, "the file contains no version"))?;
        let version = folder.join(format!("v{version}"));
        let bytes = fs::read(&version).map_err(LayoutError::io(&version))?;
        if xxh3_128(&bytes) != checksum {
            return Err(LayoutError::damaged(
                &version,
                "the checksum of the file differs from the one in `current`",
            ));
        }
        let listed = parse_version(&bytes);
        let listed =
            listed.ok_or_else(|| LayoutError::damaged(&version, "the file is not a list of tables"))?;
        let tables = listed.into_iter().map(|(id, checksum, offset)| {
            TableFile::read(folder.join("tables").join(id.to_string()), checksum, offset)
        });
        Ok(Self { tables: tables.collect::<Result<_, _>>()? })
    }
}

impl TableFile {
    fn read(path: PathBuf, checksum: u128, offset: u64) -> Result<Self, LayoutError> {
        let mut file = File::open(&path).map_err(LayoutError::io(&path))?;
        let bytes = file.metadata().map_err(LayoutError::io(&path))?.len();
        let highest = read_highest_seqno(&mut file);
        let highest = highest.ok_or_else(|| LayoutError::damaged(&path, "the file is not a table"))?;
        Ok(Self { path, bytes, highest_seqno: highest + offset, checksum })
    }

    /// Reads the table and verifies its checksum.
    pub(crate) fn verify(&self) -> Result<(), LayoutError> {
        let mut hasher = Xxh3Default::new();
        let read =
            File::open(&self.path).and_then(|mut file| io::copy(&mut file, &mut HashWriter(&mut hasher)));
        read.map_err(LayoutError::io(&self.path))?;
        if hasher.digest128() == self.checksum {
            return Ok(());
        }
        Err(LayoutError::damaged(
            &self.path,
            "the checksum of the file differs from the one in the list of tables",
        ))
    }
}

struct HashWriter<'a>(&'a mut Xxh3Default);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decodes the file `current`: a version number, and the checksum of that version's list of tables.
fn parse_current(bytes: &[u8]) -> Option<(u64, u128)> {
    let (version, rest) = bytes.split_first_chunk()?;
    let (checksum, rest) = rest.split_first_chunk()?;
    (rest == [0]).then(|| (u64::from_le_bytes(*version), u128::from_le_bytes(*checksum)))
}

/// Decodes a list of tables. Returns each table's number and checksum, and the offset of its sequence numbers.
fn parse_version(bytes: &[u8]) -> Option<Vec<(u64, u128, u64)>> {
    let sections = sfa::Reader::from_reader(&mut Cursor::new(bytes)).ok()?;
    let section = sections.toc().section(b"tables")?;
    let from = usize::try_from(section.pos()).ok()?;
    let mut rest = bytes.get(from..)?.get(..usize::try_from(section.len()).ok()?)?;
    let mut tables = Vec::new();
    for _level in 0..take::<1>(&mut rest)?[0] {
        for _run in 0..take::<1>(&mut rest)?[0] {
            for _table in 0..u32::from_le_bytes(take(&mut rest)?) {
                let id = u64::from_le_bytes(take(&mut rest)?);
                let [0] = take::<1>(&mut rest)? else { return None };
                let checksum = u128::from_le_bytes(take(&mut rest)?);
                tables.push((id, checksum, u64::from_le_bytes(take(&mut rest)?)));
            }
        }
    }
    Some(tables)
}

/// Reads the properties of a table. Each name and each value is preceded by its length.
fn read_highest_seqno(file: &mut File) -> Option<u64> {
    const NAME: &[u8] = b"seqno#max";
    let sections = sfa::Reader::from_reader(file).ok()?;
    let section = sections.toc().section(b"meta")?;
    let mut properties = Vec::new();
    io::Seek::seek(file, io::SeekFrom::Start(section.pos())).ok()?;
    file.take(section.len()).read_to_end(&mut properties).ok()?;
    let at = properties.windows(NAME.len()).position(|bytes| bytes == NAME)? + NAME.len();
    let (8, value) = properties.get(at..)?.split_first()? else { return None };
    Some(u64::from_le_bytes(*value.first_chunk()?))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*bytes)
}
