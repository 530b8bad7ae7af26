//! Tests `orders tail` against a running service: what the command prints, where in the feed it begins, and how `--follow`
//! continues.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::eventually::{check, eventually};
use crate::support::service::{Api, Service, order, orders};

fn command(url: &str, arguments: &[&str]) -> Command {
    let mut command = orders(&["tail"]);
    command.args(arguments).env("ORDERS_URL", url);
    command
}

/// Runs `orders tail` to its end. Returns the output.
#[track_caller]
fn tail(api: &Api, arguments: &[&str], succeeds: bool) -> String {
    let output = command(&api.url, arguments).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.success(), succeeds, "{arguments:?}: {text}");
    text
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

/// Creates an order of the given customer, and waits until it is recorded.
async fn create(api: &Api, customer: &str) -> String {
    let receipt = api.accept("/v1/orders", &order(customer)).await;
    api.outcome(&receipt).await;
    receipt["order_id"].as_str().unwrap().to_owned()
}

async fn confirm(api: &Api, order_id: &str) {
    let event = json!({ "type": "order_confirmed" });
    let receipt = api.accept(&format!("/v1/orders/{order_id}/events"), &event).await;
    api.outcome(&receipt).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_printed_for_people_or_as_json() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &[]);
    let first = create(&service, "c-1").await;
    let second = create(&service, "c-2").await;
    confirm(&service, &first).await;

    let text = tail(&service, &[], true);
    let shown: Vec<_> = text.lines().collect();
    assert_eq!(shown.len(), 3, "{text}");
    assert!(
        shown[0].contains(&first)
            && shown[0].contains("v1   order_created")
            && shown[0].contains("customer_id=c-1")
    );
    assert!(shown[2].contains(&first) && shown[2].ends_with("v2   order_confirmed"), "{text}");

    let all = lines(&tail(&service, &["--json"], true));
    let (_, page) = service.get("/v1/events").await;
    assert_eq!(json!(all), page["items"]);
    for (arguments, expected) in [
        (&["--types", "order_confirmed"][..], vec![&all[2]]),
        (&["--customer", "c-2"], vec![&all[1]]),
        (&["--types", "order_created,order_paid", "--customer", "c-1"], vec![&all[0]]),
        (&["--from", "latest"], vec![]),
        (&["--from", "2000-01-01T00:00:00Z"], all.iter().collect()),
        (&["--after", all[0]["cursor"].as_str().unwrap()], all[1..].iter().collect()),
    ] {
        let printed = lines(&tail(&service, &[arguments, &["--json"]].concat(), true));
        assert_eq!(printed.iter().collect::<Vec<_>>(), expected, "{arguments:?}");
    }
    assert_eq!(all[1]["data"]["order_id"], json!(second));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_events_than_fit_on_a_page_are_printed_and_a_closed_pipe_ends_the_command() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &[]);
    let batch = json!({ "orders": (0..100).map(|_| order("c-1")).collect::<Vec<_>>() });
    for _ in 0..11 {
        let answer = service.ask(reqwest::Method::POST, "/v1/orders/batch", &[], Some(&batch)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    eventually("all events are recorded", async || {
        let recorded = service.get("/v1/pipeline").await.1["ledger"]["recorded"].clone();
        check(recorded == 1100, recorded)
    })
    .await;
    assert_eq!(tail(&service, &[], true).lines().count(), 1100);

    let mut child = command(&service.url, &["--follow", "--from", "oldest"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Reads one line and closes the pipe. The command still has more output than the pipe can buffer.
    let mut line = String::new();
    BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    assert!(line.contains("order_created") && output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// A running `orders tail --follow --json`. It is killed when this value is dropped.
struct Follower {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Follower {
    fn start(url: &str, arguments: &[&str]) -> Self {
        let mut command = command(url, &["--follow", "--json"]);
        let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// Waits for the next event. Returns its order and version.
    fn next(&mut self) -> (String, u64) {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let item: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"));
        (item["data"]["order_id"].as_str().unwrap().to_owned(), item["version"].as_u64().unwrap())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // The results are ignored, because the process may already have exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_misses_nothing_and_repeats_nothing_while_the_service_is_killed() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start(&data, &[]);
    let url = service.url.clone();
    let mut expected = vec![(create(&service, "c-1").await, 1)];
    let mut all = Follower::start(&url, &["--from", "oldest"]);
    assert_eq!(all.next(), expected[0]);
    for _ in 0..3 {
        let id = create(&service, "c-1").await;
        confirm(&service, &id).await;
        service.kill();
        service = Service::start_at(url.strip_prefix("http://").unwrap(), &data, &[]);
        let other = create(&service, "c-2").await;
        for event in [(id.clone(), 1), (id, 2), (other, 1)] {
            assert_eq!(all.next(), event);
            expected.push(event);
        }
    }
    let printed = lines(&tail(&service, &["--json"], true));
    assert_eq!(printed.len(), expected.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_from_a_follower_begins_with_the_next_event() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &[]);
    create(&service, "c-1").await;
    let (_, end) = service.get("/v1/events?from=latest").await;
    let mut from_cursor = Follower::start(&service.url, &["--after", end["next_cursor"].as_str().unwrap()]);
    let mut from_latest = Follower::start(&service.url, &[]);
    let printed = std::thread::spawn(move || from_latest.next().0);
    // The test cannot see when the follower begins to follow. So it creates orders until the follower prints one of them.
    let mut created = Vec::new();
    eventually("the follower prints an order", async || {
        created.push(create(&service, "c-1").await);
        check(printed.is_finished(), created.len())
    })
    .await;
    assert!(created.contains(&printed.join().unwrap()));
    assert_eq!(from_cursor.next().0, created[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_prints_the_reason() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &[]);
    for (arguments, part) in [
        (&["--types", "order_lost"][..], "must be a list, separated by commas, of order_created"),
        (&["--from", "yesterday"], "RFC 3339"),
        (&["--after", "x"], "must be a cursor of the feed"),
        (&["--follow", "--after", "x"], "must be a cursor of the feed"),
        (&["--after", "x", "--from", "oldest"], "cannot be used with"),
    ] {
        let text = tail(&service, arguments, false);
        assert!(text.contains(part), "{arguments:?}: {text}");
    }
    drop(service);
    for arguments in [&[][..], &["--follow"]] {
        assert!(tail(&Api::at("http://127.0.0.1:9"), arguments, false).contains("cannot be reached"));
    }
}
