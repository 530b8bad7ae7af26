//! Tests the guards about lines, shipments and returns.

use domain::{EventType, Order};
use serde_json::{Value, json};

use super::{legal, order, order_of, refused, units, with};

/// An order that was confirmed and paid, and then got `events`.
fn ready(events: &[(&str, Value)]) -> Order {
    let start = [("confirmed", json!({})), ("paid", json!({"amount": 250}))];
    order(&start.into_iter().chain(events.iter().cloned()).collect::<Vec<_>>())
}

fn lines(lines: &[(&str, u32)]) -> Value {
    let line = |(id, quantity): &(&str, u32)| json!({"line_id": id, "sku": "s", "quantity": quantity, "unit_price": 100});
    json!({ "items": lines.iter().map(line).collect::<Vec<_>>() })
}

#[test]
fn lines_kept() {
    let order = ready(&[("shipped", units(&[("a", 1)])), ("cancelled", units(&[("a", 1)]))]);
    legal(&order, "amended", lines(&[("a", 2)]));
    let grown = legal(&order, "amended", lines(&[("c", 1), ("a", 5)]));
    let counters: Vec<_> =
        grown.items.iter().map(|line| (line.left(), line.shipped, line.cancelled)).collect();
    assert_eq!(counters, [(1, 0, 0), (3, 1, 1)], "a line with the same id keeps its counters");
    for (after, asked) in [(lines(&[("a", 1)]), 1), (lines(&[("b", 1)]), 0)] {
        let detail = format!(
            "verdict 'never', guard lines_kept: line \"a\": 1 cancelled, 1 shipped; {asked} requested"
        );
        let numbers = json!({"line": "a", "cancelled": 1, "shipped": 1, "asked": asked});
        refused(&order, "amended", after, &detail, numbers);
    }
    // An amendment may leave nothing to ship.
    let closed = legal(&order, "amended", lines(&[("a", 2)]));
    assert_eq!((closed.units().left(), closed.status.as_str()), (0, "shipped"));
}

#[test]
fn adjusted_lines() {
    let discount = |line: &str| json!({"adjustments": [{"adjustment_id": "d", "kind": "discount", "amount": -5, "line_id": line}]});
    let pending = order(&[]);
    legal(&pending, "amended", discount("b"));
    let numbers = json!({"line": "c"});
    let detail = "guard adjusted_lines: the order has no line \"c\"";
    refused(&pending, "amended", discount("c"), &format!("verdict 'early', {detail}"), numbers.clone());
    legal(&pending, "amended", with(discount("c"), &lines(&[("c", 1)])));
    refused(
        &pending,
        "amended",
        with(discount("c"), &lines(&[("a", 1)])),
        &format!("verdict 'never', {detail}"),
        numbers,
    );
    // If an amendment removes a line, the line's discount no longer counts. If a later amendment adds the line again,
    // the discount counts again.
    let without = legal(&legal(&pending, "amended", discount("b")), "amended", lines(&[("a", 1)]));
    assert_eq!(without.total.minor(), 100);
    assert_eq!(legal(&without, "amended", lines(&[("a", 1), ("b", 1)])).total.minor(), 195);
}

#[test]
fn units_left() {
    for short in ["shipped", "cancelled"] {
        let order = ready(&[("shipped", units(&[("a", 1)]))]);
        legal(&order, short, units(&[("a", 1), ("b", 1)]));
        let counted = |asked: u32, verdict: &str| {
            let numbers =
                json!({"line": "a", "ordered": 2, "cancelled": 0, "shipped": 1, "asked": asked, "left": 1});
            let detail = format!(
                "verdict '{verdict}', guard units_left: line \"a\": 2 ordered, 0 cancelled, 1 shipped; {asked} requested, 1 left"
            );
            refused(&order, short, units(&[("b", 1), ("a", asked)]), &detail, numbers);
        };
        counted(2, "early");
        counted(999_999, "early");
        counted(1_000_000, "never");
        let detail = "verdict 'early', guard units_left: the order has no line \"c\"";
        refused(&order, short, units(&[("c", 1)]), detail, json!({"line": "c"}));

        let closed = legal(&order, short, json!({}));
        assert_eq!(closed.units().left(), 0, "without items, all units that are left are taken");
        refused(
            &closed,
            short,
            json!({}),
            "verdict 'never', guard units_left: nothing is left to ship",
            json!({}),
        );
        let detail = "verdict 'never', guard units_left: the order has no line \"c\"";
        refused(&closed, short, units(&[("c", 1)]), detail, json!({"line": "c"}));
    }
}

