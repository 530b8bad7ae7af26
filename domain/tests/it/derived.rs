//! Tests what is derived from the counters: the total, the balance, the statuses, and the deadline.

use domain::{EventType, FulfilmentStatus, Order, OrderStatus, PaymentStatus, Timestamp};
use serde_json::{Value, json};

use crate::given::{after, event_type, proposed, time};

/// An order that was created with `adjustments` and the members in `more`, and then got `events`. Line `a` has 3
/// units at a price of 100, and line `b` has 1 unit at 50.
#[expect(clippy::needless_pass_by_value, reason = "the callers write the data in place")]
fn order(adjustments: Value, more: Value, events: &[(&str, Value)]) -> Order {
    let adjusted: i64 = adjustments.as_array().unwrap().iter().map(|it| it["amount"].as_i64().unwrap()).sum();
    let mut created = json!({
        "customer_id": "c", "currency": "EUR", "total": 350 + adjusted, "adjustments": adjustments,
        "items": [
            {"line_id": "a", "sku": "mug", "quantity": 3, "unit_price": 100},
            {"line_id": "b", "sku": "tea", "quantity": 1, "unit_price": 50}
        ],
    });
    created.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let start = after(None, proposed(EventType::Created, &created)).unwrap();
    events.iter().fold(start, |order, (short, data)| {
        after(Some(order), proposed(event_type(short), data))
            .unwrap_or_else(|error| panic!("{short}: {error}"))
    })
}

fn adjustment(id: &str, amount: i64, line: Option<&str>) -> Value {
    json!({"adjustment_id": id, "kind": "other", "amount": amount, "line_id": line})
}

fn of_a(quantity: u32) -> Value {
    json!({"items": [{"line_id": "a", "quantity": quantity}]})
}

/// The events that confirm an order, pay the given amount, ship the order and deliver it.
fn delivered(amount: i64) -> Vec<(&'static str, Value)> {
    vec![
        ("confirmed", json!({})),
        ("paid", json!({"payment_id": "p", "amount": amount})),
        ("shipped", json!({})),
        ("delivered", json!({})),
    ]
}

fn total(adjustments: Value, events: &[(&str, Value)]) -> i64 {
    order(adjustments, json!({}), events).total.minor()
}

#[test]
fn adjustments_of_a_line_count_in_proportion_to_its_remaining_units() {
    // The line's share of the adjustment is rounded to the nearest integer.
    for (amount, after_one, after_two) in
        [(100, 67, 33), (-100, -67, -33), (50, 33, 17), (1, 1, 0), (-1, -1, 0)]
    {
        let list = json!([adjustment("x", amount, Some("a"))]);
        assert_eq!(total(list.clone(), &[]), 350 + amount);
        assert_eq!(total(list.clone(), &[("cancelled", of_a(1))]), 250 + after_one, "{amount}");
        assert_eq!(total(list.clone(), &[("cancelled", of_a(2))]), 150 + after_two, "{amount}");
        assert_eq!(total(list.clone(), &[("cancelled", of_a(3))]), 50, "{amount}");
        let mut events = delivered(1000);
        events.push(("returned", of_a(1)));
        assert_eq!(total(list, &events), 250 + after_one, "{amount} after a return");
    }
}

#[test]
fn a_half_is_rounded_away_from_zero() {
    let amended = json!({
        "items": [{"line_id": "a", "sku": "mug", "quantity": 2, "unit_price": 10}],
        "adjustments": [adjustment("tax", 5, Some("a")), adjustment("discount", -3, Some("a"))]
    });
    let events = [("amended", amended), ("cancelled", of_a(1))];
    // The total consists of one unit of 10, a tax of 2.5, and a discount of 1.5, each rounded.
    assert_eq!(total(json!([]), &events), 10 + 3 - 2);
}

#[test]
fn other_adjustments_stay_until_every_unit_is_cancelled() {
    let shipping = json!([adjustment("shipping", 40, None)]);
    let mut events = delivered(390);
    assert_eq!(total(shipping.clone(), &[("cancelled", of_a(3))]), 90);
    assert_eq!(total(shipping.clone(), &[("cancelled", json!({}))]), 0, "a cancelled order costs nothing");
    events.push(("returned", json!({})));
    assert_eq!(total(shipping, &events), 40, "a return refunds the goods but not the shipping");
}

