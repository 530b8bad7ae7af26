//! Tests every history of a few small orders, until no new state is found. In each state, the counters, sums and
//! statuses must be right, and `allowed_events` must list exactly the legal events. An event must be early if and
//! only if it is legal in a later state.
//!
//! The short form of the test takes seconds. The long form also searches larger orders, and
//! `scripts/exhaustive-orders.sh` runs it.

pub(crate) mod invariants;
mod search;
mod witness;

use domain::{EventType, Guard, Order, Verdict};
use serde_json::{Value, json};

use crate::given::{after, event_type, proposed};
use search::{Alphabet, search};

/// An order, and the events that the search applies to it. Each line of `events` contains a short event type and the
/// event's data.
struct World {
    created: Value,
    events: &'static str,
}

impl World {
    fn alphabet(&self) -> Alphabet {
        let parse = |line: &str| {
            let (short, data) = line.trim().split_once(' ').unwrap_or((line.trim(), "{}"));
            proposed(
                event_type(short),
                &serde_json::from_str(data).unwrap_or_else(|error| panic!("{line}: {error}")),
            )
        };
        let lines = self.events.lines().filter(|line| !line.trim().is_empty());
        Alphabet { created: proposed(EventType::Created, &self.created), events: lines.map(parse).collect() }
    }
}

/// The data of an order with the given lines. Each line is given as id, quantity and price.
fn created(lines: &[(&str, u32, i64)], ship_unpaid: bool) -> Value {
    let total: i64 = lines.iter().map(|(_, quantity, price)| i64::from(*quantity) * price).sum();
    let line = |(id, quantity, price): &(&str, u32, i64)| json!({"line_id": id, "sku": "s", "quantity": quantity, "unit_price": price});
    json!({
        "customer_id": "c", "currency": "EUR", "total": total, "ship_unpaid": ship_unpaid,
        "items": lines.iter().map(line).collect::<Vec<_>>()
    })
}

/// Events about goods: some or all units, amendments to more and to fewer units, holds, and returns with and without
/// a request.
const GOODS: &str = r#"
    confirmed
    held {"hold":"h"}
    released {"hold":"h"}
    amended {"items":[{"line_id":"a","sku":"s","quantity":1,"unit_price":1}]}
    amended {"items":[{"line_id":"a","sku":"s","quantity":3,"unit_price":1}]}
    shipped
    shipped {"items":[{"line_id":"a","quantity":1}]}
    shipped {"shipment_id":"2","items":[{"line_id":"a","quantity":2}]}
    delivered
    delivered {"shipment_id":"1"}
    delivered {"shipment_id":"2"}
    cancelled
    cancelled {"items":[{"line_id":"a","quantity":1}]}
    return_requested {"return_id":"r","items":[{"line_id":"a","quantity":1}]}
    returned {"return_id":"r"}
    returned {"return_id":"1","items":[{"line_id":"a","quantity":1}]}
    returned {"return_id":"q","items":[{"line_id":"a","quantity":2}]}
"#;

/// Events about an order with two lines.
const LINES: &str = r#"
    confirmed
    amended {"items":[{"line_id":"b","sku":"s","quantity":2,"unit_price":1}]}
    shipped
    shipped {"items":[{"line_id":"a","quantity":1}]}
    shipped {"items":[{"line_id":"b","quantity":1},{"line_id":"a","quantity":1}]}
    delivered
    cancelled
    cancelled {"items":[{"line_id":"b","quantity":1}]}
    returned {"return_id":"r"}
    returned {"return_id":"q","items":[{"line_id":"a","quantity":1}]}
    returned {"return_id":"p","items":[{"line_id":"b","quantity":2}]}
"#;

/// Events about two payments, with and without an authorization. Captures and refunds may be partial, authorizations
/// may be voided, and refunds may be concessions.
const MONEY: &str = r#"
    confirmed
    amended {"items":[{"line_id":"a","sku":"s","quantity":1,"unit_price":3}]}
    amended {"items":[{"line_id":"a","sku":"s","quantity":1,"unit_price":0}]}
    payment_authorized {"payment_id":"p","amount":2}
    payment_authorized {"payment_id":"q","amount":1}
    payment_voided {"payment_id":"p"}
    payment_voided {"payment_id":"q"}
    paid {"payment_id":"p","amount":1}
    paid {"payment_id":"p"}
    paid {"payment_id":"q","amount":2}
    refunded {"amount":1}
    refunded {"amount":1,"goodwill":true}
    refunded {"amount":2,"payment_id":"p"}
    refunded
    shipped
    cancelled
"#;

/// Events about both the goods and the payments of an order with one line.
const LIFE: &str = r#"
    confirmed
    amended {"items":[{"line_id":"a","sku":"s","quantity":1,"unit_price":2}],"adjustments":[{"adjustment_id":"d","kind":"discount","amount":-1,"line_id":"a"}]}
    payment_authorized {"payment_id":"p","amount":2}
    payment_voided {"payment_id":"p"}
    paid {"payment_id":"p"}
    shipped {"items":[{"line_id":"a","quantity":1}]}
    shipped
    delivered
    cancelled
    cancelled {"items":[{"line_id":"a","quantity":1}]}
    returned {"return_id":"r","items":[{"line_id":"a","quantity":1}]}
    returned {"return_id":"q"}
    refunded {"amount":1}
    refunded {"amount":1,"goodwill":true}
    refunded
