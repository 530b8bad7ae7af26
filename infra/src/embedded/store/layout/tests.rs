//! Tests that read files which fjall has written. The tests fail if fjall changes a format.

use fjall::{AbstractTree, Database, KeyspaceCreateOptions, PersistMode};

use super::journal::{self, JournalBatches};
use super::manifest::TableManifest;
use super::*;

fn database(folder: &Path) -> (Database, fjall::Keyspace, fjall::Keyspace) {
    let db = Database::builder(folder).open().unwrap();
    let open = |name| db.keyspace(name, KeyspaceCreateOptions::default).unwrap();
    let (one, two) = (open("one"), open("two"));
    (db, one, two)
}

#[test]
fn journals_that_fjall_wrote_can_be_read() {
    let folder = tempfile::TempDir::new().unwrap();
    let (db, one, two) = database(folder.path());
    let long = "long enough to be compressed ".repeat(400);
    for round in ["first", "second"] {
        let mut batch = db.batch();
        batch.insert(&one, "a", round);
        batch.insert(&two, "b", long.as_str());
        batch.remove(&one, "c");
        batch.commit().unwrap();
    }
    db.persist(PersistMode::SyncAll).unwrap();

    let journals = journals(folder.path()).unwrap();
    assert_eq!(journals, [(0, journal_path(folder.path(), 0))]);
    let mut bytes = fs::read(&journals[0].1).unwrap();
    let mut batches = JournalBatches::of(&bytes);
    let read: Vec<_> = batches.by_ref().collect();
    assert!(batches.ends_clean() && batches.after_end().is_empty());
    assert_eq!(read.len(), 2);
    assert!(read[0].seqno < read[1].seqno && read[1].seqno == two.tree.get_highest_seqno().unwrap());
    let items =
        read[1].items().map(|item| (item.keyspace, item.key, item.value.and_then(|value| value.read())));
    assert_eq!(
        items.collect::<Vec<_>>(),
        [
            (1, b"a".as_slice(), Some(b"second".to_vec())),
            (2, b"b".as_slice(), Some(long.into_bytes())),
            (1, b"c".as_slice(), None),
        ]
    );

    // Changing any byte of the first batch makes the readable journal end before that batch. The second batch is still
    // found after that end.
    let (first, second) = (read[0].range.clone(), read[1].range.clone());
    for position in first.clone().step_by(11) {
        bytes[position] ^= 0x40;
        let mut batches = JournalBatches::of(&bytes);
        let found: Vec<_> = batches.by_ref().map(|batch| batch.range).collect();
        // The sequence number is an exception, because the checksum does not cover it. A batch with a changed number is
        // still read. The next batch is read only if its number is higher.
        assert!(found.is_empty() || found[0] == first, "{position}: {found:?}");
        if found.is_empty() {
            assert_eq!(batches.end, 0);
            assert!(batches.after_end().iter().any(|batch| batch.range == second), "{position}");
        }
        bytes[position] ^= 0x40;
    }
}

#[test]
fn table_lists_that_fjall_wrote_can_be_read() {
    let folder = tempfile::TempDir::new().unwrap();
    let (_db, one, two) = database(folder.path());
    let manifest = |number| TableManifest::read(&keyspace_path(folder.path(), number));
    assert_eq!(manifest(1).unwrap().highest_seqno(), None);
    for round in 0..3u32 {
        (0..100u32).for_each(|n| one.insert(n.to_be_bytes(), round.to_be_bytes()).unwrap());
        one.rotate_memtable_and_wait().unwrap();
    }
    let read = manifest(1).unwrap();
    assert_eq!(read.highest_seqno(), one.tree.get_highest_persisted_seqno());
    assert!(read.highest_seqno().is_some() && !read.tables.is_empty());
    assert_eq!(manifest(2).unwrap().highest_seqno(), two.tree.get_highest_persisted_seqno());
    read.tables.iter().for_each(|table| table.verify().unwrap());

    let table = &read.tables[0].path;
    let mut bytes = fs::read(table).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(table, &bytes).unwrap();
    assert!(matches!(read.tables[0].verify(), Err(LayoutError::Damaged(path, _)) if path == *table));
    fs::remove_file(table).unwrap();
    assert!(matches!(manifest(1), Err(LayoutError::Damaged(path, _)) if path == *table));

    let current = keyspace_path(folder.path(), 2).join("current");
    let mut bytes = fs::read(&current).unwrap();
    bytes[10] ^= 1;
    fs::write(&current, &bytes).unwrap();
    assert!(matches!(manifest(2), Err(LayoutError::Damaged(..))));
}

#[test]
fn a_journal_is_read_up_to_its_last_byte_that_is_not_zero() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("0.jnl");
    // A power cut can leave a hole of zeros between batches. Such zeros are content, even if they extend over more than
    // one read.
    for content in [&[][..], &[1], &[&[0; 300_000][..], &[7; 300_000], &[0; 700_000], &[9]].concat()] {
        let mut file = content.to_vec();
        file.resize(content.len() + 1_000_000, 0);
        fs::write(&path, &file).unwrap();
        assert!(journal::read(&path).unwrap() == content, "{} bytes", content.len());
    }
}
