//! Measures AWS calls and DynamoDB units per order. Proxies between the roles and the emulator count both.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::deployment::Deployment;
use crate::figures::Spread;
use crate::support::counting::{CallCounts, CountingProxy};
use crate::support::service::{Api, Service, order};

const ROUNDS: usize = 5;
/// The number of orders in a round that one client posts one by one.
const SEQUENTIAL: usize = 40;
/// The number of concurrent clients of a round.
const CONNECTIONS: usize = 64;
/// The number of orders in a round that each concurrent client posts one by one.
const PER_CONNECTION: usize = 5;
/// The number of orders in a round that go through their whole life cycle.
const LIVES: usize = 10;

/// The API and the consumer as separate processes, as in containers. Each sends its AWS calls through a proxy that
/// counts them.
struct Roles<'a> {
    deployment: &'a Deployment,
    api: Service,
    api_calls: CountingProxy,
    _consumer: Service,
    consumer_calls: CountingProxy,
}

/// The calls of a round, and the number of its orders.
struct CountedRound {
    orders: f64,
    api: CallCounts,
    consumer: CallCounts,
}

pub(crate) async fn report(deployment: &Deployment) -> anyhow::Result<()> {
    println!("\nAWS calls and DynamoDB units per order, {ROUNDS} rounds each");
    println!(
        "  note: the emulator does not count index units of batched writes; on AWS, a creation costs 2 write units, for the event and its \
         index entry, and a fraction of a unit for the ledger"
    );
    let roles = Roles::start(deployment).await?;
    let (mut sequential, mut concurrent, mut lives) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        sequential.push(roles.round(SEQUENTIAL, roles.post_sequentially()).await?);
        concurrent.push(roles.round(CONNECTIONS * PER_CONNECTION, roles.post_concurrently()).await?);
        lives.push(roles.round(LIVES, roles.live()).await?);
    }
    print(&format!("order_created, {SEQUENTIAL} orders by one client"), &sequential);
    print(&format!("order_created, {PER_CONNECTION} orders by each of {CONNECTIONS} clients"), &concurrent);
    print(
        &format!("five events of each order, each sent after the previous one was recorded, {LIVES} orders"),
        &lives,
    );
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

    /// Runs `work` on `orders` orders, and counts the calls until the queue is empty.
    async fn round(
        &self,
        orders: usize,
        work: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<CountedRound> {
        for proxy in [&self.api_calls, &self.consumer_calls] {
            proxy.take();
        }
        work.await?;
        self.deployment.drained().await?;
        let (api, consumer) = (self.api_calls.take(), self.consumer_calls.take());
        Ok(CountedRound { orders: orders as f64, api, consumer })
    }

    async fn post_sequentially(&self) -> anyhow::Result<()> {
        for _ in 0..SEQUENTIAL {
            post(&self.api, "/v1/orders", &order("alone")).await?;
        }
        Ok(())
    }

    async fn post_concurrently(&self) -> anyhow::Result<()> {
        let clients = (0..CONNECTIONS).map(|_| async {
            let client = Api::at(&self.api.url);
            for _ in 0..PER_CONNECTION {
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

fn print(name: &str, rounds: &[CountedRound]) {
    let each = |what: &dyn Fn(&CountedRound) -> f64| {
        rounds.iter().map(|round| what(round) / round.orders).collect::<Spread>()
    };
    let calls = |operation: &str| each(&|round| round.consumer.calls_of(operation) as f64);
    let sum = |round: &CountedRound, operations: &[&str]| {
        operations.iter().map(|operation| round.consumer.calls_of(operation)).sum::<usize>() as f64
    };
    let writes =
        |round: &CountedRound| sum(round, &["PutItem", "UpdateItem"]) + round.consumer.statements as f64;
    let write_calls = |round: &CountedRound| sum(round, &["PutItem", "UpdateItem", "BatchExecuteStatement"]);
    let reads = |round: &CountedRound| sum(round, &["Query", "GetItem"]);
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
