//! Tests exports while a service runs: that they are complete and consistent, that a truncated export is
//! noticed, and who may export.

use std::io::Read;
use std::process::{Output, Stdio};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{check, export, file, import, line, order_data, printed, text, two_events_of};
use crate::auth::{ISSUER, pair, publish, token_with_scope};
use crate::support::service::{Service, order, orders};

/// So many large orders that they do not fit into the buffers between a service and a client that does not
/// read.
const MANY: u64 = 1500;

fn export_from(url: &str, arguments: &[&str]) -> Output {
    orders(&["export", "--default-currency", "EUR", "--url", url]).args(arguments).output().unwrap()
}

/// A data folder with many large orders, and the temporary folder that contains it.
fn large_orders() -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let mut large = order_data();
    large["metadata"] = (0..20).map(|key| (format!("key-{key}"), json!("x".repeat(490)))).collect();
    let orders = (0..MANY).map(|number| line(&format!("order-{number}"), 1, number, "order_created", &large));
    printed(&import(&file(folder.path(), "lines", &orders.collect::<Vec<_>>()), &data, &["--partial"]));
    (folder, data)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_exports_what_its_folder_exports() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start(&data, &[]);
    for customer in ["c-1", "c-2"] {
        let receipt = service.accept("/v1/orders", &order(customer)).await;
        let event = json!({ "type": "order_confirmed" });
        let path = format!("/v1/orders/{}/events", receipt["order_id"].as_str().unwrap());
        let receipt = service.accept(&path, &event).await;
        service.outcome(&receipt).await;
    }
    let all = printed(&export_from(&service.url, &[]));
    let of_customer = printed(&export_from(&service.url, &["--customer", "c-2"]));
    assert_eq!((all.lines().count(), of_customer.lines().count()), (5, 3));
    let none = printed(&export_from(&service.url, &["--from", "2100-01-01T00:00:00Z"]));
    assert_eq!(none.lines().count(), 1, "{none}");
    // The folder is in use. The error states what to do.
    let locked = orders(&["export", "--data"]).arg(&data).output().unwrap();
    assert!(text(&locked).contains("add --url"), "{}", text(&locked));
    let invalid = service.ask(Method::GET, "/v1/export?from=yesterday&colour=red", &[], None).await;
    invalid.is_problem(400, "invalid-parameter");
    assert!(service.terminate().success());
    assert!(export(&data) == all);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_one_state_of_the_store_while_events_are_recorded() {
    let folder = TempDir::new().unwrap();
    let [data, copy] = ["data", "copy"].map(|name| folder.path().join(name));
    printed(&import(&file(folder.path(), "lines", &two_events_of(2000)), &data, &["--partial"]));
    let mut service = Service::start(&data, &[]);
    let url = service.url.clone();
    let exporting = tokio::task::spawn_blocking(move || {
        (0..3).map(|_| printed(&export_from(&url, &[]))).collect::<Vec<_>>()
    });
    // The orders are recorded one after the other. So an export that contains an order must contain all
    // earlier orders.
    let mut sequence = Vec::new();
    while !exporting.is_finished() {
        let receipt = service.accept("/v1/orders", &order("c-1")).await;
        sequence.push(receipt["order_id"].as_str().unwrap().to_owned());
    }
    for export in exporting.await.unwrap() {
        let exported: std::collections::BTreeSet<String> = export
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter_map(|event| Some(event["data"]["order_id"].as_str()?.to_owned()))
            .collect();
        let mut known = sequence.iter().map(|order| exported.contains(order));
        let before = known.by_ref().take_while(|is_there| *is_there).count();
        assert!(
            known.all(|is_there| !is_there),
            "an order after a missing one is there; {before} came before it"
        );
        let whole = folder.path().join("export");
        std::fs::write(&whole, &export).unwrap();
        printed(&import(&whole, &copy, &[]));
    }
    check(&copy);
    assert!(service.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_operator_of_all_customers_may_export() {
    let folder = TempDir::new().unwrap();
    let keys = folder.path().join("jwks.json");
    let key = pair();
    publish(&keys, "k", &key);
    let arguments = [&["--jwks-file", keys.to_str().unwrap()][..], &ISSUER].concat();
    let service = Service::start(&folder.path().join("data"), &arguments);
    let operator = token_with_scope("orders.operate", "k", &key, 600);
    let reader = token_with_scope("orders.read orders.write", "k", &key, 600);
    assert_eq!(printed(&export_from(&service.url, &["--token", &operator])).lines().count(), 1);
    let refused = text(&export_from(&service.url, &["--token", &reader]));
    assert!(refused.contains("orders.operate"), "{refused}");
    let anonymous = text(&export_from(&service.url, &[]));
    assert!(anonymous.contains("ORDERS_TOKEN"), "{anonymous}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_cut_off_when_the_service_stops_and_the_client_notices() {
    let (_folder, data) = large_orders();
    let mut service = Service::start(&data, &[]);
    let mut client = orders(&["export", "--url", &service.url]);
    let mut client = client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The export has begun once its first bytes have arrived. The rest is not read until the service has
    // stopped.
    let mut output = client.stdout.take().unwrap();
    let mut first = [0; 100];
    output.read_exact(&mut first).unwrap();
    let other = service.ask(Method::GET, "/v1/export", &[], None).await;
    other.is_problem(503, "too-many-streams");
    assert!(service.terminate().success(), "an export does not delay the end of the service");
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("export_end"));
    let mut error = String::new();
    client.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert!(!client.wait().unwrap().success() && error.contains("the export was cut off"), "{error}");
}
