//! Tests `orders load` against the embedded service.

use serde_json::Value;
use tempfile::TempDir;

use super::load;
use crate::auth::{ISSUER, pair, publish, token};
use crate::support::service::{Service, orders};

const KINDS: [&str; 7] = ["create", "advance", "cancel", "read", "retry", "illegal", "malformed"];

#[tokio::test(flavor = "multi_thread")]
async fn the_report_of_an_open_loop_is_complete_and_consistent() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--log-level", "warn,orders=info"]);
    let flags = ["--rate", "400", "--duration", "3", "--warm-up", "1", "--seed", "7"];
    let output = load(folder.path(), &service.url, &flags).await;
    output.assert_clean();

    let report = &output.report;
    assert!(output.number("/audit/tally/rejected") > 0, "some events were illegal: {}", output.text());
    let kinds = report["latency"]["kinds"].as_array().unwrap();
    assert_eq!(kinds.iter().map(|kind| &kind["kind"]).collect::<Vec<_>>(), KINDS);
    for of in kinds.iter().chain([&report["latency"]["accept"], &report["latency"]["recorded"]]) {
        let [p50, p90, p99, p99_9, max] =
            ["p50", "p90", "p99", "p99_9", "max"].map(|quantile| of[quantile].as_u64().unwrap());
        assert!(of["count"].as_u64().unwrap() > 0, "{of}");
        assert!(0 < p50 && p50 <= p90 && p90 <= p99 && p99 <= p99_9 && p99_9 <= max, "{of}");
    }
    // The embedded service recognises every retry, and no answer is lost.
    let [retries, replayed, recovered] =
        ["retries", "replayed", "recovered"].map(|what| output.number(&format!("/figures/{what}")));
    assert!(retries > 0 && (retries, recovered) == (replayed, 0), "{}", output.text());
    let measured: u64 = kinds.iter().map(|kind| kind["count"].as_u64().unwrap()).sum();
    assert_eq!(measured, output.number("/figures/requests"));
    let errors = report["errors"].as_object().unwrap();
    assert!(errors.values().all(|count| count == 0), "{errors:?}");
    let timeline = report["timeline"].as_array().unwrap();
    assert!(timeline.len() >= 16 && timeline.iter().any(|point| point["depth"].is_u64()), "{timeline:?}");
    assert!(report["cost"]["per_million_orders"].as_f64().unwrap() > 1.0);
    for words in ["audit: clean", "p99.9", "accepted → recorded", "per million orders"] {
        assert!(output.text().contains(words), "no {words:?}: {}", output.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_loop_sends_only_the_requests_of_its_mix() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--log-level", "warn,orders=info"]);
    let mix = ["--mix", "create=1,advance=1", "--samples", "0"];
    let output =
        load(folder.path(), &service.url, &[&["--connections", "8", "--duration", "2"], &mix[..]].concat())
            .await;
    output.assert_clean();
    let report = &output.report;
    assert_eq!(report["configuration"]["loop"], "closed");
    assert_eq!(output.number("/audit/tally/rejected"), 0);
    assert_eq!(output.number("/audit/tally/orders"), output.number("/calls/creations"));
    let accepted = output.number("/calls/creations") + output.number("/calls/events");
    assert_eq!(output.number("/audit/tally/accepted"), accepted);
    assert_eq!(output.number("/latency/recorded/count"), 0);
    // A second run on the same service does not collide with the first.
    load(folder.path(), &service.url, &["--connections", "2", "--duration", "1"]).await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_requires_a_token_is_loaded_with_one() {
    let folder = TempDir::new().unwrap();
    let (keys, pair) = (folder.path().join("jwks.json"), pair());
    publish(&keys, "k-1", &pair);
    let flags = [&["--jwks-file", keys.to_str().unwrap()][..], &ISSUER].concat();
    let service = Service::start(&folder.path().join("data"), &flags);

    let run = ["--rate", "50", "--duration", "1"];
    let refused = load(folder.path(), &service.url, &run).await;
    assert_eq!(refused.output.status.code(), Some(1));
    let text = refused.text();
    assert!(text.contains("refuses access (401") && text.contains("--token"), "{text}");
    let token = token("k-1", &pair, 600);
    load(folder.path(), &service.url, &[&run[..], &["--token", &token]].concat()).await.assert_clean();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let from_file = ["--token-file", file.to_str().unwrap()];
    load(folder.path(), &service.url, &[&run[..], &from_file].concat()).await.assert_clean();
    for variable in ["ORDERS_TOKEN", "ORDERS_LOAD_TOKEN"] {
        let mut command = orders(&["load", "--url", &service.url]);
        let output = command.args(run).env(variable, &token).output().unwrap();
        assert!(output.status.success(), "{variable}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_url_is_read_from_its_variable_and_from_the_former_one() {
    let error = |variables: &[(&str, &str)]| {
        let output = orders(&["load"]).envs(variables.iter().copied()).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let (url, former) = (("ORDERS_URL", "http://127.0.0.1:9"), ("ORDERS_LOAD_URL", "http://127.0.0.1:7"));
    assert!(error(&[url]).contains("no answer from http://127.0.0.1:9"), "{}", error(&[url]));
    assert!(error(&[url, former]).contains("no answer from http://127.0.0.1:7"), "{}", error(&[url, former]));
    let empty = ("ORDERS_LOAD_URL", "");
    assert!(error(&[url, empty]).contains("no answer from http://127.0.0.1:9"), "{}", error(&[url, empty]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_impossible_run_fails_before_it_sends_anything() {
    let folder = TempDir::new().unwrap();
    let url = "http://127.0.0.1:9";
    let nobody = load(folder.path(), url, &[]).await;
    assert_eq!((nobody.output.status.code(), nobody.report), (Some(1), Value::Null));
    assert!(String::from_utf8_lossy(&nobody.output.stderr).contains("no answer from http://127.0.0.1:9"));

    let service = Service::start(&folder.path().join("data"), &[]);
    let elsewhere = load(folder.path(), &format!("{}/docs", service.url), &[]).await;
    assert!(elsewhere.text().contains("is not this service: 404"), "{}", elsewhere.text());
    let nowhere = load(folder.path(), &service.url, &["--html", "/nonexistent/report.html"]).await;
    assert!(nowhere.text().contains("cannot write the report to /nonexistent"), "{}", nowhere.text());
    for (flags, words) in [
        (["--duration", "soon"], "must be 0 to 1000000 seconds"),
        (["--mix", "crate=1"], "the kinds are create, advance"),
        (["--rate", "0"], "0.001 to"),
    ] {
        let wrong = load(folder.path(), &service.url, &flags).await;
        assert!(wrong.output.status.code() == Some(2) && wrong.text().contains(words), "{}", wrong.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_is_interrupted_is_still_audited() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--log-level", "warn,orders=info"]);
    let json = folder.path().join("report.json");
    let mut command = orders(&["load", "--url", &service.url, "--connections", "2", "--duration", "1000"]);
    command.arg("--json").arg(&json);
    let (mut running, _) = Service::spawn_until(command, "load: ");
    running.signal("INT");
    assert!(running.wait().success(), "{}", running.rest_of_log());
    let report: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(report["audit"]["clean"], true);
    let seconds = report["figures"]["seconds"].as_f64().unwrap();
    assert!(0.0 < seconds && seconds < 1000.0, "{seconds}");
    assert!(report["audit"]["tally"]["recorded"].as_u64().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_an_answered_request_is_not_clean() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &[]);
    let flags = ["--rate", "0.001", "--duration", "0.1"];
    let output = load(folder.path(), &service.url, &flags).await;
    output.assert_found("nothing_audited", "without an answered request");
}
