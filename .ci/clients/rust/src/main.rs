//! Places, pays and reads orders with the Rust client that OpenAPI Generator generates.

use std::error::Error;

use orders_client::apis::configuration::Configuration;
use orders_client::apis::orders_api::{self as api, CreateOrderError, ProposeEventError};
use orders_client::apis::{Error as ApiError, ResponseContent};
use orders_client::models::{
    CreateOrder, CreateOrders, Line, Order, OrderConfirmed, OrderOrReceipt, OrderPaid, OrderShipped, OrderStatus,
    PaidData, Problem, ProposedEvent, Receipt, RecordedEvent, ShippedData, order_confirmed, order_paid, order_shipped,
    receipt,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

const WAIT: Option<&str> = Some("wait=20");

fn order() -> CreateOrder {
    CreateOrder::new("EUR".to_owned(), "rust".to_owned(), vec![Line::new(2, "tea".to_owned(), 450)])
}

fn receipt(answer: OrderOrReceipt) -> Receipt {
    match answer {
        OrderOrReceipt::Receipt(receipt) => *receipt,
        OrderOrReceipt::Order(order) => panic!("a receipt was expected: {order:?}"),
    }
}

fn recorded(answer: OrderOrReceipt) -> Order {
    match answer {
        OrderOrReceipt::Order(order) => *order,
        OrderOrReceipt::Receipt(receipt) => panic!("an order was expected: {receipt:?}"),
    }
}

async fn create(configuration: &Configuration, order: CreateOrder, prefer: Option<&str>) -> Result<OrderOrReceipt, ApiError<CreateOrderError>> {
    api::create_order(configuration, order, None, prefer, None, None, None).await
}

async fn propose(configuration: &Configuration, order_id: &str, event: ProposedEvent) -> Result<OrderOrReceipt, ApiError<ProposeEventError>> {
    api::propose_event(configuration, order_id, event, None, None, WAIT, None, None, None).await
}

/// The status code and the problem of an answer. Panics if the request was not refused with a problem.
fn refused<T: std::fmt::Debug, E>(answer: Result<T, ApiError<E>>, problem: impl Fn(E) -> Option<Problem>) -> (u16, Problem) {
    match answer {
        Err(ApiError::ResponseError(ResponseContent { status, entity: Some(entity), .. })) => {
            (status.as_u16(), problem(entity).expect("a refused request is answered with a problem"))
        }
        Err(error) => panic!("a problem was expected: {error}"),
        Ok(answer) => panic!("a problem was expected: {answer:?}"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let base_path = std::env::args().nth(1).ok_or("usage: orders-client-check URL")?;
    let configuration = Configuration { base_path, ..Configuration::default() };

    let accepted = receipt(create(&configuration, order(), None).await?);
    let event_id = accepted.event_id.to_string();
    let settled =
        api::get_receipt(&configuration, &accepted.order_id, &event_id, None, None, WAIT, None, None, None).await?;
    assert_eq!(settled.state, receipt::State::Recorded);

    let placed = recorded(create(&configuration, order(), WAIT).await?);
    let id = placed.order_id;
    let shipped = OrderShipped::new(ShippedData::new("DHL".to_owned(), "1".to_owned()), order_shipped::Type::OrderShipped);
    let early = propose(&configuration, &id, ProposedEvent::OrderShipped(Box::new(shipped))).await;
    let (status, problem) = refused(early, |error| match error {
        ProposeEventError::Status400(problem) => Some(problem),
        _ => None,
    });
    assert_eq!((status, problem.r#type.as_str()), (409, "/problems/illegal-transition"));

    let confirmed = OrderConfirmed::new(order_confirmed::Type::OrderConfirmed);
    propose(&configuration, &id, ProposedEvent::OrderConfirmed(Box::new(confirmed))).await?;
    let paid = OrderPaid::new(PaidData::new(900, "p-1".to_owned()), order_paid::Type::OrderPaid);
    let paid = recorded(propose(&configuration, &id, ProposedEvent::OrderPaid(Box::new(paid))).await?);
    assert_eq!((paid.status, paid.version, paid.total), (OrderStatus::Paid, 3, 900));

    let read = api::get_order(&configuration, &id, None, None, None, None, None, None).await?;
    assert_eq!(read, paid);
    let list = api::list_orders(&configuration, Some("rust"), None, None, None, None, None, None, None, None, None, None, None, None, None).await?;
    assert!(list.items.iter().any(|order| order.order_id == id) && list.items.len() >= 2);

    let events = api::list_events(&configuration, &id, None, None, None, None, None).await?.items;
    let [RecordedEvent::OrderCreated(created), RecordedEvent::OrderConfirmed(_), RecordedEvent::OrderPaid(paid)] = events.as_slice() else {
        panic!("each event must have the variant of its type: {events:?}");
    };
    assert_eq!((created.data.total, paid.data.payment_id.as_deref()), (900, Some("p-1")));

    let wrong = CreateOrder { total: Some(Some(1)), ..order() };
    let batch = CreateOrders::new(vec![order(), wrong.clone()]);
    let batch = api::create_orders(&configuration, batch, None, None, None, None).await?.items;
    assert_eq!((batch[0].status, batch[1].status), (202, 422));
    assert!(batch[0].receipt.is_some() && batch[1].problem.is_some());

    let (status, problem) = refused(create(&configuration, wrong, None).await, |error| match error {
        CreateOrderError::Status400(problem) => Some(problem),
        _ => None,
    });
    let errors = problem.errors.unwrap_or_default();
    assert_eq!((status, errors[0].pointer.as_deref()), (422, Some("/total")));
    println!("Rust (OpenAPI Generator): order {id} was placed, paid and read");
    Ok(())
}
