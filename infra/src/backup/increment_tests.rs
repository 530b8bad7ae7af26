use async_trait::async_trait;
use domain::{Ledger, OrderId, Timestamp};
use tempfile::TempDir;

use super::BackupError;
use super::increment::{IncrementOptions, IncrementReport, write_increment};
use super::manifest::{FolderState, Manifest};
use super::record::{EventRecord, LogRecord};
use super::retention::Retention;
use super::row::StateRow;
use super::segment::lines;
use super::source::{BackupPart, BackupRequest, BackupSource, SourceHeader};
use super::stream::{Frame, FrameDecoder, FrameEncoder, StreamFlaw};
use super::target::Target;

/// A folder in memory, as the source of backups.
#[derive(Clone)]
struct Folder {
    name: String,
    /// The size of each event, by position.
    events: Vec<usize>,
    rejected: u64,
    commit: u64,
    queue: Vec<u64>,
    /// The number of parts after which the source fails.
    fails_after: Option<usize>,
    request: Option<BackupRequest>,
    parts: Vec<BackupPart>,
}

impl Folder {
    fn new(events: usize) -> Self {
        Self {
            name: "0a1b2c3d".to_owned(),
            events: vec![100; events],
            rejected: 1,
            commit: 1,
            queue: Vec::new(),
            fails_after: None,
            request: None,
            parts: Vec::new(),
        }
    }

    fn record(&self, position: usize) -> LogRecord {
        let pad = "x".repeat(self.events[position - 1]);
        LogRecord::Event(EventRecord {
            position: position as u64,
            time: position as i64,
            order_id: OrderId::parse(&format!("o-{}", position / 2)).unwrap(),
            version: 1 + position as u64 % 2,
            entry: format!("{{\"n\":{position},\"pad\":\"{pad}\"}}").into_bytes(),
            receipt: None,
        })
    }
}

#[async_trait]
impl BackupSource for Folder {
    async fn begin(&mut self, request: BackupRequest) -> Result<SourceHeader, BackupError> {
        self.request = Some(request);
        let receipts_unchanged = request.rejected_before == Some(self.rejected) && self.queue.is_empty();
        let records =
            (request.from as usize..=self.events.len()).map(|at| self.record(at)).collect::<Vec<_>>();
        self.parts = records.chunks(50).map(|part| BackupPart::Log(part.to_vec())).collect();
        let mut state = |keyspace: &str, rows: Vec<StateRow>| {
            self.parts.push(BackupPart::State { keyspace: keyspace.to_owned(), rows });
        };
        let row = |key: &[u8]| StateRow { key: key.to_vec(), value: b"{}".to_vec() };
        if !receipts_unchanged {
            state("receipts", vec![row(b"o-1\0refused")]);
        }
        state("queue", self.queue.iter().map(|seq| row(&seq.to_be_bytes())).collect());
        state("webhooks", vec![row(b"s1")]);
        self.parts.reverse();
        let folder = FolderState {
            name: self.name.clone(),
            format: 6,
            commit: self.commit,
            position: self.events.len() as u64,
            ledger: Ledger {
                recorded: self.events.len() as u64,
                rejected: self.rejected,
                ..Ledger::default()
            },
            dead_letters: 0,
            queued: self.queue.len() as u64,
            next_seq: 7,
            searchable: Default::default(),
        };
        let time = Timestamp::from_micros(1_700_000_000_000_000 + self.commit as i64).unwrap();
        Ok(SourceHeader { time, folder, receipts_unchanged })
    }

    async fn next(&mut self) -> Result<Option<BackupPart>, BackupError> {
        match &mut self.fails_after {
            Some(0) => return Err(BackupError::Source(anyhow::anyhow!("killed"))),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(self.parts.pop())
    }
}

struct Backup {
    _folder: TempDir,
    target: Target,
}

impl Backup {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let target = Target::parse(folder.path().to_str().unwrap()).unwrap();
        Self { _folder: folder, target }
    }

    async fn write(&self, folder: &mut Folder) -> Result<IncrementReport, BackupError> {
        write_increment(&self.target, folder, IncrementOptions::default()).await
    }

    async fn newest(&self) -> Manifest {
        self.target.newest_manifest().await.unwrap().unwrap().0
    }

    /// All lines of the segments that the newest manifest lists.
    async fn content(&self) -> Vec<String> {
        let mut content = Vec::new();
        for file in self.newest().await.files() {
            let plain = self.target.segment(file, "").await.unwrap();
            content.extend(lines(&plain).map(|line| String::from_utf8(line.to_vec()).unwrap()));
        }
        content
    }

