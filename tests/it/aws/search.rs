//! Tests the search index on DynamoDB: a table without the index, the AWS calls that the index costs, and lists that
//! are longer than one read.

use api::ports::{FindError, OrderFilter, OrderReader};
use consumer::ports::OrderLog;
use domain::{Envelope, OrderId, OrderStatus};
use infra::aws;
use serde_json::json;

use crate::conformance::QueueOptions;
use crate::conformance::aws::AwsBackend;
use crate::conformance::listing::eventually_lists;
use crate::support::counting::CountingProxy;
use crate::support::emulator::Emulator;
use crate::support::events::{append_of, at, confirmed, created_for, eur, new_order_id, paid, recorded};

async fn append(backend: &AwsBackend, log: &[Envelope], last: usize) {
    backend.table.append(&[append_of(&recorded(1, log), last)]).await.remove(0).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_index_orders_are_found_by_customer_and_reference_only() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let ids = [new_order_id(), new_order_id(), new_order_id()];
    for (second, id) in (0..).zip(&ids) {
        let log = [Envelope { timestamp: at(10 - second), ..created_for(id, "mia") }];
        append(&backend, &log, 1).await;
    }
    let log = [
        Envelope { timestamp: at(10), ..created_for(&ids[0], "mia") },
        Envelope { timestamp: at(20), ..confirmed(&ids[0]) },
    ];
    append(&backend, &log, 1).await;
    for filter in [
        OrderFilter::default(),
        OrderFilter { status: Some(OrderStatus::Paid), ..OrderFilter::default() },
        OrderFilter { updated_from: Some(at(0)), ..OrderFilter::default() },
    ] {
        let error = backend.table.find_orders(&filter, None, 10).await.unwrap_err();
        assert!(matches!(error, FindError::NotConfigured(_)), "{error:?}");
    }
    // A customer's orders can be filtered and sorted without the index.
    let mia = OrderFilter::of_customer("mia".parse().unwrap());
    eventually_lists(&backend, &mia, &ids).await;
    let updated = OrderFilter { updated_from: Some(at(0)), ..mia.clone() };
    eventually_lists(&backend, &updated, &[ids[2].clone(), ids[1].clone(), ids[0].clone()]).await;
    let recently = OrderFilter { updated_from: Some(at(9)), updated_before: Some(at(20)), ..mia.clone() };
    eventually_lists(&backend, &recently, &ids[1..2]).await;
    let confirmed = OrderFilter { status: Some(OrderStatus::Confirmed), ..updated };
    eventually_lists(&backend, &confirmed, &ids[..1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_all_orders_is_merged_from_all_partitions() {
    let backend = AwsBackend::open_with(true, QueueOptions::default(), true).await;
    let ids: Vec<OrderId> = (0..60).map(|_| new_order_id()).collect();
    for (second, id) in (0..).zip(&ids) {
        let mut log = vec![Envelope { timestamp: at(second), ..created_for(id, "mia") }];
        if second % 3 > 0 {
            log.push(Envelope { timestamp: at(100 + second), ..confirmed(id) });
        }
        if second % 30 == 1 {
            log.push(Envelope { timestamp: at(200 + second), ..paid(id) });
        }
        append(&backend, &log, log.len()).await;
    }
    let newest_first: Vec<_> = ids.iter().rev().cloned().collect();
    let all = OrderFilter::default();
    eventually_lists(&backend, &all, &newest_first).await;
    let filters = [
        (all.clone(), newest_first.clone()),
        (
            OrderFilter { status: Some(OrderStatus::Paid), ..all.clone() },
            [31, 1].map(|i: usize| ids[i].clone()).to_vec(),
        ),
        (
            OrderFilter { status: Some(OrderStatus::Paid), updated_from: Some(at(0)), ..all.clone() },
            [1, 31].map(|i: usize| ids[i].clone()).to_vec(),
        ),
        (
            OrderFilter { updated_from: Some(at(100)), updated_before: Some(at(200)), ..all.clone() },
            (0..60).filter(|i| i % 3 > 0 && i % 30 != 1).map(|i| ids[i].clone()).collect(),
        ),
    ];
    for (filter, expected) in filters {
        for limit in [1, 7, 50, 200] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = backend.table.find_orders(&filter, after.as_ref(), limit).await.unwrap();
                assert!(page.orders.len() <= limit);
                found.extend(page.orders.into_iter().map(|snapshot| snapshot.order.order_id.clone()));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{filter:?} with {limit} orders per page");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_adds_no_write_to_the_table() {
    let backend = AwsBackend::open_with(true, QueueOptions::default(), true).await;
    let proxy = CountingProxy::start(&Emulator::shared().endpoint).await;
    let table = aws::table(&aws::config_at(&proxy.endpoint).await, &backend.table_name, eur())
        .with_search_index(true);
    let id = new_order_id();
    let log = [created_for(&id, "mia"), confirmed(&id), paid(&id)];
    for version in 1..=3 {
        table.append(&[append_of(&recorded(1, &log[..version]), 1)]).await.remove(0).unwrap();
        let counts = proxy.take();
        let projections = usize::from(version > 1);
        assert_eq!(
            (counts.calls_of("PutItem"), counts.calls_of("UpdateItem"), counts.statements),
            (1, projections, 0),
            "{counts:?}"
        );
    }
    let get = json!({ "TableName": backend.table_name, "ConsistentRead": true,
                      "Key": { "pk": { "S": format!("ORDER#{id}") }, "sk": { "S": "METADATA" } } });
    let item = Emulator::shared().dynamodb("GetItem", &get).await["Item"].take();
    let words = ["status", "payment_status", "fulfilment_status"].map(|name| item[name]["S"].clone());
    assert_eq!(words, ["paid", "paid", "unfulfilled"]);
    // The attributes of an entry in the index: its keys, the keys of the table, and the statuses.
    let names = ["search_list", "search_at", "pk", "sk", "status", "payment_status", "fulfilment_status"];
    let bytes: usize = names.iter().map(|name| name.len() + item[*name]["S"].as_str().unwrap().len()).sum();
    assert!(bytes < 1024, "an entry must take one write unit, but has {bytes} bytes");
}
