//! Tests the page of the pipeline, and the history that it draws.

use serde_json::{Value, json};

use super::{Shop, tea};
use crate::support::eventually::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_adds_up_and_the_last_hour_is_drawn() {
    let shop = Shop::start(&[]);
    let id = shop.create(&tea("WEB-1")).await;
    shop.record(&id, &json!({ "type": "order_confirmed" })).await;
    let page = shop.open("").await;
    page.sees("Nothing needs an operator.").await;
    page.sees("2 + 0 + 0 + 0 + 0 = 2").await;
    page.sees("adds up").await;
    // The page follows the counters, and the plots the samples of the service.
    shop.create(&tea("WEB-2")).await;
    page.sees("3 + 0 + 0 + 0 + 0 = 3").await;
    page.wait_for("the plots have samples", "testing.all('.plot canvas').length >= 5").await;
    page.assert_faultless();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_keeps_samples_of_rates_and_latencies() {
    let shop = Shop::start(&[]);
    let history = async |query: &str| {
        let (status, history) = shop.service.get(&format!("/v1/pipeline/history{query}")).await;
        assert_eq!((status.as_u16(), &history["kept"]), (200, &json!(true)), "{history}");
        history["samples"].as_array().unwrap().clone()
    };
    shop.create(&tea("WEB-1")).await;
    let busy = eventually("a sample has the order", async || {
        let samples = history("").await;
        let is_busy = |sample: &&Value| sample["accepted_per_second"].as_f64().is_some_and(|rate| rate > 0.0);
        samples.iter().find(is_busy).cloned().ok_or(samples)
    })
    .await;
    for name in ["publish_p50_seconds", "publish_p99_seconds", "record_p50_seconds", "record_p99_seconds"] {
        assert!(busy[name].as_f64().is_some_and(|seconds| seconds > 0.0 && seconds < 30.0), "{busy}");
    }
    assert!(busy["disk_free_bytes"].as_u64() > Some(0), "{busy}");
    assert_eq!((&busy["backup_lag_seconds"], &busy["webhook_lag_seconds"]), (&Value::Null, &Value::Null));
    let at = busy["at"].as_str().unwrap();
    assert!(history(&format!("?after={at}")).await.iter().all(|sample| sample["at"].as_str() > Some(at)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_in_words() {
    // No disk has so much space.
    let shop = Shop::start(&["--min-free-disk", "1000000000000"]);
    let page = shop.open("").await;
    page.sees("What is wrong now").await;
    page.sees("No new events are accepted: the disk has").await;
    page.assert_faultless();
}
