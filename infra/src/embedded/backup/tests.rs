//! Tests that a backup of the engine contains every position and every row that cannot be derived, all as of one
//! commit.

use std::collections::BTreeMap;

use api::ports::EventPublisher;
use api::ports::backup::{BackupStart, BackupStreamError, BackupStreams};
use domain::{Envelope, OrderId, Outcome, Receipt, RejectReason};

use super::stream::EngineBackups;
use super::*;
use crate::backup::STATE_KEYSPACES;
use crate::backup::record::LogRecord;
use crate::backup::stream::{Frame, FrameDecoder};
use crate::embedded::store::feed::encode::lost_row;
use crate::embedded::store::feed::feed_key;
use crate::embedded::store::keyspaces::NAMES;
use crate::embedded::store::stage::Stage;
use crate::embedded::store::writer::Durability;
use crate::embedded::testing::{confirmed, created, open_inline};

async fn publish(engine: &Embedded, events: &[Envelope]) {
    for result in engine.publish(events).await {
        result.unwrap();
    }
}

#[derive(Debug, Default)]
struct Content {
    records: Vec<LogRecord>,
    state: BTreeMap<String, Vec<Vec<u8>>>,
}

impl Content {
    fn add(&mut self, part: BackupPart) {
        match part {
            BackupPart::Log(records) => self.records.extend(records),
            BackupPart::State { keyspace, rows } => {
                self.state.entry(keyspace).or_default().extend(rows.into_iter().map(|row| row.key));
            }
        }
    }

    /// The positions, the order and the version of each record.
    fn log(&self) -> Vec<(u64, u64, String)> {
        let of = |record: &LogRecord| match record {
            LogRecord::Event(event) => {
                (event.position, event.position, format!("{} {}", event.order_id, event.version))
            }
            LogRecord::Lost { .. } => (record.first(), record.last(), "lost".to_owned()),
        };
        self.records.iter().map(of).collect()
    }
}

async fn read(engine: &Embedded, request: BackupRequest) -> (SourceHeader, Content) {
    let mut source = engine.backup_source(BackupPace::Alone);
    let header = source.begin(request).await.unwrap();
    // An event that is published after the backup has begun is not part of the backup.
    publish(engine, &[created(&format!("later-{}", header.folder.commit))]).await;
    let mut content = Content::default();
    while let Some(part) = source.next().await.unwrap() {
        content.add(part);
    }
    (header, content)
}

const ALL: BackupRequest = BackupRequest { from: 1, rejected_before: None };

