//! Guards about money: totals, payments and refunds.

use super::{Check, Guard, GuardFailure};
use crate::event::{Paid, Refunded};
use crate::event_kinds::Event;
use crate::fold_money::{captured_amount, known_payment, refundable as refundable_amount};
use crate::money::Amount;
use crate::order::{Money, Order};
use crate::payments::Payment;

pub(super) fn amounts_fit(order: &Order, event: &Event) -> Check {
    let (sum, is_early) = match event {
        Event::Amended(amended) => {
            let mut after = order.clone();
            after.amend(amended);
            (after.derived_total(), amended.items.is_none() || amended.adjustments.is_none())
        }
        Event::PaymentAuthorized(payment) => {
            let sum = i128::from(order.money().authorized) + i128::from(payment.amount.minor());
            (sum, order.payments.iter().any(is_voidable))
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

pub(super) fn payment_new(order: &Order, event: &Event) -> Check {
    let Event::PaymentAuthorized(payment) = event else { return Ok(()) };
    match known_payment(order, Some(&payment.payment_id)) {
        Some(_) => {
            let detail = format!("the order has the payment {:?} already", payment.payment_id.as_str());
            Err(GuardFailure::never(Guard::PaymentNew, detail))
        }
        None => Ok(()),
    }
}

/// Whether the payment is authorized, and nothing of it is captured.
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
        Some(payment) if payment.voided => fail(format!("the payment {id:?} is voided already"), false),
        Some(payment) if payment.authorized.is_none() => {
            fail(format!("the payment {id:?} was captured without an authorization"), false)
        }
        Some(payment) => {
            let captured = payment.captured.minor();
            let failure = format!("{captured} of the payment {id:?} are captured");
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

/// A capture of a payment that is known: within its authorization.
fn capture_again(payment: &Payment, paid: &Paid) -> Check {
    let id = payment.payment_id.as_ref().map_or("", |id| id.as_str());
    let never = |detail: String| GuardFailure::never(Guard::PaymentCapturable, detail);
    let Some(authorized) = payment.authorized else {
        return Err(never(format!("the payment {id:?} is captured already")));
    };
    if payment.voided {
        return Err(never(format!("the payment {id:?} is voided")));
    }
    let left = payment.capturable();
    let asked = paid.amount.map_or(left.max(1), Amount::minor);
    if asked <= left {
        return Ok(());
    }
    let (authorized, captured) = (authorized.minor(), payment.captured.minor());
    let failure = never(format!(
        "payment {id:?}: {authorized} authorized, {captured} captured; {asked} asked, {left} left"
    ));
    let numbers = [("authorized", authorized), ("captured", captured), ("asked", asked), ("left", left)];
    Err(failure.with_numbers(&numbers))
}

/// A capture without an authorization. A payment is a fact, so it is refused only if its amount cannot be known, or if a
/// producer of schema version 0 or 1 reports that the order is paid when it is paid.
fn capture_new(order: &Order, paid: &Paid) -> Check {
    if paid.settles {
        return match order.settled_by_payment {
            true => Err(GuardFailure::never(Guard::PaymentCapturable, "the order is paid already")),
            false => Ok(()),
        };
    }
    if paid.amount.is_some() || order.money().balance > 0 {
        return Ok(());
    }
    let can_become_due = order.units().left() > 0 || order.total > Amount::ZERO;
    let failure = GuardFailure::new(Guard::PaymentCapturable, "nothing is due", can_become_due);
    Err(failure.with_numbers(&[("balance", order.money().balance)]))
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
    let Money { captured, .. } = order.money();
    if refunded.settles && !order.settled_by_refund && (captured > 0 || order.settled_by_payment) {
        return Ok(());
    }
    let left = refundable_amount(order, refunded);
    let asked = refunded.amount.map_or(left.max(1), Amount::minor);
    if asked <= left {
        return Ok(());
    }
    let payment = known_payment(order, refunded.payment_id.as_ref());
    let is_early = match payment {
        Some(payment) => payment.capturable() + left >= asked,
        None => true,
    };
    let of_all = order.money();
    let (captured, done) =
        payment.map_or((of_all.captured, of_all.refunded), |it| (it.captured.minor(), it.refunded.minor()));
    let detail = match (&refunded.payment_id, payment) {
        (Some(id), None) => format!("the order has no payment {:?}", id.as_str()),
        _ => format!("{captured} captured, {done} refunded; {asked} asked, {left} left"),
    };
    let failure = GuardFailure::new(Guard::Refundable, detail, is_early);
    let numbers = [("captured", captured), ("refunded", done), ("asked", asked), ("left", left)];
    Err(failure.with_numbers(&numbers))
}

pub(super) fn refund_new(order: &Order, event: &Event) -> Check {
    let Event::Refunded(Refunded { refund_id: Some(id), .. }) = event else { return Ok(()) };
    match order.refunds.iter().any(|refund| refund.refund_id.as_ref() == Some(id)) {
        true => {
            let detail = format!("the order has the refund {:?} already", id.as_str());
            Err(GuardFailure::never(Guard::RefundNew, detail))
        }
        false => Ok(()),
    }
}
