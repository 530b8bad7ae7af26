//! Tests the guards about amounts, payments and refunds.

use domain::{Amount, EventType, Order};
use serde_json::{Value, json};

use super::{legal, order, order_of, refused};
use crate::given::{after, message};

const MAX: i64 = Amount::MAX;

fn authorized(id: &str, amount: i64) -> (&'static str, Value) {
    ("payment_authorized", json!({"payment_id": id, "amount": amount}))
}

fn paid(id: &str, amount: i64) -> (&'static str, Value) {
    ("paid", json!({"payment_id": id, "amount": amount}))
}

/// Applies an event of schema version 1 with the given data to the order.
fn v1(order: &Order, event_type: EventType, data: &Value) -> Result<Order, String> {
    after(Some(order.clone()), message(event_type, 1, data).event)
}

#[test]
fn amounts_fit() {
    let full = order(&[paid("p", MAX)]);
    let numbers = json!({"limit": MAX});
    let detail = format!("verdict 'never', guard amounts_fit: the sum would be {}", MAX + 1);
    refused(&full, "paid", json!({"amount": 1}), &detail, numbers.clone());
    legal(&full, "paid", json!({"amount": 0}));

    let reserved = order(&[authorized("p", MAX)]);
    let detail = format!("verdict 'early', guard amounts_fit: the sum would be {}", MAX + 1);
    let one = json!({"payment_id": "q", "amount": 1});
    refused(&reserved, "payment_authorized", one.clone(), &detail, numbers.clone());
    legal(&legal(&reserved, "payment_voided", json!({"payment_id": "p"})), "payment_authorized", one.clone());
    let captured = legal(&reserved, "paid", json!({"payment_id": "p", "amount": 1}));
    let detail = format!("verdict 'never', guard amounts_fit: the sum would be {}", MAX + 1);
    refused(&captured, "payment_authorized", one, &detail, numbers.clone());

    // A discount does not make room for other amounts, because the discount ends when its line is cancelled or
    // returned.
    let adjust = |amounts: &[i64]| {
        let one =
            |(index, amount)| json!({"adjustment_id": format!("{index}"), "kind": "other", "amount": amount});
        json!({ "adjustments": amounts.iter().enumerate().map(one).collect::<Vec<_>>() })
    };
    legal(&order(&[]), "amended", adjust(&[MAX - 250]));
    let detail = format!("verdict 'early', guard amounts_fit: the sum would be {}", MAX + 1);
    refused(&order(&[]), "amended", adjust(&[MAX - 249, -1000]), &detail, numbers.clone());
    let mut both = adjust(&[MAX]);
    both["items"] = json!([{"sku": "mug", "quantity": 1, "unit_price": 1}]);
    let detail = format!("verdict 'never', guard amounts_fit: the sum would be {}", MAX + 1);
    refused(&order(&[]), "amended", both, &detail, numbers);
}

#[test]
fn payment_new_and_voidable() {
    let reserved = order(&[authorized("p", 250)]);
    let detail = "verdict 'never', guard payment_new: the order already has the payment \"p\"";
    refused(&reserved, "payment_authorized", authorized("p", 250).1, detail, json!({}));
    refused(&order(&[paid("p", 250)]), "payment_authorized", authorized("p", 250).1, detail, json!({}));

    let void = |id: &str| json!({ "payment_id": id });
    let detail = "guard payment_voidable: the order has no payment \"q\"";
    refused(&reserved, "payment_voided", void("q"), &format!("verdict 'early', {detail}"), json!({}));
    let closed = legal(&reserved, "cancelled", json!({}));
    refused(&closed, "payment_voided", void("q"), &format!("verdict 'never', {detail}"), json!({}));
    let voided = legal(&closed, "payment_voided", void("p"));
    let detail = "verdict 'never', guard payment_voidable: the payment \"p\" is already voided";
    refused(&voided, "payment_voided", void("p"), detail, json!({}));
    let detail = "verdict 'never', guard payment_voidable: 1 of the payment \"p\" is already captured";
    refused(
        &legal(&reserved, "paid", paid("p", 1).1),
        "payment_voided",
        void("p"),
        detail,
        json!({"captured": 1}),
    );
    let detail =
        "verdict 'never', guard payment_voidable: the payment \"p\" was captured without an authorization";
    refused(&order(&[paid("p", 1)]), "payment_voided", void("p"), detail, json!({}));
}