#[tokio::test]
async fn a_backup_has_every_event_of_one_commit_in_the_order_of_positions() {
    let (_folder, engine) = open_inline();
    let orders: Vec<_> = (0..5000).map(|number| created(&format!("o-{number:04}"))).collect();
    for some in orders.chunks(700) {
        publish(&engine, some).await;
    }
    publish(&engine, &[confirmed("o-0007", 1)]).await;
    let (header, content) = read(&engine, ALL).await;
    let log = content.log();
    assert_eq!((header.folder.position, log.len()), (5001, 5001));
    assert!(log.iter().zip(1..).all(|(record, position)| record.0 == position));
    assert_eq!(log[4999], (5000, 5000, "o-4999 1".to_owned()));
    assert_eq!(log[5000], (5001, 5001, "o-0007 2".to_owned()));
    assert_eq!(header.folder.ledger.recorded, 5001);
    let LogRecord::Event(last) = &content.records[5000] else { panic!("{log:?}") };
    // The record of an event of a later version contains the event's receipt.
    let receipt = String::from_utf8(last.receipt.clone().unwrap()).unwrap();
    assert!(receipt.contains(r#""state":"recorded","version":2"#), "{receipt}");
    assert!(content.state["receipts"].is_empty(), "all receipts are of recorded events");
    let LogRecord::Event(first) = &content.records[0] else { panic!("{log:?}") };
    assert_eq!(first.receipt, None);

    let (_, tail) = read(&engine, BackupRequest { from: 4990, ..ALL }).await;
    assert_eq!(tail.log()[..12], log[4989..]);
    let (_, nothing) = read(&engine, BackupRequest { from: 9000, ..ALL }).await;
    assert_eq!(nothing.log(), []);
}

#[tokio::test]
async fn every_keyspace_is_part_of_a_backup_or_derived() {
    let (_folder, engine) = open_inline();
    let stored = state::keyspaces(&engine.store().keys).map(|keyspace| NAMES[keyspace.number as usize - 1]);
    assert_eq!(stored, STATE_KEYSPACES);
    // Events are in log segments, and `meta` is in the manifest. A restore derives the other keyspaces.
    let others = "log meta feed orders customers by_status by_update references by_metadata due";
    let all: BTreeSet<_> = stored.into_iter().chain(others.split(' ')).collect();
    assert_eq!(all, BTreeSet::from(NAMES));
}

#[tokio::test]
async fn positions_without_events_are_in_a_backup() {
    let (_folder, engine) = open_inline();
    publish(&engine, &[created("a"), created("b")]).await;
    publish(&engine, &[created("c")]).await;
    let keys = engine.store().keys.clone();
    let log_key = crate::embedded::store::keys::log_key(&OrderId::parse("a").unwrap(), 1);
    let damage = move |stage: &mut Stage| {
        // The feed gets an event that is not in the log, a missing row, and lost positions of a recovery.
        stage.remove(&keys.log, log_key);
        stage.remove(&keys.feed, feed_key(3));
        stage.put(&keys.feed, feed_key(4), lost_row(1, 10));
        Ok(())
    };
    engine.store().writer.write(Durability::Synced, damage).await.unwrap();
    // The engine has the old end of the feed in memory and would give position 4 to the next event. So the test reads
    // without another event.
    let view = engine.store().view();
    let (records, next) = log::read(&engine.0.log, &view, LogPlace { next: 1 }).unwrap();
    assert!(next.is_none());
    let content = Content { records, ..Content::default() };
    let lost = |first, last| (first, last, "lost".to_owned());
    assert_eq!(content.log(), [lost(1, 1), (2, 2, "b 1".to_owned()), lost(3, 3), lost(4, 13)]);
    // A read can begin within a row and within lost positions.
    let (records, _) = log::read(&engine.0.log, &view, LogPlace { next: 8 }).unwrap();
    assert_eq!(Content { records, ..Content::default() }.log(), [lost(8, 13)]);
}

#[tokio::test]
async fn receipts_of_refused_events_are_in_a_backup_until_they_are_known() {
    let (_folder, engine) = open_inline();
    publish(&engine, &[created("a")]).await;
    publish(&engine, &[confirmed("a", 1)]).await;
    let refused = confirmed("a", 2);
    let reason = RejectReason::IllegalTransition;
    let outcome = Outcome::Rejected { reason, detail: "no".to_owned(), at_version: None, violation: None };
    let receipt = Receipt::of(&refused, Some(outcome));
    for result in engine.0.log.settle(&[receipt]).await {
        result.unwrap();
    }
    let count = |stage: &mut Stage| {
        stage.counters.ledger.accepted += 1;
        stage.counters.ledger.rejected += 1;
        Ok(())
    };
    engine.store().writer.write(Durability::Synced, count).await.unwrap();
    let receipts = async |rejected_before| {
        let (header, content) = read(&engine, BackupRequest { from: 1, rejected_before }).await;
        (header.receipts_unchanged, content.state.get("receipts").map_or(0, Vec::len))
    };
    assert_eq!(receipts(None).await, (false, 1));
    assert_eq!(receipts(Some(0)).await, (false, 1));
    assert_eq!(receipts(Some(1)).await, (true, 0));
}

#[tokio::test]
async fn a_client_gets_the_whole_stream_and_no_second_one_meanwhile() {
    let (_folder, engine) = open_inline();
    let orders: Vec<_> = (0..3000).map(|number| created(&format!("o-{number:04}"))).collect();
    publish(&engine, &orders).await;
    let backups = EngineBackups::new(engine.clone());
    let start = BackupStart { from: 1, rejected_before: None };
    let mut stream = backups.begin(start).await.unwrap();
    assert!(matches!(backups.begin(start).await, Err(BackupStreamError::Busy)));
    let (mut decoder, mut content, mut has_ended) = (FrameDecoder::default(), Content::default(), false);
    while let Some(chunk) = stream.chunk().await.unwrap() {
        assert!(chunk.len() < 1 << 20);
        decoder.add(&chunk);
        while let Some(frame) = decoder.next_frame().unwrap() {
            match frame {
                Frame::Header(header) => assert_eq!(header.folder.position, 3000),
                Frame::Part(part) => content.add(part),
                Frame::End => has_ended = true,
            }
        }
    }
    decoder.finish().unwrap();
    assert!(has_ended);
    assert_eq!(content.log().len(), 3000);
    drop(stream);
    assert!(backups.begin(start).await.is_ok());
}
