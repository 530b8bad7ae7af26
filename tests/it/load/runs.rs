//! Runs against the embedded service.

use serde_json::Value;
use tempfile::TempDir;

use super::load;
use crate::auth::{ISSUER, pair, publish, token};
use crate::support::service::{Service, orders};

const KINDS: [&str; 7] = ["create", "advance", "cancel", "read", "retry", "illegal", "malformed"];

#[tokio::test(flavor = "multi_thread")]
async fn an_open_loop_is_audited_and_reported() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--log-level", "warn,orders=info"]);
    let flags = ["--rate", "400", "--duration", "3", "--warm-up", "1", "--seed", "7"];
    let ended = load(folder.path(), &service.url, &flags).await;
    ended.is_clean();

    let report = &ended.report;
    assert!(ended.number("/audit/tally/rejected") > 0, "some events were illegal: {}", ended.told());
    let kinds = report["latency"]["kinds"].as_array().unwrap();
    assert_eq!(kinds.iter().map(|kind| &kind["kind"]).collect::<Vec<_>>(), KINDS);
    for of in kinds.iter().chain([&report["latency"]["accept"], &report["latency"]["recorded"]]) {
        let [p50, p90, p99, p99_9, max] =
            ["p50", "p90", "p99", "p99_9", "max"].map(|quantile| of[quantile].as_u64().unwrap());
        assert!(of["count"].as_u64().unwrap() > 0, "{of}");
        assert!(0 < p50 && p50 <= p90 && p90 <= p99 && p99 <= p99_9 && p99_9 <= max, "{of}");
    }
    // Embedded, every key that was used is known again, and none was used before.
    let [retries, replayed, recovered] =
        ["retries", "replayed", "recovered"].map(|what| ended.number(&format!("/figures/{what}")));
    assert!(retries > 0 && (retries, recovered) == (replayed, 0), "{}", ended.told());
    let measured: u64 = kinds.iter().map(|kind| kind["count"].as_u64().unwrap()).sum();
    assert_eq!(measured, ended.number("/figures/requests"));
    let errors = report["errors"].as_object().unwrap();
    assert!(errors.values().all(|count| count == 0), "{errors:?}");
    let timeline = report["timeline"].as_array().unwrap();
    assert!(timeline.len() >= 16 && timeline.iter().any(|point| point["depth"].is_u64()), "{timeline:?}");
    assert!(report["cost"]["per_million_orders"].as_f64().unwrap() > 1.0);
    for words in ["audit: clean", "p99.9", "accepted → recorded", "per million orders"] {
        assert!(ended.told().contains(words), "no {words:?}: {}", ended.told());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_loop_does_what_its_mix_says() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--log-level", "warn,orders=info"]);
    let mix = ["--mix", "create=1,advance=1", "--samples", "0"];
    let ended =
        load(folder.path(), &service.url, &[&["--connections", "8", "--duration", "2"], &mix[..]].concat())
            .await;
    ended.is_clean();
    let report = &ended.report;
    assert_eq!(report["configuration"]["loop"], "closed");
    assert_eq!(ended.number("/audit/tally/rejected"), 0);
    assert_eq!(ended.number("/audit/tally/orders"), ended.number("/calls/creations"));
    let accepted = ended.number("/calls/creations") + ended.number("/calls/events");
    assert_eq!(ended.number("/audit/tally/accepted"), accepted);
    assert_eq!(ended.number("/latency/recorded/count"), 0);
    // A second run on the same service is another run: nothing of the first is in its way.
    load(folder.path(), &service.url, &["--connections", "2", "--duration", "1"]).await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_asks_for_a_token_is_given_one() {
    let folder = TempDir::new().unwrap();
    let (keys, pair) = (folder.path().join("jwks.json"), pair());
    publish(&keys, "k-1", &pair);
    let flags = [&["--jwks-file", keys.to_str().unwrap()][..], &ISSUER].concat();
    let service = Service::start(&folder.path().join("data"), &flags);

    let run = ["--rate", "50", "--duration", "1"];
    let refused = load(folder.path(), &service.url, &run).await;
    assert_eq!(refused.output.status.code(), Some(1));
    let told = refused.told();
    assert!(told.contains("does not let this in (401") && told.contains("--token"), "{told}");
    let token = token("k-1", &pair, 600);
    load(folder.path(), &service.url, &[&run[..], &["--token", &token]].concat()).await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_driven_is_said_before_anything_is_sent() {
    let folder = TempDir::new().unwrap();
    let url = "http://127.0.0.1:9";
    let nobody = load(folder.path(), url, &[]).await;
    assert_eq!((nobody.output.status.code(), nobody.report), (Some(1), Value::Null));
    assert!(String::from_utf8_lossy(&nobody.output.stderr).contains("no answer from http://127.0.0.1:9"));

    let service = Service::start(&folder.path().join("data"), &[]);
    let elsewhere = load(folder.path(), &format!("{}/docs", service.url), &[]).await;
    assert!(elsewhere.told().contains("is not this service: 404"), "{}", elsewhere.told());
    let nowhere = load(folder.path(), &service.url, &["--html", "/nonexistent/report.html"]).await;
    assert!(nowhere.told().contains("cannot write the report to /nonexistent"), "{}", nowhere.told());
    for (flags, words) in [
        (["--duration", "soon"], "a number of seconds"),
        (["--mix", "crate=1"], "there are create, advance"),
        (["--rate", "0"], "0.001 to"),
    ] {
        let wrong = load(folder.path(), &service.url, &flags).await;
        assert!(wrong.output.status.code() == Some(2) && wrong.told().contains(words), "{}", wrong.told());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_is_asked_to_stop_is_still_audited() {
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
async fn a_run_without_a_request_is_not_clean() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &[]);
    let flags = ["--rate", "0.001", "--duration", "0.1"];
    let ended = load(folder.path(), &service.url, &flags).await;
    ended.found("nothing_audited", "no request was answered");
}
