//! Tests hostile request bodies of every kind, at the maximum allowed size. The test sends four bodies at a time,
//! while another client continues to send requests. `scripts/hostile-bodies.py` measures the speed.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::dlq::{wait_for_parked, with_parked_sequence};
use crate::support::events::new_order_id;
use crate::support::service::Service;

const BATCH: (&str, usize) = ("/v1/orders/batch", 4 << 20);
const ORDERS: (&str, usize) = ("/v1/orders", 256 << 10);
const EVENTS: (&str, usize) = ("/v1/orders/o-1/events", 256 << 10);
const REDRIVE: (&str, usize) = ("/v1/dead-letters/redrive", 256 << 10);
const REPAIR: usize = 2 << 20;
/// The maximum memory of the service, which is the 512 MiB of a small container.
const MAX_PEAK_KIB: u64 = 512 << 10;

struct HostileBody {
    path: String,
    body: String,
}

/// A body of nearly `size` bytes. It consists of `head`, as many elements as fit, and `tail`.
fn filled(
    (path, size): (&str, usize),
    head: &str,
    tail: &str,
    element: impl Fn(usize) -> String,
) -> HostileBody {
    let mut body = head.to_owned();
    for number in 0.. {
        let element = element(number);
        if body.len() + element.len() + tail.len() + 1 > size {
            break;
        }
        if number > 0 {
            body.push(',');
        }
        body.push_str(&element);
    }
    HostileBody { path: path.to_owned(), body: body + tail }
}

/// A body of `size` bytes in which `middle` is repeated.
fn stretched((path, size): (&str, usize), head: &str, middle: &str, tail: &str) -> HostileBody {
    let count = (size - head.len() - tail.len()) / middle.len();
    HostileBody { path: path.to_owned(), body: format!("{head}{}{tail}", middle.repeat(count)) }
}

fn same(element: &str) -> impl Fn(usize) -> String {
    move |_| element.to_owned()
}

