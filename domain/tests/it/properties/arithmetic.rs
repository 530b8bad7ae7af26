//! Tests counters and sums over the whole range of amounts and quantities: nothing overflows, and every sum agrees
//! with wide arithmetic.

use domain::{Amount, Envelope, Event, EventType, Order, Verdict, judge};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::exhaustive::invariants;
use crate::given::{after, envelope, eur};

/// Random amounts from the whole range, many of them near its ends.
fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![
        0..10_i64,
        Just(Amount::MAX),
        Amount::MAX - 10..=Amount::MAX,
        0..=Amount::MAX,
        0..=Amount::MAX / 1000
    ]
}

fn quantity() -> impl Strategy<Value = i64> {
    prop_oneof![1..4_i64, Just(1_000_000), 999_990..=1_000_000_i64, 1..=1_000_000_i64]
}

/// The data of an `order_created` event whose total is the sum of its lines and adjustments. If the total is
/// out of range, the data is invalid.
fn creation() -> impl Strategy<Value = Value> {
    let line = (quantity(), prop_oneof![3 => 0..=Amount::MAX / 2_000_000, 1 => amount()]);
    let adjustment = (amount(), any::<bool>(), proptest::option::of(1..=2_u32));
    (vec(line, 1..=2), vec(adjustment, 0..3), any::<bool>()).prop_map(|(lines, adjustments, ship_unpaid)| {
        let mut total: i128 = lines.iter().map(|(n, price)| i128::from(*n) * i128::from(*price)).sum();
        let lines: Vec<_> = lines
            .into_iter()
            .map(|(quantity, price)| json!({"sku": "s", "quantity": quantity, "unit_price": price}))
            .collect();
        let one = |(index, (amount, is_discount, line)): (usize, (i64, bool, Option<u32>))| {
            let amount = if is_discount { -amount } else { amount };
            total += i128::from(amount);
            let line_id = line.map(|line| line.min(lines.len() as u32).to_string());
            json!({"adjustment_id": index.to_string(), "kind": "other", "amount": amount, "line_id": line_id})
        };
        let adjustments: Vec<_> = adjustments.into_iter().enumerate().map(one).collect();
        json!({
            "customer_id": "c", "currency": "EUR", "items": lines, "adjustments": adjustments,
            "total": i64::try_from(total).unwrap_or(-1), "ship_unpaid": ship_unpaid
        })
    })
}

/// An event after `order_created`. The guards refuse some of these events.
fn later() -> impl Strategy<Value = (EventType, Value)> {
    let id = prop::sample::select(vec!["p", "q"]);
    let units = (1..=2_u32, quantity())
        .prop_map(|(line, quantity)| json!({"items": [{"line_id": line.to_string(), "quantity": quantity}]}));
    let items = (quantity(), amount()).prop_map(|(quantity, price)| {
        json!({"items": [{"sku": "s", "quantity": quantity, "unit_price": price}, {"sku": "t", "quantity": 1, "unit_price": 1}]})
    });
    let goods = [EventType::Shipped, EventType::Cancelled, EventType::Returned];
    prop_oneof![
        1 => Just((EventType::Confirmed, json!({}))),
        1 => Just((EventType::Delivered, json!({}))),
        1 => items.prop_map(|items| (EventType::Amended, items)),
        3 => (prop::sample::select(goods.to_vec()), units),
        1 => prop::sample::select(goods.to_vec()).prop_map(|kind| (kind, json!({}))),
        1 => (id.clone(), amount())
            .prop_map(|(id, amount)| (EventType::PaymentAuthorized, json!({"payment_id": id, "amount": amount}))),
        3 => (proptest::option::of(id.clone()), proptest::option::of(amount()))
            .prop_map(|(id, amount)| (EventType::Paid, json!({"payment_id": id, "amount": amount}))),
        3 => (proptest::option::of(id), proptest::option::of(amount()), any::<bool>()).prop_map(
            |(id, amount, goodwill)| {
                (EventType::Refunded, json!({"payment_id": id, "amount": amount, "goodwill": goodwill}))
            }
        ),
    ]
}

/// Decodes an event with the given data. `None` if the data is invalid, for example because a sum is out of
/// range.
fn decoded(event_type: EventType, mut data: Value) -> Option<Event> {
    data["order_id"] = json!("order-1");
    let message = json!({
        "type": event_type, "schema_version": 2, "timestamp": "2026-11-23T10:00:00Z", "data": data
    });
    Envelope::decode(message.to_string().as_bytes(), eur()).ok().map(|envelope| envelope.event)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_counter_and_sum_is_right_at_full_range(created in creation(), later in vec(later(), 0..30)) {
        let Some(created) = decoded(EventType::Created, created) else { return Ok(()) };
        let mut order: Order = after(None, created).unwrap();
        for (event_type, data) in later {
            let Some(event) = decoded(event_type, data.clone()) else { continue };
            let is_legal = judge(Some(&order), None, &envelope(event.clone())) == Verdict::Legal;
            let applied = after(Some(order.clone()), event);
            prop_assert_eq!(applied.is_ok(), is_legal);
            order = applied.unwrap_or(order);
            if let Err(error) = invariants::check(&order) {
                prop_assert!(false, "{} after {} {}: {:?}", error, event_type, data, order);
            }
        }
    }
}
