//! Guards about money: totals, payments and refunds. The parent module calls these functions.

use super::{Check, Guard, GuardFailure};
use crate::event::{Amended, Paid, Refunded};
use crate::event_kinds::Event;
use crate::fold_money::{captured_amount, known_payment, refundable as refundable_amount};
use crate::lines::LineId;
use crate::money::Amount;
use crate::order::{Money, Order};
use crate::order_line::{LineFinder, OrderLine};
use crate::payments::Payment;

pub(super) fn amounts_fit(order: &Order, event: &Event) -> Check {
    let (sum, is_early) = match event {
        Event::Amended(amended) => (gross_after(order, amended), is_partial(amended)),
        Event::PaymentAuthorized(payment) => {
            let sum = i128::from(order.money().authorized) + i128::from(payment.amount.minor());
            let voidable = order.payments.iter().filter(|it| is_voidable(it)).map(Payment::capturable);
            (sum, sum - voidable.map(i128::from).sum::<i128>() <= i128::from(Amount::MAX))
        }
        Event::Paid(paid) => {
            (i128::from(order.money().captured) + i128::from(captured_amount(order, paid)), false)
        }
        _ => return Ok(()),
    };
    if sum <= i128::from(Amount::MAX) {
        return Ok(());
    }
    let failure = GuardFailure::new(Guard::AmountsFit, format!("the sum would be {sum}"), is_early);
    Err(failure.with_numbers(&[("limit", Amount::MAX)]))
}

/// The total of all units and adjustments after the amendment, without the discounts. This sum limits every later
/// total, because cancellations and returns can end discounts.
fn gross_after(order: &Order, amended: &Amended) -> i128 {
    let lines = match &amended.items {
        Some(items) => i128::from(items.total().minor()),
        None => order.items.iter().map(OrderLine::ordered_price).sum(),
    };
    lines + amended.adjustments.as_ref().unwrap_or(&order.adjustments).raise()
}

fn is_partial(amended: &Amended) -> bool {
    amended.items.is_none() || amended.adjustments.is_none()
}

pub(super) fn payment_new(order: &Order, event: &Event) -> Check {
    let Event::PaymentAuthorized(payment) = event else { return Ok(()) };
    match known_payment(order, Some(&payment.payment_id)) {
        Some(_) => {
            let detail = format!("the order already has the payment {:?}", payment.payment_id.as_str());
            Err(GuardFailure::never(Guard::PaymentNew, detail))
        }
        None => Ok(()),
    }
}

/// Whether the payment is authorized, and no part of it is captured.
pub(super) fn is_voidable(payment: &Payment) -> bool {
    payment.authorized.is_some() && !payment.voided && payment.captured == Amount::ZERO
}

pub(super) fn payment_voidable(order: &Order, event: &Event) -> Check {
    let Event::PaymentVoided(voided) = event else { return Ok(()) };
    let id = voided.payment_id.as_str();
    let fail = |detail: String, is_early| Err(GuardFailure::new(Guard::PaymentVoidable, detail, is_early));
    match known_payment(order, Some(&voided.payment_id)) {
        None => fail(format!("the order has no payment {id:?}"), order.units().active() > 0),
        Some(payment) if is_voidable(payment) => Ok(()),
        Some(payment) if payment.voided => fail(format!("the payment {id:?} is already voided"), false),
        Some(payment) if payment.authorized.is_none() => {
            fail(format!("the payment {id:?} was captured without an authorization"), false)
        }
        Some(payment) => {
            let captured = payment.captured.minor();
            let failure = format!("{captured} of the payment {id:?} is already captured");
            let failure = GuardFailure::never(Guard::PaymentVoidable, failure);
            Err(failure.with_numbers(&[("captured", captured)]))
        }
    }
}

pub(super) fn payment_capturable(order: &Order, event: &Event) -> Check {
    let Event::Paid(paid) = event else { return Ok(()) };
    match known_payment(order, paid.payment_id.as_ref()) {
        Some(payment) => capture_again(payment, paid),
        None => capture_new(order, paid),
    }
}

/// Checks a capture of a known payment, which must stay within the payment's authorization.
fn capture_again(payment: &Payment, paid: &Paid) -> Check {
    let id = payment.payment_id.as_ref().map_or("", |id| id.as_str());
    let never = |detail: String| GuardFailure::never(Guard::PaymentCapturable, detail);
    let Some(authorized) = payment.authorized else {
        return Err(never(format!("the payment {id:?} is already captured")));
    };
    if payment.voided {
        return Err(never(format!("the payment {id:?} is voided")));
    }
    let left = payment.capturable();
    let asked = paid.amount.map_or(left, Amount::minor);
    if 0 < left && asked <= left {
        return Ok(());
    }
    let (authorized, captured) = (authorized.minor(), payment.captured.minor());
    let failure = never(format!(
        "payment {id:?}: {authorized} authorized, {captured} captured; {asked} requested, {left} left"
    ));
    let numbers = [("authorized", authorized), ("captured", captured), ("asked", asked), ("left", left)];
    Err(failure.with_numbers(&numbers))
}