#[test]
fn a_total_is_never_below_0() {
    let discount = json!([adjustment("discount", -300, None)]);
    assert_eq!(total(discount.clone(), &[]), 50);
    assert_eq!(total(discount.clone(), &[("cancelled", of_a(2))]), 0);
    let order = order(discount, json!({}), &[("paid", json!({"amount": 50})), ("cancelled", of_a(2))]);
    assert_eq!(order.money().balance, -50, "the paid amount is owed to the customer");
}

#[test]
fn goodwill_lowers_the_total_and_another_refund_does_not() {
    let refund = |amount: i64, goodwill: bool| ("refunded", json!({"amount": amount, "goodwill": goodwill}));
    let mut events = delivered(350);
    events.push(refund(30, true));
    let conceded = order(json!([]), json!({}), &events);
    assert_eq!((conceded.total.minor(), conceded.money().balance), (320, 0));
    events.push(refund(20, false));
    let refunded = order(json!([]), json!({}), &events);
    assert_eq!(
        (refunded.total.minor(), refunded.money().balance),
        (320, 20),
        "the refunded amount is due again"
    );
    events.push(("returned", of_a(1)));
    let returned = order(json!([]), json!({}), &events);
    assert_eq!((returned.total.minor(), returned.money().balance), (220, -80));
    events.push(refund(300, true));
    let more = order(json!([]), json!({}), &events);
    // The remaining units cost 250. The concessions of 30 and 300 lower the total to 0. Both the captured and the
    // refunded amount are 350.
    assert_eq!((more.total.minor(), more.money().balance), (0, 0));
}

/// The three statuses of the order, separated by blanks.
fn words(order: &Order) -> String {
    format!("{} {} {}", order.status, order.payment_status(), order.fulfilment_status())
}

#[test]
fn the_words_follow_from_the_counters() {
    let life = [
        ("payment_authorized", json!({"payment_id": "p", "amount": 350}), "pending authorized unfulfilled"),
        ("confirmed", json!({}), "confirmed authorized unfulfilled"),
        ("paid", json!({"payment_id": "p", "amount": 100}), "confirmed partially_paid unfulfilled"),
        ("shipped", of_a(1), "partially_shipped partially_paid partially_shipped"),
        ("paid", json!({"payment_id": "p"}), "partially_shipped paid partially_shipped"),
        ("delivered", json!({}), "partially_shipped paid partially_delivered"),
        ("shipped", json!({}), "shipped paid partially_delivered"),
        ("paid", json!({"payment_id": "q", "amount": 1}), "shipped overpaid partially_delivered"),
        ("delivered", json!({}), "delivered overpaid delivered"),
        ("returned", of_a(3), "delivered overpaid partially_returned"),
        ("refunded", json!({"amount": 1}), "delivered partially_refunded partially_returned"),
        ("returned", json!({}), "returned partially_refunded returned"),
        ("refunded", json!({}), "refunded refunded returned"),
    ];
    let mut events = Vec::new();
    assert_eq!(words(&order(json!([]), json!({}), &events)), "pending unpaid unfulfilled");
    for (short, data, expected) in life {
        events.push((short, data));
        assert_eq!(words(&order(json!([]), json!({}), &events)), expected, "after {short}");
    }
}

