//! Tests that a rebuild reports and corrects damage to the feed, for each kind of damage.

use api::ports::EventPublisher;
use api::ports::feed::{EventFeed, FeedCursor, FeedEvent, FeedFilter};
use domain::OrderId;

use crate::embedded::Embedded;
use crate::embedded::maintenance::RebuildOptions;
use crate::embedded::maintenance::tests::three_orders;
use crate::embedded::store::feed::feed_key;
use crate::embedded::store::keys;
use crate::embedded::store::keyspaces::Keyspaces;
use crate::embedded::testing::created;

struct DamagedFeed {
    name: &'static str,
    damage: fn(&Keyspaces),
    /// What a rebuild reports.
    differences: &'static [&'static str],
    /// The feed after the rebuild.
    feed: &'static [&'static str],
}

/// Kinds of damage to a feed in which the orders a, b, c and d have the positions 1 to 4.
const DAMAGES: [DamagedFeed; 6] = [
    DamagedFeed {
        name: "a row is missing",
        damage: |keys| keys.feed.remove(feed_key(2)).unwrap(),
        differences: &[
            "feed: the positions 2 to 2 have no readable row",
            "feed: version 1 of order b has no position",
        ],
        feed: &["a/1 at 1", "c/1 at 3", "d/1 at 4", "b/1 at 5"],
    },
    DamagedFeed {
        name: "the last row is missing",
        damage: |keys| keys.feed.remove(feed_key(4)).unwrap(),
        differences: &[
            "feed: the positions 4 to 4 have no readable row",
            "feed: version 1 of order d has no position",
        ],
        feed: &["a/1 at 1", "b/1 at 2", "c/1 at 3", "d/1 at 5"],
    },
    DamagedFeed {
        name: "a row cannot be read",
        damage: |keys| keys.feed.insert(feed_key(2), b"noise").unwrap(),
        differences: &[
            "feed: the positions 2 to 2 have no readable row",
            "feed: version 1 of order b has no position",
        ],
        feed: &["a/1 at 1", "c/1 at 3", "d/1 at 4", "b/1 at 5"],
    },
    DamagedFeed {
        name: "an event has two positions",
        damage: |keys| keys.feed.insert(feed_key(3), keys.feed.get(feed_key(2)).unwrap().unwrap()).unwrap(),
        differences: &[
            "feed: version 1 of order b, at position 3, is out of order",
            "feed: version 1 of order c has no position",
        ],
        feed: &["a/1 at 1", "b/1 at 2", "d/1 at 4", "c/1 at 5"],
    },
    DamagedFeed {
        name: "an event is not in the log",
        damage: |keys| keys.log.remove(keys::log_key(&OrderId::parse("c").unwrap(), 1)).unwrap(),
        differences: &["feed: version 1 of order c, at position 3, is not in the log"],
        feed: &["a/1 at 1", "b/1 at 2", "d/1 at 4"],
    },
    DamagedFeed {
        name: "rows overlap",
        damage: |keys| {
            let row = keys.feed.get(feed_key(1)).unwrap().unwrap();
            let two = [&row[..], &keys.feed.get(feed_key(2)).unwrap().unwrap()[9..]].concat();
            keys.feed.insert(feed_key(1), two).unwrap();
        },
        differences: &["feed: a row is damaged"],
        feed: &["a/1 at 1", "b/1 at 2", "c/1 at 3", "d/1 at 4"],
    },
];

/// The feed, as order, version and position of each event.
async fn feed_of(engine: &Embedded) -> Vec<String> {
    let page = engine.read(&FeedFilter::default(), &FeedCursor(vec![0]), 100).await.unwrap();
    assert!(page.is_last);
    let event =
        |it: &FeedEvent| format!("{}/{} at {}", it.event.envelope.order_id, it.event.version, it.position);
    page.events.iter().map(event).collect()
}

#[tokio::test]
async fn a_damaged_feed_is_reported_and_corrected_and_no_position_gets_another_event() {
    for DamagedFeed { name, damage, differences, feed } in DAMAGES {
        let (_folder, engine) = three_orders().await;
        assert!(engine.publish(&[created("d")]).await[0].is_ok());
        assert_eq!(feed_of(&engine).await, ["a/1 at 1", "b/1 at 2", "c/1 at 3", "d/1 at 4"]);
        damage(&engine.store().keys);
        // A commit makes the damage visible to the check, which reads the synced view.
        assert!(engine.publish(&[created("a")]).await[0].is_ok());
        let check = RebuildOptions { check_only: true, ..RebuildOptions::default() };
        for options in [check, RebuildOptions::default()] {
            let found = engine.rebuild(options, &|_| ()).await.unwrap().differences;
            let of_feed: Vec<_> = found.examples.iter().filter(|it| it.starts_with("feed")).collect();
            // A check does not remove the wrong row that it has reported, so it may also report the wrong entries in
            // that row.
            let of_feed = &of_feed[..if options.check_only { differences.len() } else { of_feed.len() }];
            assert_eq!(of_feed, differences, "{name}: {found:?}");
        }
        assert_eq!(feed_of(&engine).await, feed, "{name}");
        let found = engine.rebuild(check, &|_| ()).await.unwrap().differences;
        assert!(!found.examples.iter().any(|it| it.starts_with("feed")), "{name}: {found:?}");
    }
}
