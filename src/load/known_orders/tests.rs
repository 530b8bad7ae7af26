use domain::{OrderStatus, Timestamp};
use uuid::Uuid;

use super::*;
use crate::load::lives::{Expiry, Lives};

fn requests(lives: Lives) -> RequestBodies {
    RequestBodies::new(Uuid::nil(), 10, lives, Timestamp::parse("2026-11-29T10:00:00Z").unwrap())
}

fn accepted(number: u32, step: LifeStep, expected: ExpectedOutcome) -> AcceptedEvent {
    let event_id = Uuid::from_u128(number.into()).into();
    AcceptedEvent { event_id, number, step, expected, receipt: ReceiptLocation::Plain }
}

fn one_order(requests: &RequestBodies, number: u32) -> KnownOrders {
    let mut orders = KnownOrders::default();
    let (id, creation) = (OrderId::parse("o-1").unwrap(), Creation { number, second: 0 });
    let created = accepted(number, LifeStep::Create, ExpectedOutcome::Recorded);
    orders.add_order(id, creation, requests.life(creation).steps, created);
    orders
}

/// The order after all events that the service must record.
fn folded(requests: &RequestBodies, orders: &mut KnownOrders) -> Order {
    let known = &orders.orders[0];
    let recorded = known.events.iter().filter(|event| event.expected == ExpectedOutcome::Recorded);
    known.sent(requests).fold(recorded.map(AcceptedEvent::sent)).unwrap().unwrap()
}

/// Adds the planned event to the order as an accepted event, with a number that no other event of the order has.
fn accept(orders: &mut KnownOrders, planned: &PlannedEvent) {
    let number = 1_000_000 + orders.accepted_count() as u32;
    orders.add_event(planned.place, planned.rest, accepted(number, planned.step, planned.expected));
}

fn live(orders: &mut KnownOrders, rng: &mut Rng) {
    while let Some(planned) = orders.plan_step(rng) {
        assert!(orders.plan_step(rng).is_none(), "a write is in flight");
        accept(orders, &planned);
    }
}

/// The order at the end of its life. Fails if a step of its life is illegal.
fn end(lives: Lives, number: u32) -> Order {
    let (requests, mut rng) = (requests(lives), Rng::with_seed(1));
    let mut orders = one_order(&requests, number);
    live(&mut orders, &mut rng);
    folded(&requests, &mut orders)
}

/// The size matters, because a run may create millions of orders.
#[test]
fn an_order_of_five_events_takes_about_500_bytes() {
    // A `Vec` of five events has capacity for eight. The id takes 52 bytes: 36 characters and two reference counts.
    let bytes = size_of::<KnownOrder>() + 8 * size_of::<AcceptedEvent>() + 52;
    assert!(bytes <= 520, "{bytes}");
}

#[test]
fn every_simple_life_ends_with_a_settled_order() {
    for number in 0..40 {
        let order = end(Lives::Simple, number);
        let returned = number % 20 == 7;
        let status = if returned { OrderStatus::Refunded } else { OrderStatus::Delivered };
        assert_eq!((order.status, order.money().balance), (status, 0), "{number}: {order:?}");
    }
}

#[test]
fn every_step_of_every_varied_life_is_legal() {
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..300 {
        let order = end(Lives::Expiring, number);
        let life = Lives::Expiring.life(number);
        seen.insert((order.status.as_str(), order.payment_status().as_str()));
        if life.expiry == Expiry::Soon {
            assert_eq!(order.status, OrderStatus::Pending);
        } else if !life.steps.iter().any(|step| matches!(step, LifeStep::RefundPart | LifeStep::ReturnRest)) {
            assert_eq!(order.money().balance, 0, "{number}: {order:?}");
        }
    }
    assert!(seen.len() >= 6, "{seen:?}");
}

#[test]
fn a_cancelled_order_is_delivered_as_far_as_it_was_shipped_and_refunded() {
    let (requests, mut rng) = (requests(Lives::Expiring), Rng::with_seed(1));
    for number in (0..300).filter(|number| Lives::Expiring.life(*number).expiry != Expiry::Soon) {
        for steps in 0..Lives::Expiring.life(number).steps.len() {
            let mut orders = one_order(&requests, number);
            for _ in 0..steps {
                let planned = orders.plan_step(&mut rng).unwrap();
                accept(&mut orders, &planned);
            }
            let Some(idle) = orders.take_open(&mut rng) else { continue };
            match idle.plan_cancel(&requests) {
                Some(planned) => {
                    accept(&mut orders, &planned);
                    live(&mut orders, &mut rng);
                    let order = folded(&requests, &mut orders);
                    assert_eq!(order.units().left(), 0);
                    assert_eq!(order.units().shipped, order.units().delivered);
                    assert_eq!(order.money().captured > 0, order.money().refunded > 0);
                }
                None => assert_eq!(folded(&requests, &mut orders).units().left(), 0),
            }
        }
    }
}

#[test]
fn planned_illegal_events_are_illegal_and_leave_the_rest_of_the_life() {
    for (lives, unordered) in [(Lives::Simple, false), (Lives::Simple, true), (Lives::Expiring, false)] {
        let (requests, mut rng) = (requests(lives), Rng::with_seed(1));
        let mut orders = one_order(&requests, 3);
        for number in 0..200 {
            let idle = orders.take_idle(&mut rng).unwrap();
            match idle.plan_illegal(&requests, unordered, &mut rng) {
                Some(planned) => {
                    let order = folded(&requests, &mut orders);
                    let sent = SentEvent { step: planned.step, number };
                    let verdict = orders.orders[0].sent(&requests).judge(&order, sent).unwrap();
                    assert!(!matches!(verdict, Verdict::Legal), "{planned:?}");
                    assert!(!unordered || matches!(verdict, Verdict::Never(_)), "{planned:?}");
                    accept(&mut orders, &planned);
                }
                None => orders.release(idle.place()),
            }
            if number % 20 == 0
                && let Some(step) = orders.plan_step(&mut rng)
            {
                accept(&mut orders, &step);
            }
        }
        let events = &orders.orders[0].events;
        assert!(events.iter().filter(|event| event.expected == ExpectedOutcome::Rejected).count() > 50);
        let units = folded(&requests, &mut orders).units();
        assert_eq!((units.left(), units.delivered), (0, units.active()));
    }
}

#[test]
fn the_outcomes_of_an_order_that_may_expire_are_not_predicted() {
    let (requests, mut rng) = (requests(Lives::Expiring), Rng::with_seed(1));
    let number = (0..).find(|number| Lives::Expiring.life(*number).expiry == Expiry::Soon).unwrap();
    let mut orders = one_order(&requests, number);
    let idle = orders.take_idle(&mut rng).unwrap();
    assert!(idle.plan_cancel(&requests).is_none());
    assert!(idle.plan_illegal(&requests, false, &mut rng).is_none());
}