#[test]
fn shipment_new_and_undelivered() {
    let first = ready(&[("shipped", with(units(&[("a", 1)]), &json!({"shipment_id": "s"})))]);
    let again = with(units(&[("b", 1)]), &json!({"shipment_id": "s"}));
    let detail = "verdict 'never', guard shipment_new: the order already has the shipment \"s\"";
    refused(&first, "shipped", again, detail, json!({}));
    let detail = "verdict 'early', guard shipment_undelivered: the order has no shipment \"t\"";
    refused(&first, "delivered", json!({"shipment_id": "t"}), detail, json!({}));

    let delivered = legal(&first, "delivered", json!({"shipment_id": "s"}));
    let detail = "verdict 'never', guard shipment_undelivered: the shipment \"s\" is already delivered";
    refused(&delivered, "delivered", json!({"shipment_id": "s"}), detail, json!({}));
    let detail = "guard shipment_undelivered: every shipment of the order is already delivered";
    refused(&delivered, "delivered", json!({}), &format!("verdict 'early', {detail}"), json!({}));

    let all = legal(&legal(&delivered, "shipped", json!({})), "delivered", json!({}));
    refused(&all, "delivered", json!({}), &format!("verdict 'never', {detail}"), json!({}));
    let detail = "verdict 'never', guard shipment_undelivered: the order has no shipment \"t\"";
    refused(&all, "delivered", json!({"shipment_id": "t"}), detail, json!({}));
}

#[test]
fn units_delivered() {
    let shipped = ready(&[("shipped", units(&[("a", 1)]))]);
    for short in ["return_requested", "returned"] {
        let nothing = "guard units_delivered: no delivered unit is left to return";
        refused(&ready(&[]), short, json!({}), &format!("verdict 'early', {nothing}"), json!({}));
        refused(&shipped, short, json!({}), &format!("verdict 'early', {nothing}"), json!({}));
        let all = legal(&legal(&shipped, "delivered", json!({})), "shipped", json!({}));
        // One unit of `a` is delivered. The other unit of `a` and the unit of `b` are shipped, and nothing is left to
        // ship.
        legal(&all, short, units(&[("a", 1)]));
        let detail = "guard units_delivered: line \"a\": 1 delivered, 0 returned; 2 requested, 1 left";
        let numbers = json!({"line": "a", "delivered": 1, "returned": 0, "asked": 2, "left": 1});
        refused(&all, short, units(&[("a", 2)]), &format!("verdict 'early', {detail}"), numbers);
        let detail = "verdict 'never', guard units_delivered: line \"a\": 1 delivered, 0 returned; 3 requested, 1 left";
        let numbers = json!({"line": "a", "delivered": 1, "returned": 0, "asked": 3, "left": 1});
        refused(&all, short, units(&[("b", 1), ("a", 3)]), detail, numbers);
        // While something is left to ship, an amendment can still add units, up to the maximum quantity.
        for (asked, verdict) in [(1_000_000, "early"), (3, "early")] {
            let detail = format!(
                "verdict '{verdict}', guard units_delivered: line \"a\": 0 delivered, 0 returned; {asked} requested, 0 left"
            );
            let numbers = json!({"line": "a", "delivered": 0, "returned": 0, "asked": asked, "left": 0});
            refused(&shipped, short, units(&[("a", asked)]), &detail, numbers);
        }
        let cancelled = legal(&shipped, "cancelled", units(&[("a", 1)]));
        let detail = "verdict 'never', guard units_delivered: line \"a\": 0 delivered, 0 returned; 1000000 requested, 0 left";
        let numbers = json!({"line": "a", "delivered": 0, "returned": 0, "asked": 1_000_000, "left": 0});
        refused(&cancelled, short, units(&[("a", 1_000_000)]), detail, numbers);

        let closed = order(&[("cancelled", json!({}))]);
        refused(&closed, short, json!({}), &format!("verdict 'never', {nothing}"), json!({}));
        let detail = "verdict 'never', guard units_delivered: the order has no line \"c\"";
        refused(&closed, short, units(&[("c", 1)]), detail, json!({"line": "c"}));
    }
}