/// Checks a capture without an authorization. The payment has already happened, so the event is refused in only two cases: it
/// states no amount and nothing is due, or a producer of schema version 0 or 1 reports a second time that the order is paid.
fn capture_new(order: &Order, paid: &Paid) -> Check {
    if paid.settles {
        return match order.settled_by_payment {
            true => Err(GuardFailure::never(Guard::PaymentCapturable, "the order is already paid")),
            false => Ok(()),
        };
    }
    let balance = order.money().balance;
    if paid.amount.is_some() || balance > 0 {
        return Ok(());
    }
    let can_be_authorized = paid.payment_id.is_some() && order.units().active() > 0;
    let is_early = can_be_authorized || can_become_due(order);
    let failure = GuardFailure::new(Guard::PaymentCapturable, "nothing is due", is_early);
    Err(failure.with_numbers(&[("balance", balance)]))
}

/// Whether an amount can become due later: after a refund, after an amendment, or when a line with a discount is
/// cancelled or returned.
fn can_become_due(order: &Order) -> bool {
    let is_discounted = |line: &LineId| {
        let found = LineFinder::new(&order.items).find(line.as_str()).map(|index| &order.items[index]);
        found.is_some_and(|line| line.shipped > line.returned)
    };
    let discounts = order.adjustments.list().iter().filter(|adjustment| adjustment.amount.minor() < 0);
    order.units().left() > 0
        || order.total > Amount::ZERO
        || discounts.filter_map(|discount| discount.line_id.as_ref()).any(is_discounted)
}

pub(super) fn covered(order: &Order) -> Check {
    if order.ship_unpaid || order.is_covered() {
        return Ok(());
    }
    let Money { captured, refunded, .. } = order.money();
    let (total, capturable) = (order.total.minor(), order.capturable());
    let detail = format!(
        "the total is {total}; {captured} captured, {refunded} refunded, {capturable} authorized and not captured"
    );
    let failure = GuardFailure::early(Guard::Covered, detail);
    Err(failure.with_numbers(&[
        ("total", total),
        ("captured", captured),
        ("refunded", refunded),
        ("authorized", capturable),
    ]))
}

pub(super) fn refundable(order: &Order, event: &Event) -> Check {
    let Event::Refunded(refunded) = event else { return Ok(()) };
    let Money { captured, refunded: done, .. } = order.money();
    if refunded.settles && !order.settled_by_refund && (captured > 0 || order.settled_by_payment) {
        return Ok(());
    }
    let left = refundable_amount(order, refunded);
    let asked = refunded.amount.map_or(left, Amount::minor);
    if 0 < left && asked <= left {
        return Ok(());
    }
    let payment = known_payment(order, refunded.payment_id.as_ref());
    // A further capture can make the refund possible, as long as the sum of all captures stays in range.
    let fits = i128::from(done) + i128::from(asked) <= i128::from(Amount::MAX);
    let is_early = match payment {
        Some(payment) => payment.capturable() > 0 && payment.capturable() + left >= asked,
        None => fits,
    };
    let (captured, done) = payment.map_or((captured, done), |it| (it.captured.minor(), it.refunded.minor()));
    let detail = match (&refunded.payment_id, payment) {
        (Some(id), None) => format!("the order has no payment {:?}", id.as_str()),
        _ => format!("{captured} captured, {done} refunded; {asked} requested, {left} left"),
    };
    let failure = GuardFailure::new(Guard::Refundable, detail, is_early);
    let numbers = [("captured", captured), ("refunded", done), ("asked", asked), ("left", left)];
    Err(failure.with_numbers(&numbers))
}

pub(super) fn refund_new(order: &Order, event: &Event) -> Check {
    let Event::Refunded(Refunded { refund_id: Some(id), .. }) = event else { return Ok(()) };
    match order.refunds.iter().any(|refund| refund.refund_id.as_ref() == Some(id)) {
        true => {
            let detail = format!("the order already has the refund {:?}", id.as_str());
            Err(GuardFailure::never(Guard::RefundNew, detail))
        }
        false => Ok(()),
    }
}