    async fn segments(&self) -> usize {
        self.target.list("segments").await.unwrap().len()
    }
}

#[tokio::test]
async fn increments_come_to_the_same_as_one_backup() {
    let (many, one) = (Backup::new(), Backup::new());
    let mut folder = Folder::new(0);
    // Events of 1 MiB fill segments. The last events are small.
    for events in [0, 3, 9, 10, 16, 17, 30] {
        folder.events.resize(events, if events > 20 { 10 } else { 1 << 20 });
        folder.commit += 1;
        folder.queue.push(events as u64);
        let report = many.write(&mut folder).await.unwrap();
        assert_eq!((report.position, report.events), (events as u64, events as u64));
    }
    one.write(&mut folder).await.unwrap();
    assert_eq!(many.content().await, one.content().await);
    let (many, one) = (many.newest().await, one.newest().await);
    assert_eq!((many.hash, &many.log, &many.state), (one.hash, &one.log, &one.state));
    assert!(many.log.len() >= 3 && many.log.len() < 7, "{}", many.log.len());
    assert_eq!((many.number, many.events(), many.orders()), (7, 30, 15));
    assert_eq!((one.number, one.previous), (1, None));
    assert!(many.previous.is_some());
}

#[tokio::test]
async fn state_that_has_not_changed_is_not_stored_again() {
    let backup = Backup::new();
    let mut folder = Folder::new(10);
    let first = backup.write(&mut folder).await.unwrap();
    assert_eq!((first.number, first.segments_written, first.new_events), (1, 3, 10));
    // The commit is the same, so nothing is written.
    let same = backup.write(&mut folder).await.unwrap();
    assert_eq!((same.number, same.unchanged, same.bytes_written), (1, true, 0));
    // A later commit without refused events: the receipts are not read.
    folder.commit += 1;
    folder.events.push(10);
    let second = backup.write(&mut folder).await.unwrap();
    assert_eq!(folder.request.unwrap().rejected_before, Some(1));
    assert_eq!((second.number, second.segments_written, second.new_events), (2, 1, 1));
    let receipts = |manifest: Manifest| manifest.state.iter().filter(|it| it.keyspace == "receipts").count();
    assert_eq!(receipts(backup.newest().await), 1);
    // A queued message may have a receipt that the ledger does not count yet.
    (folder.commit, folder.queue) = (3, vec![1]);
    backup.write(&mut folder).await.unwrap();
    folder.commit = 4;
    backup.write(&mut folder).await.unwrap();
    assert_eq!(folder.request.unwrap().rejected_before, None);
    assert_eq!(receipts(backup.newest().await), 1);
}

#[tokio::test]
async fn a_backup_that_was_interrupted_goes_on_with_what_it_has_written() {
    let backup = Backup::new();
    let mut folder = Folder::new(300);
    folder.events = vec![100 << 10; 300];
    folder.fails_after = Some(5);
    let killed = backup.write(&mut folder).await.unwrap_err();
    assert!(killed.to_string().contains("killed"));
    assert!(backup.target.manifests().await.unwrap().is_empty());
    let before = backup.segments().await;
    assert!(before >= 2);
    folder.fails_after = None;
    let report = backup.write(&mut folder).await.unwrap();
    assert_eq!(report.segments_written as usize, backup.segments().await - before);
}

#[tokio::test]
async fn a_folder_that_does_not_continue_the_backup_is_refused() {
    let backup = Backup::new();
    let original = Folder::new(40);
    backup.write(&mut original.clone()).await.unwrap();
    let refused = async |change: fn(&mut Folder)| {
        let mut folder = Folder { commit: 2, ..original.clone() };
        change(&mut folder);
        backup.write(&mut folder).await.unwrap_err()
    };
    let diverged = |error: BackupError| assert!(matches!(error, BackupError::Diverged { .. }), "{error}");
    diverged(refused(|folder| folder.events.truncate(39)).await);
    // After a restore to an earlier moment, the folder records other events.
    diverged(refused(|folder| folder.events[39] += 1).await);
    diverged(refused(|folder| (folder.events[3], folder.events[44 - 1 - 4]) = (1, 5)).await);
    let other = refused(|folder| folder.name = "ffffffff".to_owned()).await;
    assert!(matches!(other, BackupError::OtherFolder { .. }), "{other}");
    assert_eq!(backup.target.manifests().await.unwrap(), [1]);
}

