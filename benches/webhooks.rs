//! Measures how much webhooks slow down the intake of orders, and how fast events are delivered. Run it with
//! `cargo bench --bench webhooks`.
//!
//! Each round measures a service without subscriptions, a service with one subscription, and a service with
//! ten subscriptions. Each service records orders at full load. The receiver runs on the same machine, with
//! the lowest priority, and answers immediately. Requests have precedence over deliveries, so the service
//! makes most deliveries after the load. The rate of deliveries is the number of deliveries left at the end
//! of the load, divided by the time that they take.

#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

mod load;

use std::time::{Duration, Instant};

use anyhow::Context;
use load::client::Connection;
use load::figures::Spread;
use load::processes::{self, Process};
use serde_json::Value;

const ROUNDS: usize = 7;
const TIME: Duration = Duration::from_secs(4);
const SUBSCRIPTIONS: [usize; 3] = [0, 1, 10];

fn main() -> anyhow::Result<()> {
    processes::run(async {
        let folder = tempfile::TempDir::new()?;
        let receiver = Process::sink().await?;
        let mut services = Vec::new();
        for count in SUBSCRIPTIONS {
            let data = folder.path().join(count.to_string());
            let service = Process::orders(&data, &["--webhooks-allow-private"]).await?;
            for _ in 0..count {
                subscribe(&service, &receiver).await?;
            }
            services.push(service);
        }
        compare(&services).await
    })
}

async fn compare(services: &[Process]) -> anyhow::Result<()> {
    let (mut rates, mut deliveries) = (vec![Vec::new(); services.len()], vec![Vec::new(); services.len()]);
    for round in 1..=ROUNDS {
        for (place, service) in services.iter().enumerate() {
            let rate = service.take_in(TIME).await?.recorded;
            rates[place].push(rate);
            let (left, start) = (lag(service).await?, Instant::now());
            while lag(service).await? > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let delivered = left as f64 / start.elapsed().as_secs_f64();
            deliveries[place].push(delivered);
            println!(
                "round {round}, {} subscriptions: {rate:.0} orders/s recorded; afterwards {left} deliveries left, made at {delivered:.0}/s",
                SUBSCRIPTIONS[place]
            );
        }
    }
    for (place, count) in SUBSCRIPTIONS.iter().enumerate().skip(1) {
        let ratios = rates[place].iter().zip(&rates[0]).map(|(with, without)| with / without);
        println!(
            "rate of recorded orders with {count} subscriptions, relative to the rate without subscriptions: {}",
            Spread::from_iter(ratios)
        );
        println!(
            "deliveries per second with {count} subscriptions: {}",
            Spread::from_iter(deliveries[place].iter().copied())
        );
    }
    Ok(())
}

async fn subscribe(service: &Process, receiver: &Process) -> anyhow::Result<()> {
    let body = format!(r#"{{"url":"http://127.0.0.1:{}/"}}"#, receiver.port);
    let request = format!(
        "POST /v1/webhooks HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    Connection::open(service.port).await?.ask(request.as_bytes()).await?;
    Ok(())
}

/// The number of deliveries that the service has not made yet.
async fn lag(service: &Process) -> anyhow::Result<u64> {
    let mut connection = Connection::open(service.port).await?;
    let answer = String::from_utf8(connection.get("/v1/webhooks").await?.to_vec())?;
    let (_, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    let page: Value = serde_json::from_str(body)?;
    let subscriptions = page["items"].as_array().context("no subscriptions")?;
    let lags = subscriptions.iter().map(|subscription| subscription["progress"]["lag_events"].as_u64());
    lags.sum::<Option<u64>>().context("no lag")
}
