//! Tests the feed's rows byte by byte, because later versions of the program must be able to read stored rows.

use domain::OrderId;

use super::decode::*;
use super::encode::*;
use super::*;

fn order(id: &str) -> OrderId {
    OrderId::parse(id).unwrap()
}

fn entry(event_type: EventType, id: &str, version: u64, at: i64) -> NewFeedEntry {
    let customer = customer_hash(&CustomerId::parse("customer-7").unwrap());
    NewFeedEntry::new(Some(event_type), Some(customer), &order(id), version, at)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_row_has_exactly_these_bytes() {
    let entries = [
        entry(EventType::Created, "01890a5d-ac96-774b-bcce-b302099a8057", 1, 1_795_431_600_000_000),
        entry(EventType::Refunded, "o-1", 300, 1_795_431_600_000_001),
        NewFeedEntry::new(None, None, &order("01890A5D-ac96-774b-bcce-b302099a8057"), u64::MAX, 0),
    ];
    let mut end = FeedEnd { position: 41, time: 5 };
    let rows = number(&entries, &mut end);
    assert_eq!(end, FeedEnd { position: 44, time: 1_795_431_600_000_001 });
    let [(first, row)] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((*first, hex(&feed_key(*first))), (42, "000000000000002a".to_owned()));
    let expected = [
        "01",               // the format
        "000660ef7ebc8c01", // the time
        "01",
        "2997ee28",
        "01",
        "00",
        "01890a5dac96774bbcceb302099a8057", // a UUID
        "0f",
        "2997ee28",
        "ac02",
        "03",
        "6f2d31", // another id
        "00",     // an unknown type
        "00000000",
        "ffffffffffffffffff01",
        "24", // the length of a UUID in another form, which is stored as text
        "30313839304135442d616339362d373734622d626363652d623330323039396138303537",
    ];
    assert_eq!(hex(row), expected.concat());
    assert_eq!(hex(&lost_row(7, 300)), "010000000000000007ffac02");
}

#[test]
fn a_row_is_read_as_it_was_written() {
    let ids = ["01890a5d-ac96-774b-bcce-b302099a8057", "x", &"y".repeat(64)];
    let types = EventType::ALL.into_iter().zip(ids.into_iter().cycle());
    let entries: Vec<_> = (1..).zip(types).map(|(version, (kind, id))| entry(kind, id, version, 3)).collect();
    let (first, row) = number(&entries, &mut FeedEnd { position: 6, time: 9 }).remove(0);
    let row = FeedRow::decode(&feed_key(first), &row).unwrap();
    assert_eq!((row.first, row.time), (7, 9), "the time of a row is not before the time of the previous row");
    let read: Vec<_> = row.items().map(Result::unwrap).collect();
    assert_eq!(read.len(), EventType::ALL.len());
    for ((item, kind), number) in read.into_iter().zip(EventType::ALL).zip(0..) {
        let FeedItem::Event(read) = item else { panic!("{item:?}") };
        assert_eq!((read.position, read.event_type, read.version), (7 + number, Some(kind), 1 + number));
        assert_eq!(read.order_id().unwrap().as_str(), ids[number as usize % 3]);
    }
    let lost = lost_row(1, 5);
    let lost: Vec<_> = FeedRow::decode(&feed_key(3), &lost).unwrap().items().map(Result::unwrap).collect();
    assert_eq!(lost, [FeedItem::Lost { position: 3, count: 5 }]);
    assert_eq!(lost[0].last_position(), 7);
}

#[test]
fn a_commit_with_many_events_has_several_rows() {
    let entries: Vec<_> = (0..600).map(|at| entry(EventType::Created, "o", 1, at)).collect();
    let mut end = FeedEnd::default();
    let rows = number(&entries, &mut end);
    assert_eq!(rows.iter().map(|(first, _)| *first).collect::<Vec<_>>(), [1, 257, 513]);
    assert_eq!(end, FeedEnd { position: 600, time: 599 });
    let count =
        |(first, row): &(u64, Vec<u8>)| FeedRow::decode(&feed_key(*first), row).unwrap().items().count();
    assert_eq!(rows.iter().map(count).collect::<Vec<_>>(), [256, 256, 88]);
}

#[test]
fn damaged_rows_are_errors() {
    let (first, row) = number(&[entry(EventType::Paid, "o", 1, 1)], &mut FeedEnd::default()).remove(0);
    let read = |key: &[u8], value: &[u8]| -> anyhow::Result<usize> {
        FeedRow::decode(key, value)?.items().try_fold(0, |count, item| item.map(|_| count + 1))
    };
    let key = feed_key(first);
    assert_eq!(read(&key, &row).unwrap(), 1);
    for length in (0..9).chain(10..row.len()) {
        assert!(read(&key, &row[..length]).is_err(), "{length}");
    }
    assert!(read(&[0; 8], &row).is_err() && read(&[1], &row).is_err());
    for (at, byte) in [(0, 2), (9, 99), (14, 0xFF)] {
        let mut changed = row.clone();
        changed[at] = byte;
        assert!(read(&key, &changed).is_err(), "{at}");
    }
    let endless = [&row[..9], &[LOST], &[0xFF; 10]].concat();
    assert!(read(&key, &endless).is_err() && read(&key, &lost_row(0, 0)).is_err());
    assert!(read(&key, &lost_row(0, u64::MAX)).is_err());
}

#[test]
fn every_type_has_a_code_of_its_own() {
    let mut codes: Vec<_> = EventType::ALL.into_iter().map(code_of).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), EventType::ALL.len());
    assert!(codes.iter().all(|code| (1..32).contains(code)), "filters have one bit for each code: {codes:?}");
}
