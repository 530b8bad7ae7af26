//! What an order costs: calls and units, counted at the HTTP layer.

use api::ports::EventPublisher;
use consumer::ports::Inbox;
use consumer::{Consumer, Outcome};
use infra::aws::{self, QueuedDeadLetters};

use crate::conformance::QueueOptions;
use crate::conformance::aws::AwsBackend;
use crate::support::counting::CountingProxy;
use crate::support::emulator::Emulator;
use crate::support::events::{confirmed, created, eur, new_order_id};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_created_by_two_writes_and_no_read() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let proxy = CountingProxy::start(&Emulator::shared().endpoint).await;
    let sdk = aws::config_at(&proxy.endpoint).await;
    let queue = aws::queue(&sdk, &backend.queues.url);
    let table = aws::table(&sdk, &backend.table_name, eur());
    let consumer = Consumer {
        log: std::sync::Arc::new(table.clone()),
        dead_letters: std::sync::Arc::new(QueuedDeadLetters {
            queue: queue.clone(),
            table,
            default_currency: eur(),
            origin: backend.queues.url.clone(),
            inbox: None,
        }),
        clock: infra::now,
        default_currency: eur(),
    };
    let order = new_order_id();
    for (event, reads) in [(created(&order), 0), (confirmed(&order), 1)] {
        queue.publish(&[event]).await.remove(0).unwrap();
        let messages = queue.receive(10, std::time::Duration::from_secs(5)).await.unwrap();
        let handled = consumer.handle(messages).await;
        assert!(matches!(handled[0].outcome, Outcome::Recorded(_)), "{handled:?}");
        queue.ack(&[&handled[0].message]).await.remove(0).unwrap();

        let counts = proxy.take();
        let expected = [
            ("SendMessageBatch", 1),
            ("PutItem", 1),
            ("UpdateItem", 1),
            ("Query", reads),
            ("DeleteMessageBatch", 1),
        ];
        for (operation, calls) in expected {
            assert_eq!(counts.calls_of(operation), calls, "{operation}: {counts:?}");
        }
    }
}
