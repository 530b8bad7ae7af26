//! Reads which tables a keyspace consists of. `current` names a version and its XXH3-128; `v<version>` lists the tables by
//! level, each with its XXH3-128; a table says in its `meta` section up to which sequence number it holds everything.

use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

use super::Fault;

/// The tables of a keyspace.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    pub(crate) tables: Vec<Table>,
}

/// A table, which is written once and never changed.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// The highest sequence number in it.
    highest: u64,
    checksum: u128,
}

impl Manifest {
    /// The sequence number up to which everything is in tables; `None` if nothing is.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.tables.iter().map(|table| table.highest).max()
    }

    /// Reads the manifest of the keyspace in `folder`.
    pub(crate) fn read(folder: &Path) -> Result<Self, Fault> {
        let current = folder.join("current");
        let bytes = fs::read(&current).map_err(Fault::io(&current))?;
        let (version, checksum) =
            parse_current(&bytes).ok_or_else(|| Fault::damaged(&current, "it names no version"))?;
        let version = folder.join(format!("v{version}"));
        let bytes = fs::read(&version).map_err(Fault::io(&version))?;
        if xxh3_128(&bytes) != checksum {
            return Err(Fault::damaged(&version, "its checksum is not the one that `current` states"));
        }
        let listed = parse_version(&bytes);
        let listed = listed.ok_or_else(|| Fault::damaged(&version, "it is no list of tables"))?;
        let tables = listed.into_iter().map(|(id, checksum, offset)| {
            Table::read(folder.join("tables").join(id.to_string()), checksum, offset)
        });
        Ok(Self { tables: tables.collect::<Result<_, _>>()? })
    }
}

impl Table {
    fn read(path: PathBuf, checksum: u128, offset: u64) -> Result<Self, Fault> {
        let mut file = File::open(&path).map_err(Fault::io(&path))?;
        let bytes = file.metadata().map_err(Fault::io(&path))?.len();
        let highest = highest_seqno(&mut file);
        let highest = highest.ok_or_else(|| Fault::damaged(&path, "it is no table"))?;
        Ok(Self { path, bytes, highest: highest + offset, checksum })
    }

    /// Reads all of it and compares it with its checksum.
    pub(crate) fn verify(&self) -> Result<(), Fault> {
        let mut hasher = Xxh3Default::new();
        let read = File::open(&self.path).and_then(|mut file| io::copy(&mut file, &mut Hash(&mut hasher)));
        read.map_err(Fault::io(&self.path))?;
        if hasher.digest128() == self.checksum {
            return Ok(());
        }
        Err(Fault::damaged(&self.path, "its checksum is not the one that the list of tables states"))
    }
}

struct Hash<'a>(&'a mut Xxh3Default);

impl io::Write for Hash<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The version's number, and its checksum.
fn parse_current(bytes: &[u8]) -> Option<(u64, u128)> {
    let (version, rest) = bytes.split_first_chunk()?;
    let (checksum, rest) = rest.split_first_chunk()?;
    (rest == [0]).then(|| (u64::from_le_bytes(*version), u128::from_le_bytes(*checksum)))
}

/// Of each table its number, its checksum, and what is added to its sequence numbers.
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

/// From the properties of a table: names and values, each with its length before it.
fn highest_seqno(file: &mut File) -> Option<u64> {
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
    let (bytes, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*bytes)
}