#[test]
fn return_new_and_open() {
    let delivered = ready(&[("shipped", json!({})), ("delivered", json!({}))]);
    let request = with(units(&[("a", 1)]), &json!({"return_id": "r", "reason": "small"}));
    let requested = legal(&delivered, "return_requested", request.clone());
    assert_eq!(requested.units().returned, 0, "a request does not change the returned units");
    let detail = "verdict 'never', guard return_new: the order already has the return \"r\"";
    refused(&requested, "return_requested", request, detail, json!({}));

    let received = legal(&requested, "returned", json!({"return_id": "r"}));
    assert_eq!(received.items[0].returned, 1, "the return contains the requested units");
    assert_eq!(json!(received.returns[0].reason), json!("small"), "and its reason");
    let detail = "verdict 'never', guard return_open: the goods of the return \"r\" have arrived";
    refused(&received, "returned", json!({"return_id": "r"}), detail, json!({}));
    let other = legal(&requested, "returned", with(units(&[("a", 2)]), &json!({"return_id": "r"})));
    assert_eq!(
        (other.items[0].returned, other.returns.len()),
        (2, 1),
        "more units can be returned than were requested"
    );
    let unasked = legal(&received, "returned", json!({"return_id": "q"}));
    assert_eq!((unasked.units().returned, unasked.status.as_str()), (3, "returned"));
}

#[test]
fn generated_ids_do_not_collide_with_those_of_clients() {
    let created = json!({
        "customer_id": "c", "currency": "EUR", "total": 0, "ship_unpaid": true,
        "items": [{"sku": "mug", "quantity": 60, "unit_price": 0}],
    });
    let mut order = order_of(&created, &[("confirmed", json!({}))]);
    // Clients also choose ids that the service would generate next.
    let numbers =
        [None, Some("3"), Some("4"), None, Some("6"), None, Some("99"), None, None, Some("1000"), None];
    for (round, number) in numbers.into_iter().enumerate() {
        order = legal(&order, "shipped", with(units(&[("1", 1)]), &json!({"shipment_id": number})));
        order = legal(&order, "delivered", json!({}));
        let return_id = json!({"return_id": (round == 1).then_some("5")});
        order = legal(&order, "return_requested", with(units(&[("1", 1)]), &return_id));
        order = legal(&order, "returned", units(&[("1", 1)]));
    }
    let ids: Vec<_> = order.shipments.iter().map(|shipment| shipment.shipment_id.as_str()).collect();
    assert_eq!(ids, ["1", "3", "4", "5", "6", "7", "99", "8", "9", "1000", "11"]);
    let mut returns: Vec<_> = order.returns.iter().map(|it| it.return_id.as_str().to_owned()).collect();
    assert_eq!(returns[..6], ["1", "2", "5", "4", "6", "7"]);
    returns.sort();
    returns.dedup();
    assert_eq!(returns.len(), 22, "distinct");
}

#[test]
fn an_order_has_up_to_1000_lines() {
    let line =
        |n: usize| json!({"line_id": format!("line-{n}"), "sku": "mug", "quantity": 2, "unit_price": 3});
    let created = json!({
        "customer_id": "c", "currency": "EUR", "total": 6000, "ship_unpaid": true,
        "items": (0..1000).map(line).collect::<Vec<_>>(),
    });
    let one_each: Vec<_> = (0..1000).map(|n| (format!("line-{n}"), 1)).collect();
    let one_each = units(&one_each.iter().map(|(id, n)| (id.as_str(), *n)).collect::<Vec<_>>());
    let order = order_of(
        &created,
        &[
            ("confirmed", json!({})),
            ("shipped", one_each.clone()),
            ("shipped", json!({})),
            ("delivered", json!({})),
        ],
    );
    let order = legal(&order, "returned", one_each);
    let units = order.units();
    assert_eq!((units.shipped, units.delivered, units.returned), (2000, 2000, 1000));
    assert_eq!(order.total.minor(), 3000);
    let all: Vec<EventType> = domain::allowed_events(Some(&order)).collect();
    assert!(all.contains(&EventType::Returned));
}
