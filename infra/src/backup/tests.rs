use domain::{Ledger, OrderId, Timestamp};

use super::BackupError;
use super::manifest::{FolderState, LogSegment, Manifest, ManifestFlaw, StateSegment};
use super::record::{EventRecord, LogRecord};
use super::row::StateRow;
use super::running_hash::RunningHash;
use super::segment::{self, FileHash, SegmentFlaw, pack, unpack};
use super::target::Target;

fn event(position: u64, entry: &[u8], receipt: Option<&[u8]>) -> EventRecord {
    EventRecord {
        position,
        time: 1_700_000_000_000_000 + position as i64,
        order_id: OrderId::parse("a-1").unwrap(),
        version: 2,
        entry: entry.to_vec(),
        receipt: receipt.map(<[u8]>::to_vec),
    }
}

fn line_of(record: &LogRecord) -> String {
    let mut line = Vec::new();
    record.encode(&mut line).unwrap();
    let line = String::from_utf8(line).unwrap();
    assert_eq!(line.find('\n'), Some(line.len() - 1), "{line}");
    line.trim_end().to_owned()
}

/// Lines of format 1 must always be readable.
#[test]
fn lines_of_format_1_are_readable() {
    let rows = [
        (
            r#"{"position":7,"time":1700000000000007,"order_id":"a-1","version":2,"entry":{"type":"order_paid","n":1.50},"message":"3-abc","receipt":{"state":"recorded"}}"#,
            LogRecord::Event(event(
                7,
                b"{\"type\":\"order_paid\",\"n\":1.50}\n3-abc",
                Some(b"{\"state\":\"recorded\"}"),
            )),
        ),
        (
            r#"{"position":8,"time":1700000000000008,"order_id":"a-1","version":2,"entry_bytes":{"base64":"ew=="},"receipt_bytes":"x\ny"}"#,
            LogRecord::Event(event(8, b"{", Some(b"x\ny"))),
        ),
        (r#"{"position":9,"time":5,"lost":3}"#, LogRecord::Lost { position: 9, time: 5, count: 3 }),
    ];
    for (line, record) in rows {
        assert_eq!(LogRecord::decode(line.as_bytes()).unwrap(), record, "{line}");
    }
    let row = StateRow::decode(br#"{"key":"a-1\u0000","json":{"state":"parked"}}"#).unwrap();
    assert_eq!(row, StateRow { key: b"a-1\0".to_vec(), value: b"{\"state\":\"parked\"}".to_vec() });
    let row = StateRow::decode(br#"{"key":{"base64":"/w=="},"bytes":""}"#).unwrap();
    assert_eq!(row, StateRow { key: vec![0xFF], value: Vec::new() });
}

#[test]
fn every_content_comes_back_as_the_same_bytes() {
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let contents: [&[u8]; 13] = [
        b"{\"a\":1}",
        b"{\"a\":1}\n12-abc",
        b"{\"a\":1}\n",
        b"{\"a\":1}\n\xFF",
        b"{\"a\": 1 , \"a\":2e0}",
        b" {\"a\":1}",
        b"{\"a\":\n1}",
        b"{\"a\":1}\nid\nid",
        b"",
        b"null",
        b"\xFF\x00",
        "ä\u{2028}\"\\".as_bytes(),
        deep.as_bytes(),
    ];
    for content in contents {
        for receipt in [None, Some(content)] {
            let record = LogRecord::Event(event(1, content, receipt));
            assert_eq!(LogRecord::decode(line_of(&record).as_bytes()).unwrap(), record, "{content:?}");
        }
        let row = StateRow { key: content.to_vec(), value: content.to_vec() };
        let mut line = Vec::new();
        row.encode(&mut line).unwrap();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(StateRow::decode(&line[..line.len() - 1]).unwrap(), row);
    }
}

#[test]
fn lines_that_contradict_themselves_are_refused() {
    let lines = [
        r#"{"position":0,"time":5,"lost":3}"#,
        r#"{"position":1,"time":5,"lost":0}"#,
        r#"{"position":1,"time":5,"lost":18446744073709551615}"#,
        r#"{"position":1,"time":5}"#,
        r#"{"position":1,"time":5,"order_id":"a","version":1}"#,
        r#"{"position":1,"time":5,"order_id":"a","version":1,"entry":{},"entry_bytes":"x"}"#,
        r#"{"position":1,"time":5,"order_id":"a","version":1,"entry":{},"receipt":{},"receipt_bytes":"x"}"#,
        r#"{"position":1,"time":5,"version":1,"entry":{}}"#,
        r#"{"position":1,"time":5,"order_id":"a","version":1,"entry":{},"more":1}"#,
    ];
    for line in lines {
        assert!(LogRecord::decode(line.as_bytes()).is_err(), "{line}");
    }
    for line in
        [r#"{"key":"a"}"#, r#"{"key":"a","json":1,"bytes":"x"}"#, r#"{"key":{"base64":"?"},"json":1}"#]
    {
        assert!(StateRow::decode(line.as_bytes()).is_err(), "{line}");
    }
}

#[test]
fn the_running_hash_depends_on_every_part_of_an_event() {
    let hash = |events: &[EventRecord]| {
        let mut hash = RunningHash::default();
        events.iter().for_each(|event| hash.add(event));
        hash.to_string()
    };
    let one = event(1, b"{}", None);
    let others = [
        EventRecord { position: 2, ..one.clone() },
        EventRecord { version: 1, ..one.clone() },
        EventRecord { order_id: OrderId::parse("a-2").unwrap(), ..one.clone() },
        EventRecord { entry: b"{ }".to_vec(), ..one.clone() },
    ];
    for other in &others {
        assert_ne!(hash(std::slice::from_ref(other)), hash(std::slice::from_ref(&one)));
    }
    assert_ne!(hash(&[one.clone(), others[0].clone()]), hash(&[others[0].clone(), one.clone()]));
    // Backups of format 1 contain hashes like this one, so the hash must not change.
    assert_eq!(hash(&[one]), "903505641068e3d64dfeed6805394d11a33d0cdfce688e4399d465eaa9e3370c");
}

#[test]
fn a_changed_byte_of_a_segment_is_found() {
    let lines = b"{\"position\":9,\"time\":5,\"lost\":3}\n".repeat(100);
    let (listed, file) = pack(&lines).unwrap();
    assert_eq!(unpack(&listed, &file).unwrap(), lines);
    assert_eq!(segment::lines(&lines).count(), 100);
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(matches!(unpack(&listed, &changed), Err(SegmentFlaw::Hash { .. })), "{at}");
    }
    let cut = &file[..file.len() - 1];
    assert!(matches!(unpack(&listed, cut), Err(SegmentFlaw::Size { .. })));
    // The file matches its name, but not the manifest.
    let plain_bytes = listed.plain_bytes - 1;
    assert!(matches!(
        unpack(&segment::SegmentRef { plain_bytes, ..listed }, &file),
        Err(SegmentFlaw::Content(_))
    ));
    let plain_bytes = u64::MAX;
    assert!(matches!(
        unpack(&segment::SegmentRef { plain_bytes, ..listed }, &file),
        Err(SegmentFlaw::Content(_))
    ));
}

fn manifest() -> (Manifest, Vec<u8>) {
    let (file, content) = pack(b"{\"position\":1,\"time\":5,\"lost\":3}\n").unwrap();
    let hash = RunningHash::default();
    let manifest = Manifest {
        format: super::FORMAT,
        number: 1,
        previous: None,
        service_version: "0.1.0".to_owned(),
        time: Timestamp::from_micros(1_700_000_000_000_000).unwrap(),
        folder: FolderState {
            name: "0a1b2c3d".to_owned(),
            format: 6,
            commit: 9,
            position: 3,
            ledger: Ledger { accepted: 2, rejected: 2, ..Ledger::default() },
            dead_letters: 0,
            queued: 0,
            next_seq: 4,
            searchable: ["shop".to_owned()].into(),
        },
        hash,
        log: vec![LogSegment { file, first: 1, last: 3, events: 0, orders: 0, hash }],
        state: vec![StateSegment { file, keyspace: "queue".to_owned(), rows: 1 }],
    };
    (manifest, content)
}

/// A manifest of format 1, which must always be readable.
const MANIFEST_1: &str = concat!(
    r#"{"manifest":{"format":1,"number":1,"previous":null,"service_version":"0.1.0","time":"2023-11-14T22:13:20.000000Z","folder":{"name":"0a1b2c3d","format":6,"commit":9,"position":3,"ledger":{"accepted":2,"recorded":0,"rejected":2,"discarded":0,"duplicate":0,"parked":0},"dead_letters":0,"queued":0,"next_seq":4,"searchable":["shop"]},"hash":"0000000000000000000000000000000000000000000000000000000000000000","log":[{"sha256":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","bytes":41,"plain_bytes":33,"first":1,"last":3,"events":0,"orders":0,"hash":"0000000000000000000000000000000000000000000000000000000000000000"}],"state":[{"sha256":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","bytes":41,"plain_bytes":33,"keyspace":"queue","rows":1}]},"sha256":"e37ee1bb6dd9a348430fc7cb4b34c58f2313f2430f04363787363230fb62cd39"}"#,
    "\n"
);

#[test]
fn a_manifest_of_format_1_is_readable() {
    let (mut expected, _) = manifest();
    let read = Manifest::decode(MANIFEST_1.as_bytes(), 1).unwrap();
    // Another version of zstd may compress to another file.
    (expected.log[0].file, expected.state[0].file) = (read.log[0].file, read.state[0].file);
    assert_eq!(read, expected);
}

#[test]
fn a_changed_byte_of_a_manifest_is_found() {
    let file = manifest().0.encode();
    assert_eq!(Manifest::decode(&file, 1).unwrap(), manifest().0);
    for at in 0..file.len() {
        for mask in [1, 2, 4, 8, 16, 32, 64, 128, file[at] ^ b' '] {
            let mut changed = file.clone();
            changed[at] ^= mask;
            assert!(mask == 0 || Manifest::decode(&changed, 1).is_err(), "{at}");
        }
    }
    assert!(Manifest::decode(&file[..file.len() - 1], 1).is_err());
    assert!(Manifest::decode(&[&file[..], b"\n"].concat(), 1).is_err());
}

#[test]
fn a_manifest_that_contradicts_itself_or_is_newer_is_refused() {
    type Change = fn(&mut Manifest);
    let refusal = |change: Change| {
        let mut manifest = manifest().0;
        change(&mut manifest);
        Manifest::decode(&manifest.encode(), 1).unwrap_err()
    };
    assert_eq!(refusal(|it| it.format = 2), ManifestFlaw::Newer { found: 2 });
    let damages: [(Change, &str); 6] = [
        (|it| it.number = 2, "under the name of manifest 1"),
        (|it| it.log.clear(), "lack position 1"),
        (|it| it.log[0].first = 2, "lack position 1"),
        (|it| it.folder.position = 4, "lack position 4"),
        (|it| it.log[0].last = u64::MAX, "lack position"),
        (|it| it.state[0].keyspace = "orders".to_owned(), "unknown keyspace"),
    ];
    for (change, expected) in damages {
        let found = refusal(change).to_string();
        assert!(found.contains(expected), "{found}");
    }
    assert_eq!(Manifest::number_in("0000000012.json"), Some(12));
    for name in ["12.json", "0000000000.json", "0000000012.json#1", "+000000012.json", "x"] {
        assert_eq!(Manifest::number_in(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_folder_keeps_what_was_written_to_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("deep/backup");
    let target = Target::parse(path.to_str().unwrap()).unwrap();
    assert_eq!(target.manifests().await.unwrap(), Vec::<u64>::new());
    let (manifest, content) = manifest();
    let segment = manifest.log[0].file;
    let lock = target.lock().await.unwrap();
    assert!(target.lock().await.unwrap_err().to_string().contains("another backup is writing to it"));
    assert!(target.put_segment(&segment, content.clone()).await.unwrap());
    assert!(!target.put_segment(&segment, content.clone()).await.unwrap());
    // A segment whose file has another size is written again.
    std::fs::write(path.join(segment.path()), "cut").unwrap();
    assert!(target.put_segment(&segment, content).await.unwrap());
    let hash = target.put_manifest(&manifest).await.unwrap();
    // The target accepts another path of the same folder.
    let roundabout = Target::parse(path.join("../backup").to_str().unwrap()).unwrap();
    assert_eq!(roundabout.manifests().await.unwrap(), [1]);
    let again = target.put_manifest(&manifest).await.unwrap_err();
    assert!(matches!(again, BackupError::Concurrent { .. }), "{again}");
    drop(lock);
    // Only the incomplete files of a killed backup are removed.
    let [incomplete, other] = ["#1", "#x"].map(|end| path.join(segment.path() + end));
    std::fs::write(&incomplete, "cut").unwrap();
    std::fs::write(&other, "").unwrap();
    target.lock().await.unwrap();
    assert!(!incomplete.exists() && other.exists());
    std::fs::remove_file(other).unwrap();
    assert_eq!(target.manifests().await.unwrap(), [1]);
    assert_eq!(target.newest_manifest().await.unwrap(), Some((manifest, hash)));
    assert_eq!(target.segment(&segment, "").await.unwrap(), b"{\"position\":1,\"time\":5,\"lost\":3}\n");
    let listed = target.list("segments").await.unwrap();
    assert_eq!((listed.len(), listed[0].bytes), (1, segment.bytes));
    target.remove(&segment.path()).await.unwrap();
    let missing = target.segment(&segment, "positions 1 to 3").await.unwrap_err().to_string();
    assert!(missing.contains("(positions 1 to 3)"), "{missing}");
}

#[tokio::test]
async fn a_place_that_cannot_hold_a_backup_is_refused() {
    for location in ["", "s3://", "s3:///prefix", "gs://bucket/prefix"] {
        assert!(matches!(Target::parse(location), Err(BackupError::Location { .. })), "{location}");
    }
    let folder = tempfile::TempDir::new().unwrap();
    let target = Target::parse(folder.path().to_str().unwrap()).unwrap();
    std::fs::write(folder.path().join("letter.txt"), "").unwrap();
    let foreign = target.manifests().await.unwrap_err();
    assert!(matches!(&foreign, BackupError::Foreign { found, .. } if found == "letter.txt"), "{foreign}");
    let file = Target::parse(folder.path().join("letter.txt").to_str().unwrap()).unwrap();
    assert!(matches!(file.lock().await, Err(BackupError::Target { .. })));
    std::fs::create_dir(folder.path().join("manifests")).unwrap();
    std::fs::write(folder.path().join("manifests/0000000001.json"), "{}").unwrap();
    let damaged = target.newest_manifest().await.unwrap_err();
    assert!(matches!(damaged, BackupError::Manifest { flaw: ManifestFlaw::Damaged(_), .. }), "{damaged}");
    let unknown = FileHash::of(b"");
    assert_eq!(FileHash::parse(&unknown.to_string()), Some(unknown));
    assert_eq!(FileHash::parse("E3"), None);
}