#[tokio::test]
async fn old_increments_are_removed_with_what_only_they_list() {
    let backup = Backup::new();
    let mut folder = Folder::new(20);
    let mut retention = Retention::default();
    for round in 0..6 {
        folder.commit += 1;
        folder.events.push(10);
        folder.queue = vec![round];
        backup.write(&mut folder).await.unwrap();
        retention.apply(&backup.target, 3).await.unwrap();
    }
    assert_eq!(backup.target.manifests().await.unwrap(), [4, 5, 6]);
    // Each kept increment has a separate last log segment and queue segment. Increments share the segments of receipts
    // and webhooks.
    assert_eq!(backup.segments().await, 3 + 3 + 2);
    for number in [4, 5, 6] {
        let (manifest, _) = backup.target.manifest(number).await.unwrap();
        for file in manifest.files() {
            backup.target.segment(file, "").await.unwrap();
        }
    }
    assert_eq!(Retention::default().apply(&backup.target, 3).await.unwrap(), 0);
    assert_eq!(Retention::default().apply(&backup.target, 1).await.unwrap(), 2);
    assert_eq!(backup.segments().await, 4);
}

#[tokio::test]
async fn a_segment_without_a_manifest_is_removed_once_it_is_old() {
    let backup = Backup::new();
    let mut folder = Folder::new(20);
    backup.write(&mut folder).await.unwrap();
    let segments = backup.target.folder().unwrap().join("segments");
    let orphan = |digit: &str| segments.join(format!("{}.zst", digit.repeat(64)));
    let (old, young) = (orphan("a"), orphan("b"));
    std::fs::write(&old, "x").unwrap();
    std::fs::write(&young, "x").unwrap();
    let an_hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3700);
    std::fs::File::options().write(true).open(&old).unwrap().set_modified(an_hour_ago).unwrap();
    folder.commit += 1;
    backup.write(&mut folder).await.unwrap();
    assert_eq!(Retention::default().apply(&backup.target, 1).await.unwrap(), 1);
    assert!(!old.exists() && young.exists());
}

fn parts() -> (SourceHeader, Vec<BackupPart>, Vec<u8>) {
    let mut folder = Folder::new(120);
    let request = BackupRequest { from: 1, rejected_before: None };
    let begun = futures_util::FutureExt::now_or_never(folder.begin(request));
    let header = begun.unwrap().unwrap();
    let parts: Vec<_> = folder.parts.iter().rev().cloned().collect();
    let mut encoder = FrameEncoder::default();
    let mut stream = encoder.header(&header).unwrap();
    parts.iter().for_each(|part| stream.extend(encoder.part(part).unwrap()));
    stream.extend(encoder.end().unwrap());
    (header, parts, stream)
}

fn decode(pieces: impl Iterator<Item = Vec<u8>>) -> Result<Vec<Frame>, StreamFlaw> {
    let (mut decoder, mut frames) = (FrameDecoder::default(), Vec::new());
    for piece in pieces {
        decoder.add(&piece);
        while let Some(frame) = decoder.next_frame()? {
            frames.push(frame);
        }
    }
    decoder.finish()?;
    Ok(frames)
}

#[test]
fn a_stream_arrives_in_pieces_of_any_size() {
    let (header, parts, stream) = parts();
    let expected: Vec<_> = std::iter::once(Frame::Header(Box::new(header)))
        .chain(parts.into_iter().map(Frame::Part))
        .chain([Frame::End])
        .collect();
    for size in [1, 7, 1000, stream.len()] {
        let frames = decode(stream.chunks(size).map(<[u8]>::to_vec)).unwrap();
        assert_eq!(frames, expected);
    }
}

#[test]
fn a_stream_that_was_cut_off_or_changed_is_never_whole() {
    let (_, _, stream) = parts();
    for length in 0..stream.len() {
        let flaw = decode(std::iter::once(stream[..length].to_vec())).unwrap_err();
        assert!(matches!(flaw, StreamFlaw::CutOff { .. }), "{length}: {flaw}");
    }
    for at in 0..stream.len() {
        let mut changed = stream.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(decode(std::iter::once(changed)).is_err(), "byte {at}");
    }
    let longer = [&stream[..], b"x"].concat();
    assert!(matches!(decode(std::iter::once(longer)), Err(StreamFlaw::Damaged(_))));
    // Removes one frame: from the end of the header to the end of the first part.
    let mut encoder = FrameEncoder::default();
    let (header, parts, _) = self::parts();
    let first = encoder.header(&header).unwrap();
    encoder.part(&parts[0]).unwrap();
    let second = encoder.part(&parts[1]).unwrap();
    let without = [first, second, encoder.end().unwrap()].concat();
    assert!(matches!(decode(std::iter::once(without)), Err(StreamFlaw::Damaged(_))));
}