"#;

fn worlds() -> Vec<World> {
    vec![
        World { created: created(&[("a", 2, 1)], true), events: GOODS },
        World { created: created(&[("a", 2, 1), ("b", 2, 1)], true), events: LINES },
        World { created: created(&[("a", 1, 2)], false), events: MONEY },
        World { created: created(&[("a", 2, 1)], false), events: LIFE },
    ]
}

#[test]
fn every_history_of_a_small_order_keeps_every_invariant() {
    for world in worlds() {
        let found = search(&world.alphabet(), |_, verdict| verdict).unwrap_or_else(|error| panic!("{error}"));
        println!(
            "{} states, {} events, {} verdicts 'early' and {} verdicts 'never'",
            found.states, found.steps, found.early, found.never
        );
        assert!(found.states > 100 && found.early > 100 && found.never > 100, "{found:?}");
    }
}

#[test]
#[ignore = "takes a minute; scripts/exhaustive-orders.sh runs it"]
fn every_history_of_a_larger_order_keeps_every_invariant() {
    let both = format!("{GOODS}{LINES}");
    let money_and_goods = format!("{LIFE}{MONEY}");
    let lines = [("a", 2, 1), ("b", 2, 1)];
    for (lines, ship_unpaid, events) in [
        (&lines[..], true, both),
        (&lines[..1], false, money_and_goods),
        (&lines[..], false, format!("{LIFE}{LINES}")),
    ] {
        let world = World { created: created(lines, ship_unpaid), events: events.leak() };
        let found = search(&world.alphabet(), |_, verdict| verdict).unwrap_or_else(|error| panic!("{error}"));
        println!("{found:?}");
    }
}

/// Runs the search with the wrong verdicts that `mutate` returns. Returns the error that the search reports.
fn refuted(world: &World, mutate: impl Fn(Guard, Verdict) -> Verdict) -> String {
    let mutated = |guard: Option<Guard>, verdict| match guard {
        Some(guard) => mutate(guard, verdict),
        None => verdict,
    };
    search(&world.alphabet(), mutated).expect_err("the search finds the wrong verdict")
}

#[test]
fn the_search_finds_a_guard_that_is_wrong() {
    let never = |guard: Guard, verdict: Verdict, wrong: Guard| match verdict {
        Verdict::Early(refusal) if guard == wrong => Verdict::Never(refusal),
        verdict => verdict,
    };
    let early = |guard: Guard, verdict: Verdict, wrong: Guard| match verdict {
        Verdict::Never(refusal) if guard == wrong => Verdict::Early(refusal),
        verdict => verdict,
    };
    let [goods, lines, _, life] = <[World; 4]>::try_from(worlds()).ok().unwrap();
    for (world, guard) in [(&goods, Guard::NotHeld), (&life, Guard::Covered), (&lines, Guard::UnitsDelivered)]
    {
        let error = refuted(world, |failed, verdict| never(failed, verdict, guard));
        assert!(error.contains("was judged 'never', but is legal later"), "{error}");
    }
    for (world, guard) in [
        (&life, Guard::PaymentCapturable),
        (&life, Guard::UnitsLeft),
        (&goods, Guard::ReturnOpen),
        (&life, Guard::PaymentVoidable),
    ] {
        let error = refuted(world, |failed, verdict| early(failed, verdict, guard));
        assert!(error.contains("was judged 'early', but is never legal"), "{error}");
    }
    let error =
        refuted(&life, |failed, verdict| if failed == Guard::Refundable { Verdict::Legal } else { verdict });
    assert!(error.contains("was judged 'legal', but cannot be applied"), "{error}");
}

#[test]
fn the_search_finds_a_counter_that_is_wrong() {
    let paid = |order: Option<Order>, short: &str, data: Value| {
        Some(after(order, proposed(event_type(short), &data)).unwrap())
    };
    let order = paid(None, "created", created(&[("a", 2, 1)], true));
    let order = paid(paid(order, "paid", json!({"amount": 2})), "confirmed", json!({}));
    let order = paid(paid(order, "shipped", json!({})), "refunded", json!({"amount": 1})).unwrap();
    invariants::check(&order).unwrap();
    for (pointer, wrong) in [
        ("/items/0/shipped", json!(1)),
        ("/payments/0/refunded", json!(3)),
        ("/payments/0/captured", json!(0)),
        ("/total", json!(3)),
        ("/status", json!("paid")),
    ] {
        let mut json = json!(order);
        *json.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = wrong;
        let wrong: Order = serde_json::from_value(json).unwrap();
        invariants::check(&wrong).expect_err(pointer);
    }
}
