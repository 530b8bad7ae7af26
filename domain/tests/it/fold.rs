//! The order that readers see: what each event changes, and logs that cannot be folded.

use domain::event::{Amended, Paid, Shipped};
use domain::{Event, EventType, LineItems, Order, OrderId, OrderState, Verdict, judge};

use crate::given::{
    amount, envelope, event, items, line, log, order_after, order_after_types, recorded, text, time,
};

#[test]
fn a_created_order_is_pending_at_version_1() {
    let order = order_after_types("created").unwrap();
    let json = serde_json::to_value(&order).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "order_id": "order-1", "customer_id": "customer-1", "status": "pending", "version": 1,
            "currency": "EUR", "total": 2999, "metadata": {"gift": "yes"},
            "items": [
                {"sku": "mug", "quantity": 2, "unit_price": 1250}, {"sku": "tea", "quantity": 1, "unit_price": 499}
            ],
            "created_at": "2026-11-23T10:01:00Z", "updated_at": "2026-11-23T10:01:00Z",
            "recorded_at": "2026-11-23T10:01:30Z",
        })
    );
    assert_eq!(serde_json::from_value::<Order>(json).unwrap(), order);
}

#[test]
fn no_events_make_no_order() {
    assert_eq!(Order::fold(&[]).unwrap(), None);
}

#[test]
fn an_amendment_replaces_the_items_and_the_total() {
    let before = order_after_types("created").unwrap();
    assert_eq!((before.items.clone(), before.total), (items(), amount(2999)));

    let after = order_after_types("created amended").unwrap();
    let amended = LineItems::parse(vec![line("pot", 3, Some(2000))]).unwrap();
    assert_eq!((after.items, after.total, after.version), (amended, amount(6000), 2));
    assert_eq!((after.customer_id, after.metadata), (before.customer_id, before.metadata));
}

#[test]
fn the_last_amendment_wins() {
    let second = Amended { items: LineItems::parse(vec![line("cup", 1, Some(700))]).unwrap() };
    let order =
        order_after([event(EventType::Created), event(EventType::Amended), Event::Amended(second)]).unwrap();
    assert_eq!((order.total, order.items.lines().len()), (amount(700), 1));
}

#[test]
fn payment_and_shipment_are_kept_through_all_later_events() {
    let order = order_after_types("created confirmed paid shipped delivered returned refunded").unwrap();
    assert_eq!(order.payment, Some(Paid { payment_id: text("pay-1"), amount: Some(amount(2999)) }));
    assert_eq!(order.shipment, Some(Shipped { carrier: text("Post"), tracking_number: text("track-1") }));
    assert_eq!(order.version, 7);
    assert_eq!(order.created_at, time("2026-11-23T10:01:00Z"));
    assert_eq!(order.updated_at, time("2026-11-23T10:07:00Z"));
}

#[test]
fn an_order_cancelled_before_payment_cannot_be_refunded() {
    for history in ["created cancelled", "created confirmed cancelled"] {
        let order = order_after_types(history).unwrap();
        assert_eq!(order.state(), OrderState::Is(domain::OrderStatus::Cancelled));
        assert!(
            matches!(judge(Some(&order), &envelope(event(EventType::Refunded))), Verdict::Never(_)),
            "{history}"
        );
    }
}

#[test]
fn an_order_cancelled_after_payment_can_be_refunded_even_if_the_payment_has_no_data() {
    let bare = Event::Paid(Paid { payment_id: None, amount: None });
    for paid in [event(EventType::Paid), bare] {
        let history =
            [event(EventType::Created), event(EventType::Confirmed), paid, event(EventType::Cancelled)];
        let order = order_after(history).unwrap();
        assert_eq!(order.state(), OrderState::CancelledPaid);
        assert_eq!(judge(Some(&order), &envelope(event(EventType::Refunded))), Verdict::Legal);

        let read_back: Order = serde_json::from_slice(&serde_json::to_vec(&order).unwrap()).unwrap();
        assert_eq!(read_back.state(), OrderState::CancelledPaid, "the projection contains the payment");
    }
}

#[test]
fn a_log_with_a_gap_a_repeat_or_a_wrong_start_does_not_fold() {
    let cases = [
        (vec![1, 3], "event order_confirmed at version 3 does not fit: version 2 was expected"),
        (vec![1, 1], "event order_confirmed at version 1 does not fit: version 2 was expected"),
        (vec![2], "event order_created at version 2 does not fit: version 1 was expected"),
        (vec![0], "event order_created at version 0 does not fit: version 1 was expected"),
    ];
    for (versions, expected) in cases {
        let types = [EventType::Created, EventType::Confirmed];
        let log: Vec<_> =
            versions.iter().zip(types).map(|(version, kind)| recorded(*version, event(kind))).collect();
        assert_eq!(Order::fold(&log).unwrap_err().to_string(), expected, "{versions:?}");
    }
}

#[test]
fn an_illegal_log_does_not_fold() {
    let log = log([event(EventType::Created), event(EventType::Shipped)]);
    let error = Order::fold(&log).unwrap_err();
    assert_eq!(error.to_string(), "event order_shipped at version 2 does not fit: the order is pending");

    let error = Order::apply(None, &recorded(1, event(EventType::Paid))).unwrap_err();
    assert_eq!(error.to_string(), "event order_paid at version 1 does not fit: the order is not yet created");
}

#[test]
fn an_event_of_another_order_does_not_fold() {
    let mut log = log([event(EventType::Created), event(EventType::Confirmed)]);
    log[1].envelope.order_id = OrderId::parse("order-2").unwrap();
    let error = Order::fold(&log).unwrap_err();
    assert_eq!(
        error.to_string(),
        "event order_confirmed at version 2 does not fit: it is about order order-2"
    );
}