#[test]
fn payment_capturable() {
    let reserved = order(&[authorized("p", 250)]);
    let part = legal(&reserved, "paid", paid("p", 100).1);
    let numbers = json!({"authorized": 250, "captured": 100, "asked": 151, "left": 150});
    let detail = "verdict 'never', guard payment_capturable: payment \"p\": 250 authorized, 100 captured; 151 requested, 150 left";
    refused(&part, "paid", paid("p", 151).1, detail, numbers);
    legal(&part, "paid", paid("p", 150).1);
    // A capture without an amount captures the rest of the authorized amount.
    let all = legal(&part, "paid", json!({"payment_id": "p"}));
    assert_eq!((all.payments[0].captured.minor(), all.money().balance), (250, 0));
    for (data, asked) in [(json!({"payment_id": "p"}), 0), (paid("p", 1).1, 1), (paid("p", 0).1, 0)] {
        let numbers = json!({"authorized": 250, "captured": 250, "asked": asked, "left": 0});
        let detail = format!(
            "verdict 'never', guard payment_capturable: payment \"p\": 250 authorized, 250 captured; {asked} requested, 0 left"
        );
        refused(&all, "paid", data, &detail, numbers);
    }
    let voided = legal(&reserved, "payment_voided", json!({"payment_id": "p"}));
    let detail = "verdict 'never', guard payment_capturable: the payment \"p\" is voided";
    refused(&voided, "paid", paid("p", 1).1, detail, json!({}));

    // A payment without an authorization is captured only once. A second `order_paid` for the same payment is refused.
    let direct = order(&[paid("p", 250)]);
    let detail = "verdict 'never', guard payment_capturable: the payment \"p\" is already captured";
    refused(&direct, "paid", paid("p", 250).1, detail, json!({}));
    legal(&direct, "paid", paid("q", 9).1);
}

#[test]
fn a_capture_without_amount_captures_what_is_due() {
    let part = order(&[("paid", json!({"amount": 100}))]);
    let all = legal(&part, "paid", json!({"payment_id": "q"}));
    assert_eq!((all.payments[1].captured.minor(), all.money().balance), (150, 0));
    let detail = "guard payment_capturable: nothing is due";
    refused(&all, "paid", json!({}), &format!("verdict 'early', {detail}"), json!({"balance": 0}));
    let over = legal(&all, "paid", json!({"amount": 5}));
    refused(&over, "paid", json!({}), &format!("verdict 'early', {detail}"), json!({"balance": -5}));
    let cancelled = legal(&over, "cancelled", json!({}));
    refused(&cancelled, "paid", json!({}), &format!("verdict 'never', {detail}"), json!({"balance": -255}));
    // If more is refunded than is owed to the customer, the difference is due again.
    let refunded = legal(&all, "refunded", json!({"amount": 30}));
    assert_eq!(legal(&refunded, "paid", json!({})).payments[2].captured.minor(), 30);
}

#[test]
fn the_end_of_a_discounted_line_can_make_something_due() {
    let created = json!({
        "customer_id": "c", "currency": "EUR", "total": 0,
        "items": [
            {"line_id": "a", "sku": "mug", "quantity": 1, "unit_price": 5},
            {"line_id": "b", "sku": "tea", "quantity": 1, "unit_price": 0}
        ],
        "adjustments": [{"adjustment_id": "d", "kind": "discount", "amount": -5, "line_id": "b"}],
    });
    let shipped = order_of(&created, &[("confirmed", json!({})), ("shipped", json!({}))]);
    let detail = "verdict 'early', guard payment_capturable: nothing is due";
    refused(&shipped, "paid", json!({}), detail, json!({"balance": 0}));
    let delivered = legal(&shipped, "delivered", json!({}));
    let returned = legal(&delivered, "returned", super::units(&[("b", 1)]));
    assert_eq!((returned.total.minor(), returned.money().balance), (5, 5));
    legal(&returned, "paid", json!({}));
}