fn member(value: &str) -> impl Fn(usize) -> String {
    move |number| format!(r#""m{number}":{value}"#)
}

/// Bodies that contain an order between `head` and `tail`. The order is either invalid, or valid but very large.
fn of_order(place: (&str, usize), head: &str, tail: &str) -> Vec<HostileBody> {
    let start = format!("{head}{{");
    let end = format!("}}{tail}");
    let within = |member: &str, close: &str| (format!("{start}{member}"), format!("{close}{end}"));
    let (items, no_items) = within(r#""items":["#, "]");
    let (metadata, no_metadata) = within(r#""metadata":{"#, "}");
    let (customer, no_customer) = within(r#""customer_id":""#, "\"");
    let (total, no_total) = within(r#""total":"#, "");
    let (name, no_name) = within("\"", "\":0");
    let line = r#"{"sku":"tea","quantity":2,"unit_price":450}"#;
    vec![
        filled(place, &items, &no_items, same("{}")),
        filled(place, &items, &no_items, same("0")),
        filled(place, &items, &no_items, same(line)),
        filled(place, &items, &no_items, member("0")),
        filled(place, &metadata, &no_metadata, member(r#""""#)),
        filled(place, &metadata, &no_metadata, member("0")),
        filled(place, &metadata, &no_metadata, same(r#""m":"""#)),
        filled(place, &start, &end, member("0")),
        filled(place, &start, &end, same(r#""currency":0"#)),
        filled(place, &start, &end, same(r#""__all__":{}"#)),
        stretched(place, &customer, r"\u00e9", &no_customer),
        stretched(place, &name, r"\u00e9", &no_name),
        stretched(place, &name, "~", &no_name),
        stretched(place, &total, "1", &no_total),
        stretched(place, &items, "[", ""),
        stretched(place, &start, r#""a":{"#, ""),
    ]
}

fn of_batches() -> Vec<HostileBody> {
    let (head, tail) = (r#"{"orders":["#, "]}");
    let lines = vec![r#"{"sku":"tea","quantity":2,"unit_price":450}"#; 200].join(",");
    let order = format!(r#"{{"customer_id":"c","currency":"EUR","items":[{lines}]}}"#);
    let empty_lines = format!(r#"{{"items":[{}]}}"#, vec!["{}"; 200].join(","));
    let wide = filled(("", 40 << 10), "{", "}", |number| format!(r#""{number}{}":0"#, "x".repeat(300))).body;
    let mut bodies = vec![
        filled(BATCH, head, tail, same("{}")),
        filled(BATCH, head, tail, same("0")),
        filled(BATCH, head, tail, same(r#"{"a":0}"#)),
        filled((BATCH.0, 101 * order.len()), head, tail, same(&order)),
        filled(BATCH, head, tail, same(&empty_lines)),
        filled((BATCH.0, 101 * wide.len()), head, tail, same(&wide)),
    ];
    bodies.extend(of_order(BATCH, head, tail));
    bodies
}

fn of_others(letter: &str) -> Vec<HostileBody> {
    let repair = format!("/v1/dead-letters/{letter}/repair");
    let discard = format!("/v1/dead-letters/{letter}/discard");
    let (repair, discard) = ((repair.as_str(), REPAIR), (discard.as_str(), 256 << 10));
    let amended = r#"{"type":"order_amended","data":{"items":["#;
    vec![
        filled(EVENTS, amended, "]}}", same("{}")),
        filled(EVENTS, r#"{"type":"order_paid","data":{"#, "}}", member("0")),
        filled(EVENTS, r#"{"type":"order_paid","#, "}", member("0")),
        stretched(EVENTS, r#"{"type":"order_paid","data":"#, "[", ""),
        filled(REDRIVE, r#"{"ids":["#, "]}", same("0")),
        filled(REDRIVE, r#"{"ids":["#, "]}", same(r#""""#)),
        filled(REDRIVE, r#"{"all":true,"#, "}", member("0")),
        stretched(discard, r#"{"reason":""#, "x", "\"}"),
        stretched(repair, r#"{"body":""#, "[", "\"}"),
        filled(repair, r#"{"body":"["#, "]\"}", same("0")),
        filled(repair, r#"{"body":"{"#, "}\"}", |number| format!(r#"\"m{number}\":{{}}"#)),
        stretched(repair, r#"{"body_base64":""#, "AAAA", "\"}"),
        stretched(repair, r#"{"body_base64":""#, "-", "\"}"),
        filled(repair, "{", "}", member("0")),
    ]
}

/// The peak memory that the process has used so far, in KiB.
fn peak_kib(service: &Service) -> u64 {
    let status =
        fs::read_to_string(Path::new("/proc").join(service.id().to_string()).join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Sends the body four times concurrently. Returns how many requests of another client were answered meanwhile.
async fn four_at_a_time(service: &Service, hostile: &HostileBody) -> usize {
    let client = crate::support::http::client();
    let mut sent = JoinSet::new();
    for _ in 0..4 {
        let request = client.post(format!("{}{}", service.url, hostile.path));
        let request = request.header("content-type", "application/json").body(hostile.body.clone());
        sent.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    let are_done = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&are_done);
    let statuses = tokio::spawn(async move {
        let statuses = sent.join_all().await;
        done.store(true, Relaxed);
        statuses
    });
    let mut others = 0;
    while others == 0 || !are_done.load(Relaxed) {
        let (status, page) = service.get("/v1/orders?customer_id=bystander").await;
        assert_eq!(status, 200, "{page}");
        others += 1;
    }
    for status in statuses.await.unwrap() {
        assert!(matches!(status, 200 | 202 | 400 | 422), "{status}: {}", shown(hostile));
    }
    others
}

fn shown(hostile: &HostileBody) -> String {
    format!("{} {}…", hostile.path, hostile.body.chars().take(80).collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_body_takes_more_than_a_small_container_has() {
    let folder = TempDir::new().unwrap();
    let order = new_order_id();
    let service = with_parked_sequence(&folder.path().join("data"), &order).await;
    wait_for_parked(&service, &order, 2).await;
    let (_, letters) = service.get("/v1/dead-letters").await;
    let letter = letters["items"][1]["id"].as_str().unwrap();

    let mut bodies = of_batches();
    bodies.extend(of_order(ORDERS, "", ""));
    bodies.extend(of_others(letter));
    for hostile in bodies {
        let before = peak_kib(&service);
        let others = four_at_a_time(&service, &hostile).await;
        let after = peak_kib(&service);
        println!("{before:>7} → {after:>7} KiB, {others:>4} other requests: {}", shown(&hostile));
        assert!(after < MAX_PEAK_KIB, "the service has used {after} KiB after {}", shown(&hostile));
    }
}
