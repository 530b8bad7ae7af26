//! Calls to AWS and units of DynamoDB per order, counted at the HTTP layer between the roles and the emulator.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::deployment::Deployment;
use crate::figures::Spread;
use crate::support::counting::{CountingProxy, Counts};
use crate::support::service::{Api, Service, order};

const ROUNDS: usize = 5;
/// Orders of a round that one client posts, one after the other.
const ALONE: usize = 40;
/// Clients that post at the same time, and how many orders each posts in a round, one after the other.
const CONNECTIONS: usize = 64;
const EACH: usize = 5;
/// Orders of a round that go through a whole life.
const LIVES: usize = 10;

/// The roles as containers run them, each behind a proxy that counts.
struct Roles<'a> {
    deployment: &'a Deployment,
    api: Service,
    api_calls: CountingProxy,
    _consumer: Service,
    consumer_calls: CountingProxy,
}

/// What passed in a round, and for how many orders.
struct Round {
    orders: f64,
    api: Counts,
    consumer: Counts,
}

pub(crate) async fn report(deployment: &Deployment) -> anyhow::Result<()> {
    println!("\nCalls and units per order, {ROUNDS} rounds each");
    println!(
        "  the emulator counts no index for writes that share a call: on AWS a creation takes 2 units and its share of the ledger"
    );
    let roles = Roles::start(deployment).await?;
    let (mut alone, mut together, mut lives) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(roles.round(ALONE, roles.post_alone()).await?);
        together.push(roles.round(CONNECTIONS * EACH, roles.post_together()).await?);
        lives.push(roles.round(LIVES, roles.live()).await?);
    }
    tell(&format!("order_created, {ALONE} by one client"), &alone);
    tell(&format!("order_created, {EACH} by each of {CONNECTIONS} clients"), &together);
    tell(&format!("a life of five events, each after the one before was recorded, {LIVES} orders"), &lives);
    Ok(())
}

impl<'a> Roles<'a> {
    async fn start(deployment: &'a Deployment) -> anyhow::Result<Self> {
        let endpoint = &deployment.emulator.endpoint;
        let (api_calls, consumer_calls) =
            (CountingProxy::start(endpoint).await, CountingProxy::start(endpoint).await);
        let mut api = deployment.role(&["api"], &api_calls.endpoint);
        api.env("ORDERS_LISTEN", "127.0.0.1:0");
        let consumer = deployment.role(&["consumer"], &consumer_calls.endpoint);
        Ok(Self {
            deployment,
            api: Service::spawn(api),
            api_calls,
            _consumer: Service::spawn_until(consumer, "\"consuming\"").0,
            consumer_calls,
        })
    }

    /// Counts what `work` on this many orders causes, until all of it is handled.
    async fn round(
        &self,
        orders: usize,
        work: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<Round> {
        for proxy in [&self.api_calls, &self.consumer_calls] {
            proxy.take();
        }
        work.await?;
        self.deployment.drained().await?;
        let (api, consumer) = (self.api_calls.take(), self.consumer_calls.take());
        Ok(Round { orders: orders as f64, api, consumer })
    }

    async fn post_alone(&self) -> anyhow::Result<()> {
        for _ in 0..ALONE {
            post(&self.api, "/v1/orders", &order("alone")).await?;
        }
        Ok(())
    }

    async fn post_together(&self) -> anyhow::Result<()> {
        let clients = (0..CONNECTIONS).map(|_| async {
            let client = Api::at(&self.api.url);
            for _ in 0..EACH {
                post(&client, "/v1/orders", &order("together")).await?;
            }
            anyhow::Ok(())
        });
        futures_util::future::try_join_all(clients).await?;
        Ok(())
    }

    async fn live(&self) -> anyhow::Result<()> {
        let changes = [
            ("order_confirmed", json!({})),
            ("order_paid", json!({ "payment_id": "p-1", "amount": 1800 })),
            ("order_shipped", json!({ "carrier": "DHL", "tracking_number": "JD01" })),
            ("order_delivered", json!({})),
        ];
        for _ in 0..LIVES {
            let receipt = post(&self.api, "/v1/orders", &order("alive")).await?;
            let path = format!("/v1/orders/{}/events", receipt["order_id"].as_str().unwrap_or_default());
            for (kind, data) in &changes {
                self.deployment.drained().await?;
                post(&self.api, &path, &json!({ "type": kind, "data": data })).await?;
            }
            self.deployment.drained().await?;
        }
        Ok(())
    }
}

async fn post(api: &Api, path: &str, body: &Value) -> anyhow::Result<Value> {
    let response = api.send(Method::POST, path, Some(body)).await?;
    let (status, text) = (response.status(), response.text().await?);
    anyhow::ensure!(status == StatusCode::ACCEPTED, "{status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

fn tell(name: &str, rounds: &[Round]) {
    let each = |what: &dyn Fn(&Round) -> f64| {
        rounds.iter().map(|round| what(round) / round.orders).collect::<Spread>()
    };
    let calls = |operation: &str| each(&|round| round.consumer.calls_of(operation) as f64);
    let sum = |round: &Round, operations: &[&str]| {
        operations.iter().map(|operation| round.consumer.calls_of(operation)).sum::<usize>() as f64
    };
    let writes = |round: &Round| sum(round, &["PutItem", "UpdateItem"]) + round.consumer.statements as f64;
    let write_calls = |round: &Round| sum(round, &["PutItem", "UpdateItem", "BatchExecuteStatement"]);
    let reads = |round: &Round| sum(round, &["Query", "GetItem"]);
    println!("  {name}");
    println!("    sends:       {}", each(&|round| round.api.calls_of("SendMessageBatch") as f64));
    println!("    receives:    {}", calls("ReceiveMessage"));
    println!("    deletes:     {}", calls("DeleteMessageBatch"));
    println!("    writes:      {}", each(&writes));
    println!("    in calls:    {}", each(&write_calls));
    println!("    write units: {}", each(&|round| round.consumer.write_units));
    println!("    reads:       {}", each(&reads));
    println!("    read units:  {}", each(&|round| round.consumer.read_units));
}