#[test]
fn covered() {
    let confirmed = order(&[("confirmed", json!({})), paid("p", 200), authorized("q", 100)]);
    let covered = legal(&confirmed, "shipped", super::units(&[("a", 1)]));
    let voided = legal(&covered, "payment_voided", json!({"payment_id": "q"}));
    let detail = "verdict 'early', guard covered: the total is 250; 200 captured, 0 refunded, 0 authorized and not captured";
    let numbers = json!({"total": 250, "captured": 200, "refunded": 0, "authorized": 0});
    refused(&voided, "shipped", json!({}), detail, numbers);
    legal(&legal(&voided, "paid", paid("r", 50).1), "shipped", json!({}));
    legal(&legal(&voided, "cancelled", super::units(&[("b", 1)])), "shipped", json!({}));
    let conceded = legal(&voided, "refunded", json!({"amount": 50, "goodwill": true}));
    let detail = "verdict 'early', guard covered: the total is 200; 200 captured, 50 refunded, 0 authorized and not captured";
    let numbers = json!({"total": 200, "captured": 200, "refunded": 50, "authorized": 0});
    refused(&conceded, "shipped", json!({}), detail, numbers);
}

#[test]
fn refundable_and_refund_new() {
    let order = order(&[paid("p", 200), authorized("q", 100), paid("q", 40)]);
    let refund = |amount: i64, payment: Option<&str>| json!({"amount": amount, "payment_id": payment});
    let check = |data: Value, word: &str, detail: &str, numbers: [i64; 4]| {
        let [captured, refunded_before, asked, left] = numbers;
        let numbers =
            json!({"captured": captured, "refunded": refunded_before, "asked": asked, "left": left});
        refused(&order, "refunded", data, &format!("verdict '{word}', guard refundable: {detail}"), numbers);
    };
    legal(&order, "refunded", refund(240, None));
    check(
        refund(241, None),
        "early",
        "240 captured, 0 refunded; 241 requested, 240 left",
        [240, 0, 241, 240],
    );
    legal(&order, "refunded", refund(200, Some("p")));
    check(
        refund(201, Some("p")),
        "never",
        "200 captured, 0 refunded; 201 requested, 200 left",
        [200, 0, 201, 200],
    );
    legal(&order, "refunded", refund(40, Some("q")));
    check(refund(41, Some("q")), "early", "40 captured, 0 refunded; 41 requested, 40 left", [40, 0, 41, 40]);
    check(
        refund(100, Some("q")),
        "early",
        "40 captured, 0 refunded; 100 requested, 40 left",
        [40, 0, 100, 40],
    );
    check(
        refund(101, Some("q")),
        "never",
        "40 captured, 0 refunded; 101 requested, 40 left",
        [40, 0, 101, 40],
    );
    for amount in [0, 1] {
        check(refund(amount, Some("x")), "early", "the order has no payment \"x\"", [240, 0, amount, 0]);
    }
    let part = legal(&order, "refunded", json!({"amount": 1, "refund_id": "r"}));
    let detail = "verdict 'never', guard refund_new: the order already has the refund \"r\"";
    refused(&part, "refunded", json!({"amount": 1, "refund_id": "r"}), detail, json!({}));
    legal(&part, "refunded", json!({"amount": 1, "refund_id": "s"}));
    let too_much =
        format!("verdict 'never', guard refundable: 240 captured, 1 refunded; {MAX} requested, 239 left");
    let numbers = json!({"captured": 240, "refunded": 1, "asked": MAX, "left": 239});
    refused(&part, "refunded", refund(MAX, None), &too_much, numbers);
}

