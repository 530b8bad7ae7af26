//! Tests an order in an earlier state, by version and by time.

use domain::{AsOf, Order, Past, RecordedEvent};

use crate::given::{event, event_type, log, time};

/// A log with one version for each of `seconds`, recorded at that second of the minute 12:00.
fn recorded_at<const N: usize>(seconds: [u32; N]) -> Vec<RecordedEvent> {
    let types = ["created", "amended", "amended", "confirmed", "paid", "shipped"];
    let mut log = log(types[..N].iter().map(|short| event(event_type(short))));
    for (event, second) in log.iter_mut().zip(seconds) {
        event.recorded_at = time(&format!("2026-11-23T12:00:{second:02}Z"));
    }
    log
}

fn past(log: &[RecordedEvent], as_of: AsOf) -> Option<Order> {
    let mut past = Past::new(as_of);
    for event in log {
        assert_eq!(past.version() + 1, event.version);
        past.apply(event).unwrap();
    }
    past.order()
}

fn at(log: &[RecordedEvent], second: u32) -> Option<u64> {
    let time = AsOf::Time(time(&format!("2026-11-23T12:00:{second:02}Z")));
    let order = past(log, time);
    let version = order.as_ref().map_or(0, |order| order.version);
    assert_eq!(order, Order::fold(&log[..version as usize]).unwrap());
    order.map(|order| order.version)
}

#[test]
fn a_version_gives_the_order_right_after_it() {
    let log = recorded_at([1, 2, 3, 4]);
    for version in 1..=4 {
        let order = past(&log, AsOf::Version(version));
        assert_eq!(order, Order::fold(&log[..version as usize]).unwrap());
    }
    assert_eq!(past(&log, AsOf::Version(5)), None, "there is no such version yet");
    assert_eq!(past(&[], AsOf::Version(1)), None);
}

#[test]
fn folding_can_stop_once_later_events_cannot_change_the_result() {
    let log = recorded_at([1, 2, 3]);
    let mut past = Past::new(AsOf::Version(2));
    let folded = log.iter().take_while(|event| {
        let goes_on = !past.is_complete();
        if goes_on {
            past.apply(event).unwrap();
        }
        goes_on
    });
    assert_eq!(folded.count(), 2);
    assert_eq!(past.order().unwrap().version, 2);
}

#[test]
fn a_time_gives_the_order_with_the_events_recorded_by_then() {
    let log = recorded_at([10, 20, 20, 30]);
    let expected =
        [(9, None), (10, Some(1)), (19, Some(1)), (20, Some(3)), (29, Some(3)), (30, Some(4)), (59, Some(4))];
    for (second, version) in expected {
        assert_eq!(at(&log, second), version, "at {second}");
    }
}

#[test]
fn a_version_recorded_by_a_fast_clock_does_not_hide_later_versions() {
    // The clock that recorded version 2 was 30 seconds fast.
    let log = recorded_at([10, 50, 21, 22, 60 - 1]);
    let expected =
        [(9, None), (10, Some(1)), (20, Some(1)), (21, Some(3)), (22, Some(4)), (50, Some(4)), (59, Some(5))];
    for (second, version) in expected {
        assert_eq!(at(&log, second), version, "at {second}");
    }
}
