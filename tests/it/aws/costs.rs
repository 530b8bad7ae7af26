//! Tests how many AWS calls an order costs, counted at the HTTP layer.

use api::ports::{EventPublisher, OrderReader};
use consumer::ports::{Appended, Inbox, LoadRequest, Message, OrderLog, ParkRequest};
use consumer::{BatchHandler, Consumer, Disposition};
use domain::{Envelope, ParkReason, RecordedEvent};
use infra::aws::{self, SqsDeadLetters};

use super::bill::measured;
use crate::conformance::aws::AwsBackend;
use crate::conformance::{Backend, QueueOptions};
use crate::support::consumers::consumer_of;
use crate::support::counting::{CallCounts, CountingProxy};
use crate::support::emulator::Emulator;
use crate::support::events::{amended, append_of, confirmed, created, eur, new_order_id, paid, recorded};
use crate::support::eventually::{PATIENCE, check, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_created_by_one_write_and_changed_by_one() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let proxy = CountingProxy::start(&Emulator::shared().endpoint).await;
    let sdk = aws::config_at(&proxy.endpoint).await;
    let queue = aws::queue(&sdk, &backend.queues.url);
    let table = aws::table(&sdk, &backend.table_name, eur());
    let consumer = consumer_of(
        std::sync::Arc::new(table.clone()),
        std::sync::Arc::new(SqsDeadLetters {
            queue: queue.clone(),
            table: table.clone(),
            origin: backend.queues.url.clone(),
            inbox: None,
        }),
    );
    let order = new_order_id();
    for (event, earlier) in [(created(&order), 0), (confirmed(&order), 1)] {
        queue.publish(&[event]).await.remove(0).unwrap();
        let messages = queue.receive(10, std::time::Duration::from_secs(5)).await.unwrap();
        let handled = consumer.handle(messages).await;
        assert!(matches!(handled[0].disposition, Disposition::Recorded(_)), "{handled:?}");
        queue.ack(&[(&handled[0].message, &Disposition::Recorded(1))]).await.remove(0).unwrap();

        let counts = proxy.take();
        let expected = [
            ("SendMessageBatch", 1),
            ("PutItem", 1),
            // The first projection comes with the sixth event.
            ("UpdateItem", 0),
            // The consumer reads an order before it judges an event of the order.
            ("Query", earlier),
            ("DeleteMessageBatch", 1),
        ];
        for (operation, calls) in expected {
            assert_eq!(counts.calls_of(operation), calls, "{operation}: {counts:?}");
        }
        assert_eq!(table.order(&order).await.unwrap().unwrap().order.version, earlier as u64 + 1);
        let counts = proxy.take();
        assert_eq!((counts.calls.len(), counts.calls_of("Query")), (1, 1), "a read is one query: {counts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_costs_one_write_for_a_batch() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let proxy = CountingProxy::start(&Emulator::shared().endpoint).await;
    let table =
        std::sync::Arc::new(aws::table(&aws::config_at(&proxy.endpoint).await, &backend.table_name, eur()));
    let consumer =
        Consumer { ledger: Some(table.clone()), ..consumer_of(table.clone(), backend.dead_letters()) };
    let message = |event: &Envelope, id: &str| Message {
        id: id.to_owned(),
        group: Some(event.order_id.to_string()),
        receive_count: 1,
        body: event.encode(),
        ..Message::default()
    };
    let handle = async |messages: Vec<Message>| {
        let mut handled = consumer.handle(messages).await;
        consumer.count(&mut handled).await;
        assert!(handled.iter().all(|handled| handled.disposition.is_acknowledged()), "{handled:?}");
    };
    let writes =
        |counts: &CallCounts| counts.calls_of("PutItem") + counts.calls_of("UpdateItem") + counts.statements;
    // With its first batch, a process also looks for writers of the ledger to fold.
    handle(vec![message(&created(&new_order_id()), "first")]).await;
    eventually("the writers are read", async || check(proxy.counts().calls_of("Query") == 1, proxy.counts()))
        .await;
    proxy.take();

    let order = new_order_id();
    let life = [created(&order), amended(&order, 1), amended(&order, 3), confirmed(&order), paid(&order)];
    for event in &life {
        handle(vec![message(event, &event.event_id.to_string())]).await;
    }
    let counts = proxy.take();
    // Five events and five counts; the index entry of the creation is one more unit.
    assert_eq!((writes(&counts), counts.write_units, counts.calls_of("Query")), (10, 11.0, 4), "{counts:?}");
    let units = measured("creation_write_units")
        + 4.0 * measured("event_write_units")
        + 5.0 * measured("batch_write_units");
    assert_eq!((counts.write_units, counts.read_units), (units, 4.0 * measured("event_read_units")));

    handle(vec![message(&amended(&order, 1), "sixth")]).await;
    let counts = proxy.take();
    let units = ["event_write_units", "projection_write_units", "batch_write_units"].map(measured);
    assert_eq!((writes(&counts), counts.write_units), (3, units.iter().sum::<f64>()), "{counts:?}");
    table.order(&order).await.unwrap().unwrap();
    assert_eq!(proxy.take().read_units, measured("order_read_units"));

    let creations: Vec<_> = (0..10).map(|_| created(&new_order_id())).collect();
    handle(creations.iter().map(|event| message(event, &event.event_id.to_string())).collect()).await;
    let counts = proxy.take();
    assert_eq!((writes(&counts), counts.calls.values().sum::<usize>()), (11, 2), "{counts:?}");

    handle(vec![message(&life[3], "again")]).await;
    let counts = proxy.take();
    assert_eq!((writes(&counts), counts.calls_of("Query")), (2, 1), "a duplicate is stored: {counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writes_share_a_call_and_keep_their_own_conditions() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let proxy = CountingProxy::start(&Emulator::shared().endpoint).await;
    let table = aws::table(&aws::config_at(&proxy.endpoint).await, &backend.table_name, eur());
    let orders: Vec<_> = (0..10).map(|_| new_order_id()).collect();
    let logs: Vec<_> = orders.iter().map(|id| recorded(1, &[created(id), amended(id, 40)])).collect();
    let append = |log: &[RecordedEvent], version: usize| append_of(&log[..version], 1);
    // The second events are large, so each is projected immediately. Order 5 already has a different first event, and order 3 has a dead letter.
    let taken = recorded(1, &[created(&orders[5]), amended(&orders[5], 40)]);
    backend.table.append(&[append(&taken, 1)]).await.remove(0).unwrap();
    let parked = &logs[3][1].envelope;
    backend.send(orders[3].as_str(), "parked", &String::from_utf8(parked.encode()).unwrap()).await;
    let message = backend.queue.receive(1, PATIENCE).await.unwrap().remove(0);
    let parking = ParkRequest {
        message: &message,
        reason: ParkReason::TriesExhausted,
        detail: String::new(),
        event: Some(parked),
        order_id: Some(orders[3].clone()),
    };
    backend.dead_letters().park(&[parking]).await.remove(0).unwrap();

    let creations: Vec<_> = logs.iter().map(|log| append(log, 1)).collect();
    for (i, result) in table.append(&creations).await.into_iter().enumerate() {
        assert_eq!(result.ok(), (i != 5).then_some(Appended::New), "{i}");
    }
    let counts = proxy.take();
    assert_eq!((counts.calls_of("BatchExecuteStatement"), counts.statements), (1, 10), "{counts:?}");
    // The statement for order 5 fails. It is repeated as a put, which finds the order's other first event.
    assert_eq!((counts.calls_of("PutItem"), counts.calls_of("UpdateItem")), (1, 0), "{counts:?}");

    let mut changes: Vec<_> = logs.iter().map(|log| append(log, 2)).collect();
    changes[5] = append(&taken, 2);
    for result in table.append(&changes).await {
        assert_eq!(result.unwrap(), Appended::New);
    }
    let counts = proxy.take();
    assert_eq!((counts.calls_of("BatchExecuteStatement"), counts.statements), (2, 10 + 10), "{counts:?}");
    // Order 3 has a dead letter, so the statement that projects the order fails. The statement is repeated as an
    // update.
    assert_eq!((counts.calls_of("PutItem"), counts.calls_of("UpdateItem")), (0, 1), "{counts:?}");
    for (i, (id, log)) in orders.iter().zip(&logs).enumerate() {
        let expected = if i == 5 { &taken } else { log };
        assert_eq!(&backend.history(id).await, expected, "{i}");
        let wanted = LoadRequest { order_id: id.clone(), event_ids: Vec::new(), references: Vec::new() };
        let sequence = table.load(&[wanted]).await.remove(0).unwrap().parked;
        assert_eq!(
            sequence.len(),
            usize::from(i == 3),
            "{i}: the dead letter stays in the sequence until it is released"
        );
    }
}
