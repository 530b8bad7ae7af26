//! Tests the dashboard and the alert rules in `monitoring`: every series that they name exists on a service that has just
//! started. `.ci/monitoring` tests what the rules compute.

use std::collections::BTreeSet;

use regex::Regex;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::auth::{ISSUER, pair, publish, token_with_scope};
use crate::metrics::scrape;
use crate::support::eventually::eventually;
use crate::support::http;
use crate::support::service::{Service, orders};

const RULES: &str = include_str!("../../monitoring/prometheus/orders.rules.yml");
const DASHBOARD: &str = include_str!("../../monitoring/grafana/orders.json");
const DOCUMENT: &str = include_str!("../../docs/observability.md");

/// A series that a query selects: its name, and its matchers as label, operator and value.
type Selector = (String, Vec<(String, String, String)>);

/// The series of the program that the rules and the dashboard select.
fn selected() -> BTreeSet<Selector> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut queries = vec![RULES.to_owned()];
    collect(&dashboard, &mut queries);
    let series = Regex::new(r"\b((?:orders|process)_[a-z_]+)(?:\{([^}]*)\})?").unwrap();
    let matcher = Regex::new(r#"([a-z_]+)\s*(=~|!=|!~|=)\s*"([^"]*)""#).unwrap();
    let of = |query: &String| -> Vec<Selector> {
        let found = series.captures_iter(query).map(|found| {
            let matchers = found.get(2).map_or("", |matchers| matchers.as_str());
            let matchers = matcher.captures_iter(matchers).map(|m| (m[1].into(), m[2].into(), m[3].into()));
            // Prometheus itself adds these labels.
            let own = matchers
                .filter(|(label, ..): &(String, _, _)| !["job", "instance"].contains(&label.as_str()));
            (found[1].to_owned(), own.collect())
        });
        found.collect()
    };
    queries.iter().flat_map(of).collect()
}

/// Collects all texts of members that contain queries.
fn collect(json: &Value, queries: &mut Vec<String>) {
    match json {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str() {
                    Some(text) if ["expr", "query"].contains(&name.as_str()) => queries.push(text.to_owned()),
                    _ => collect(value, queries),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, queries)),
        _ => {}
    }
}

/// Whether the sample is one of those that the selector selects.
fn is_selected(sample: &Value, (name, matchers): &Selector) -> bool {
    let fits = |(label, operator, value): &(String, String, String)| {
        let actual = sample["labels"][label].as_str().unwrap_or_default();
        let matches = || Regex::new(&format!("^(?:{value})$")).unwrap().is_match(actual);
        match operator.as_str() {
            "=" => actual == value,
            "!=" => actual != value,
            "=~" => matches(),
            _ => !matches(),
        }
    };
    sample["name"] == **name && matchers.iter().all(fits)
}

#[test]
fn the_queries_are_found() {
    let selected = selected();
    let names: BTreeSet<_> = selected.iter().map(|(name, _)| name.as_str()).collect();
    for name in [
        "orders_dead_letters",
        "orders_publish_duration_seconds_bucket",
        "process_open_fds",
        "orders_build_info",
    ] {
        assert!(names.contains(name), "{name} is not in {names:?}");
    }
    let failed = ("result".to_owned(), "=".to_owned(), "failed".to_owned());
    assert!(selected.contains(&("orders_alerts_total".to_owned(), vec![failed])), "{selected:?}");
    assert!(names.len() > 30, "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_series_of_the_dashboard_and_the_rules_exist_from_the_start() {
    let folder = TempDir::new().unwrap();
    let (keys, pair) = (folder.path().join("jwks.json"), pair());
    publish(&keys, "k", &pair);
    let mut command = orders(&["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
    command.args(ISSUER).arg("--jwks-file").arg(&keys).args([
        "--webhooks-allow-private",
        "--backup-drill",
        "7d",
    ]);
    command
        .arg("--backup-to")
        .arg(folder.path().join("backup"))
        .arg("--data")
        .arg(folder.path().join("data"));
    command.env("ORDERS_MIN_FREE_DISK", "1");
    let (service, line) = Service::spawn_until(command, "metrics at");
    let address = format!("http://{}/metrics", line["listen"].as_str().unwrap());
    let serving = service.wait_for_log("\"serving\"");
    // The series of a subscription exist from its creation.
    let url = format!("http://{}/v1/webhooks", serving["listen"].as_str().unwrap());
    let token = token_with_scope("orders.operate", "k", &pair, 600);
    let body = json!({ "url": "http://127.0.0.1:9/hook" }).to_string();
    let request = http::client().request(Method::POST, url).bearer_auth(token);
    let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 201, "{}", answer.text().await.unwrap());

    let selected = selected();
    eventually("all series exist", async || {
        let families = scrape(&address);
        let samples: Vec<_> =
            families.iter().flat_map(|family| family["samples"].as_array().unwrap()).collect();
        let is_missing = |selector: &&Selector| !samples.iter().any(|sample| is_selected(sample, selector));
        let missing: Vec<_> = selected.iter().filter(is_missing).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?}")) }
    })
    .await;
}

#[test]
fn each_alert_has_a_section_that_says_what_to_do() {
    let alert = Regex::new(r"(?m)^ *- alert: (\w+)$").unwrap();
    let alerts: BTreeSet<_> = alert.captures_iter(RULES).map(|found| found[1].to_owned()).collect();
    let heading = Regex::new(r"(?m)^### (Orders\w+)$").unwrap();
    let documented: BTreeSet<_> = heading.captures_iter(DOCUMENT).map(|found| found[1].to_owned()).collect();
    assert_eq!(alerts, documented);
    for name in alerts {
        let link = format!("runbook: docs/observability.md#{}\n", name.to_lowercase());
        assert!(RULES.contains(&link), "no {link}");
    }
}
