//! Makes backups by scanning the keyspaces, for the tests of restores. Shares no code with the source of real backups,
//! so that the tests also check the format.

use std::collections::BTreeSet;

use domain::{OrderId, RecordedEvent, Timestamp};

use crate::backup::STATE_KEYSPACES;
use crate::backup::manifest::{FolderState, LogSegment, Manifest, StateSegment};
use crate::backup::record::{EventRecord, LogRecord};
use crate::backup::row::StateRow;
use crate::backup::running_hash::RunningHash;
use crate::backup::segment::{FileHash, SegmentRef, pack};
use crate::backup::target::Target;
use crate::embedded::Embedded;
use crate::embedded::store::feed::decode::{FeedItem, FeedRow};
use crate::embedded::store::keyspaces::{self, Keyspaces, NAMES};
use crate::embedded::store::{Store, keys};
use crate::embedded::testing::eur;

const RECORDS_OF_SEGMENT: usize = 7;

async fn store_lines(target: &Target, lines: &[u8]) -> SegmentRef {
    let (segment, file) = pack(lines).unwrap();
    target.put_segment(&segment, file).await.unwrap();
    segment
}

/// The records of the feed, in the order of the positions.
fn records(keys: &Keyspaces) -> Vec<LogRecord> {
    let mut records = Vec::new();
    for row in keys.feed.iter() {
        let (key, value) = row.into_inner().unwrap();
        let row = FeedRow::decode(&key, &value).unwrap();
        for item in row.items() {
            records.push(match item.unwrap() {
                FeedItem::Lost { position, count } => LogRecord::Lost { position, time: row.time, count },
                FeedItem::Event(entry) => {
                    let (order_id, version) = (entry.order_id().unwrap(), entry.version);
                    let log = keys.log.get(keys::log_key(&order_id, version)).unwrap().unwrap().to_vec();
                    let (json, _) = crate::embedded::store::records::split_log_entry(&log);
                    let event_id = RecordedEvent::decode(json, eur()).unwrap().envelope.event_id;
                    let receipt = keys.receipts.get(keys::receipt_key(&order_id, event_id)).unwrap();
                    LogRecord::Event(EventRecord {
                        position: entry.position,
                        time: row.time,
                        order_id,
                        version,
                        entry: log,
                        receipt: receipt.map(|row| row.to_vec()),
                    })
                }
            });
        }
    }
    records
}

/// The state rows of a keyspace. Receipts of recorded events are in the log.
fn state_rows(keys: &Keyspaces, name: &str) -> Vec<StateRow> {
    let number = NAMES.iter().position(|known| *known == name).unwrap();
    let rows = keys.all()[number].iter().map(|row| {
        let (key, value) = row.into_inner().unwrap();
        StateRow { key: key.to_vec(), value: value.to_vec() }
    });
    let is_recorded = |row: &StateRow| {
        name == "receipts" && String::from_utf8_lossy(&row.value).contains(r#""state":"recorded""#)
    };
    rows.filter(|row| !is_recorded(row)).collect()
}

fn folder_state(store: &Store, keys: &Keyspaces, position: u64) -> FolderState {
    let text = |key: &[u8]| keys.meta.get(key).unwrap().map(|row| row.to_vec());
    let view = store.view();
    FolderState {
        name: String::from_utf8(text(keyspaces::FOLDER).unwrap()).unwrap(),
        format: 6,
        commit: view.commit,
        position,
        ledger: view.totals.counters.ledger,
        dead_letters: view.totals.counters.letters,
        queued: view.totals.queued,
        next_seq: text(keyspaces::NEXT_SEQ).map_or(0, |row| keys::seq_of(&row).unwrap()),
        searchable: BTreeSet::new(),
    }
}

pub(super) async fn back_up(engine: &Embedded, target: &Target) -> Manifest {
    let (store, keys) = (engine.store(), &engine.store().keys);
    let (mut log, mut hash, mut position) = (Vec::new(), RunningHash::default(), 0);
    for records in records(keys).chunks(RECORDS_OF_SEGMENT) {
        let (mut lines, mut events, mut orders) = (Vec::new(), 0, 0);
        for record in records {
            record.encode(&mut lines).unwrap();
            if let LogRecord::Event(event) = record {
                hash.add(event);
                events += 1;
                orders += u64::from(event.version == 1);
            }
        }
        let file = store_lines(target, &lines).await;
        let first = records[0].first();
        position = records.last().unwrap().last();
        log.push(LogSegment { file, first, last: position, events, orders, hash });
    }
    let mut state = Vec::new();
    for keyspace in STATE_KEYSPACES {
        for rows in state_rows(keys, keyspace).chunks(RECORDS_OF_SEGMENT) {
            let mut lines = Vec::new();
            rows.iter().for_each(|row| row.encode(&mut lines).unwrap());
            let file = store_lines(target, &lines).await;
            state.push(StateSegment { file, keyspace: keyspace.to_owned(), rows: rows.len() as u64 });
        }
    }
    let before: Option<(Manifest, FileHash)> = target.newest_manifest().await.unwrap();
    let manifest = Manifest {
        format: 1,
        number: before.as_ref().map_or(1, |(before, _)| before.number + 1),
        previous: before.map(|(_, hash)| hash),
        service_version: "test".to_owned(),
        time: crate::now(),
        folder: folder_state(store, keys, position),
        hash,
        log,
        state,
    };
    target.put_manifest(&manifest).await.unwrap();
    manifest
}

/// The order id for a number, for tests that need many orders.
pub(super) fn order_id(number: usize) -> OrderId {
    OrderId::parse(&format!("o-{number:03}")).unwrap()
}

/// A time after everything that happened until now.
pub(super) fn after_now() -> Timestamp {
    Timestamp::from_micros(crate::now().micros() + 1).unwrap()
}
