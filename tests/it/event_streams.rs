//! Tests streams of events against the real binary. Readers disconnect at random, while orders are written and the service is
//! killed several times. A reader that continues from its last cursor gets every event once and in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::eventually::PATIENCE;
use crate::support::http;
use crate::support::recorded::{exported, text, whole_feed};
use crate::support::service::Service;
use crate::support::writers::Writers;

const READERS: u64 = 50;
const WRITERS: usize = 8;
const KILLS: usize = 3;
/// The number of events that the service accepts before each kill.
const ACCEPTED: usize = 300;
/// The query parameter with which every tenth reader selects events.
const FILTER: &str = "types=order_confirmed";

/// A reader of the feed, and the events that it has received.
struct Reader {
    url: String,
    query: &'static str,
    random: Rng,
    client: reqwest::Client,
    cursor: Option<String>,
    events: Vec<Value>,
}

impl Reader {
    /// Reads streams until all events that pass the filter have arrived. Once the load has ended, `total` contains the
    /// number of all events and the number of confirmations.
    async fn read(mut self, mut total: watch::Receiver<Option<(usize, usize)>>) -> Self {
        loop {
            let total_now = *total.borrow_and_update();
            let wanted = total_now.map(|(all, filtered)| if self.query.is_empty() { all } else { filtered });
            if wanted == Some(self.events.len()) {
                return self;
            }
            let connected = tokio::select! {
                connected = self.connect(wanted) => connected,
                _ = total.changed() => continue,
            };
            if connected.is_err() {
                // The service is not running now, so try again soon.
                sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// Reads one stream. Disconnects after a random number of events, or after the last event.
    async fn connect(&mut self, wanted: Option<usize>) -> reqwest::Result<()> {
        let mut left = self.random.usize(1..80);
        let request = self.client.get(format!("{}/v1/events?{}", self.url, self.query));
        let mut request = request.header("accept", "text/event-stream");
        if let Some(cursor) = &self.cursor {
            request = request.header("last-event-id", cursor);
        }
        let mut response = request.send().await?;
        assert_eq!(response.status(), 200);
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            text.extend_from_slice(&chunk);
            while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
                let block = text.drain(..end + 2).collect::<Vec<_>>();
                self.take(std::str::from_utf8(&block).unwrap());
                left -= 1;
                if left == 0 || wanted == Some(self.events.len()) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, block: &str) {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        if let Some(id) = field("id") {
            self.cursor = Some(id.to_owned());
        }
        if let Some(data) = field("data") {
            let item: Value = serde_json::from_str(data).unwrap();
            assert_eq!((field("event"), field("id")), (item["type"].as_str(), item["cursor"].as_str()));
            self.events.push(item);
        }
    }
}

/// Asserts that the versions of each order begin with 1 and have no gap.
fn assert_in_order(items: &[Value]) {
    let mut versions: BTreeMap<&str, u64> = BTreeMap::new();
    for item in items {
        let version = versions.entry(text(&item["data"], "order_id")).or_default();
        *version += 1;
        assert_eq!(item["version"], *version, "{item}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_disconnect_at_random_get_every_event_once_while_the_service_is_killed() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start(&data, &[]);
    let url = service.url.clone();
    let (total, known) = watch::channel(None);
    let mut readers = JoinSet::new();
    for seed in 0..READERS {
        let query = if seed % 10 == 9 { FILTER } else { "" };
        let (random, client) = (Rng::with_seed(seed), http::client());
        let reader = Reader { url: url.clone(), query, random, client, cursor: None, events: Vec::new() };
        readers.spawn(reader.read(known.clone()));
    }
    for _ in 0..KILLS {
        let shared = Arc::new(service);
        let writers = Writers::start(&shared, WRITERS);
        writers.have_written(ACCEPTED).await;
        shared.signal("KILL");
        writers.stop().await;
        drop(shared);
        service = Service::start_at(url.strip_prefix("http://").unwrap(), &data, &[]);
    }
    service.settled().await;
    let all = whole_feed(&service, 100).await;
    let filtered = || all.iter().filter(|item| item["type"] == "order_confirmed");
    total.send_replace(Some((all.len(), filtered().count())));
    let readers = timeout(2 * PATIENCE, readers.join_all()).await.expect("all readers get all events");
    for reader in readers {
        let expected: Vec<_> =
            if reader.query.is_empty() { all.iter().collect() } else { filtered().collect() };
        assert!(reader.events.iter().eq(expected), "{} events of {}", reader.events.len(), all.len());
    }

    assert_in_order(&all);
    assert!((1..).zip(&all).all(|(position, item): (u64, _)| text(item, "position") == position.to_string()));
    assert!(all.len() >= KILLS * ACCEPTED);
    assert!(service.terminate().success(), "open streams do not delay the shutdown of the service");
    let ids =
        |items: &[Value]| items.iter().map(|item| text(item, "event_id").to_owned()).collect::<BTreeSet<_>>();
    let exported = exported(&data);
    assert_eq!(exported.len(), all.len());
    assert_eq!(ids(&exported), ids(&all));
}