#[test]
fn nothing_can_be_refunded_before_a_payment_even_by_a_refund_of_0() {
    for (amount, asked) in [(json!(null), 0), (json!(0), 0), (json!(1), 1)] {
        let detail =
            format!("verdict 'early', guard refundable: 0 captured, 0 refunded; {asked} requested, 0 left");
        let numbers = json!({"captured": 0, "refunded": 0, "asked": asked, "left": 0});
        refused(&order(&[]), "refunded", json!({"amount": amount}), &detail, numbers);
    }
}

#[test]
fn a_refund_takes_the_payments_in_the_order_in_which_they_came() {
    let order = order(&[paid("p", 100), authorized("q", 90), paid("q", 60), ("paid", json!({"amount": 40}))]);
    let refunded = |order: &Order| order.payments.iter().map(|it| it.refunded.minor()).collect::<Vec<_>>();
    let first = legal(&order, "refunded", json!({"amount": 130}));
    assert_eq!(refunded(&first), [100, 30, 0]);
    let second = legal(&first, "refunded", json!({"amount": 5, "payment_id": "q"}));
    assert_eq!(refunded(&second), [100, 35, 0]);
    let rest = legal(&second, "refunded", json!({}));
    assert_eq!(refunded(&rest), [100, 60, 40]);
    assert_eq!(rest.refunds.iter().map(|it| it.amount.minor()).collect::<Vec<_>>(), [130, 5, 65]);
    let whole = legal(&second, "refunded", json!({"payment_id": "q"}));
    assert_eq!(refunded(&whole), [100, 60, 0], "without an amount, the whole payment is refunded");
}

#[test]
fn payments_and_refunds_of_version_1_settle_an_order_once() {
    let confirmed = order(&[("confirmed", json!({}))]);
    let settled = v1(&confirmed, EventType::Paid, &json!({"amount": 10})).unwrap();
    assert_eq!((settled.status.as_str(), settled.payment_status().as_str()), ("paid", "paid"));
    assert_eq!(settled.money().balance, 0, "nothing is due after any payment, whatever its amount");
    legal(&settled, "shipped", json!({}));
    let again = v1(&settled, EventType::Paid, &json!({"amount": 10})).unwrap_err();
    assert!(again.ends_with("the order is already paid"), "{again}");

    let cancelled = legal(&settled, "cancelled", json!({}));
    let refunded = v1(&cancelled, EventType::Refunded, &json!({"amount": 999})).unwrap();
    assert_eq!((refunded.status.as_str(), refunded.payment_status().as_str()), ("refunded", "refunded"));
    assert_eq!(
        (refunded.refunds[0].amount.minor(), refunded.money().refunded),
        (10, 10),
        "a refund never counts more than was captured"
    );
    v1(&refunded, EventType::Refunded, &json!({})).unwrap_err();

    // A partial refund also settles the order. An amount that is captured afterwards is owed to the customer.
    let part = v1(&cancelled, EventType::Refunded, &json!({"amount": 4})).unwrap();
    assert_eq!((part.status.as_str(), part.money().balance), ("refunded", 0));
    let later = legal(&part, "paid", json!({"amount": 7}));
    assert_eq!((later.status.as_str(), later.money().balance), ("cancelled", -13));

    // An amendment of the price, or a refund that is no concession, ends the settlement.
    let dearer =
        legal(&settled, "amended", json!({"items": [{"sku": "mug", "quantity": 3, "unit_price": 100}]}));
    assert_eq!((dearer.status.as_str(), dearer.money().balance), ("confirmed", 290));
    let same = legal(&settled, "amended", json!({"reference": "PO-1"}));
    assert_eq!(same.status.as_str(), "paid");
    let conceded = legal(&settled, "refunded", json!({"amount": 3, "goodwill": true}));
    assert_eq!((conceded.status.as_str(), conceded.money().balance), ("paid", 0));
    let returned = legal(&settled, "refunded", json!({"amount": 3}));
    assert_eq!((returned.status.as_str(), returned.money().balance), ("confirmed", 243));
}