#[test]
fn words_of_other_ways() {
    let paid = |amount: i64| ("paid", json!({"amount": amount}));
    let void = [
        ("payment_authorized", json!({"payment_id": "p", "amount": 9})),
        ("payment_voided", json!({"payment_id": "p"})),
    ];
    let cases: Vec<(Vec<(&str, Value)>, &str)> = vec![
        (void.to_vec(), "pending unpaid unfulfilled"),
        (vec![paid(350)], "pending paid unfulfilled"),
        (vec![paid(350), ("confirmed", json!({}))], "paid paid unfulfilled"),
        (vec![paid(400), ("confirmed", json!({}))], "paid overpaid unfulfilled"),
        (
            vec![("confirmed", json!({})), paid(350), ("refunded", json!({}))],
            "confirmed refunded unfulfilled",
        ),
        (vec![("cancelled", json!({}))], "cancelled unpaid unfulfilled"),
        (vec![("cancelled", json!({})), paid(1)], "cancelled overpaid unfulfilled"),
        (vec![paid(1), ("cancelled", json!({})), ("refunded", json!({}))], "refunded refunded unfulfilled"),
        (
            vec![paid(2), ("cancelled", json!({})), ("refunded", json!({"amount": 1}))],
            "cancelled partially_refunded unfulfilled",
        ),
    ];
    for (events, expected) in cases {
        assert_eq!(words(&order(json!([]), json!({}), &events)), expected, "{events:?}");
    }
    let unpaid = [("confirmed", json!({})), ("shipped", json!({}))];
    assert_eq!(words(&order(json!([]), json!({"ship_unpaid": true}), &unpaid)), "shipped unpaid shipped");
    // The payment status of an order with a total of 0 is `paid`. The status of the order is still the status that
    // version 1 would give.
    let free = order(json!([adjustment("gift", -350, None)]), json!({}), &[("confirmed", json!({}))]);
    assert_eq!(words(&free), "confirmed paid unfulfilled");
}

#[test]
fn words_are_the_same_in_json_and_text() {
    for word in OrderStatus::ALL {
        assert_eq!((json!(word), OrderStatus::from_name(word.as_str())), (json!(word.as_str()), Some(word)));
    }
    for word in PaymentStatus::ALL {
        assert_eq!(
            (json!(word), PaymentStatus::from_name(word.as_str())),
            (json!(word.as_str()), Some(word))
        );
    }
    for word in FulfilmentStatus::ALL {
        assert_eq!(
            (json!(word), FulfilmentStatus::from_name(word.as_str())),
            (json!(word.as_str()), Some(word))
        );
    }
    assert_eq!(OrderStatus::from_name("lost"), None);
}

const DAY: i64 = 86_400_000_000;

#[test]
fn an_unpaid_order_has_a_deadline_while_something_is_left_to_ship() {
    // The order is created at 10:01 on 23 November.
    let deadline = |more: Value, age: Option<i64>, events: &[(&str, Value)]| -> Option<Timestamp> {
        order(json!([]), more, events).deadline(age)
    };
    let expires = json!({"expires_at": "2026-11-25T00:00:00Z"});
    let (stated, aged) = (Some(time("2026-11-25T00:00:00Z")), Some(time("2026-11-24T10:01:00Z")));
    assert_eq!(deadline(json!({}), None, &[]), None);
    assert_eq!(deadline(json!({}), Some(DAY), &[]), aged);
    assert_eq!(deadline(expires.clone(), None, &[]), stated);
    assert_eq!(deadline(expires.clone(), Some(DAY), &[]), aged, "the earlier one");
    assert_eq!(deadline(expires, Some(9 * DAY), &[]), stated);
    assert_eq!(
        deadline(json!({}), Some(i64::MAX), &[]),
        None,
        "the deadline would exceed the range of times"
    );

    let unpaid = json!({"expires_at": "2026-11-25T00:00:00Z", "ship_unpaid": true});
    assert_eq!(deadline(json!({"ship_unpaid": true}), Some(DAY), &[]), None);
    assert_eq!(deadline(unpaid.clone(), Some(DAY), &[]), stated);
    let authorized = ("payment_authorized", json!({"payment_id": "p", "amount": 1}));
    let void = ("payment_voided", json!({"payment_id": "p"}));
    let paid = ("paid", json!({"amount": 1}));
    for (events, has_deadline) in [
        (vec![("confirmed", json!({}))], true),
        (vec![("held", json!({"hold": "h"}))], true),
        (vec![("cancelled", of_a(1))], true),
        (vec![("cancelled", json!({}))], false),
        (vec![authorized.clone()], false),
        (vec![authorized, void], true),
        (vec![paid.clone()], false),
        (vec![paid, ("refunded", json!({}))], false),
        (vec![("confirmed", json!({})), ("shipped", of_a(1))], false),
        (vec![("amended", json!({"adjustments": [adjustment("gift", -350, None)]}))], false),
    ] {
        assert_eq!(deadline(unpaid.clone(), None, &events).is_some(), has_deadline, "{events:?}");
    }
}
