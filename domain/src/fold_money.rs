//! Applies authorizations, captures and refunds to the payments of an order. [`crate::fold`] calls this module.

use crate::event::{Paid, PaymentAuthorized, PaymentVoided, Refunded};
use crate::money::Amount;
use crate::order::Order;
use crate::payments::{Payment, Refund};
use crate::value::Text;

/// The amount of a capture, never negative. If the event states no amount, the result is the rest of the
/// payment's authorization, or the amount that is due if the payment has no authorization.
pub(crate) fn captured_amount(order: &Order, paid: &Paid) -> i64 {
    if let Some(amount) = paid.amount {
        return amount.minor();
    }
    match known_payment(order, paid.payment_id.as_ref()) {
        Some(payment) => payment.capturable(),
        None => order.money().balance.max(0),
    }
}

/// The payment with the id `payment_id`. `None` if no payment has the id, or if no id is given.
pub(crate) fn known_payment<'a>(order: &'a Order, payment_id: Option<&Text<128>>) -> Option<&'a Payment> {
    order.payments.get(payment_index(order, payment_id)?)
}

fn known_payment_mut<'a>(order: &'a mut Order, payment_id: Option<&Text<128>>) -> Option<&'a mut Payment> {
    let index = payment_index(order, payment_id)?;
    order.payments.get_mut(index)
}

fn payment_index(order: &Order, payment_id: Option<&Text<128>>) -> Option<usize> {
    let id = payment_id?;
    order.payments.iter().position(|payment| payment.payment_id.as_ref() == Some(id))
}

/// The amount that can still be refunded of the payment that the event names. If the event names no payment,
/// the amount that can still be refunded of all payments.
pub(crate) fn refundable(order: &Order, refunded: &Refunded) -> i64 {
    match &refunded.payment_id {
        Some(_) => known_payment(order, refunded.payment_id.as_ref()).map_or(0, Payment::refundable),
        None => order.money().captured - order.money().refunded,
    }
}

pub(crate) fn authorize(order: &mut Order, authorized: &PaymentAuthorized) {
    order.payments.push(Payment {
        payment_id: Some(authorized.payment_id.clone()),
        method: authorized.method.clone(),
        authorized: Some(authorized.amount),
        voided: false,
        captured: Amount::ZERO,
        refunded: Amount::ZERO,
    });
}

pub(crate) fn void(order: &mut Order, voided: &PaymentVoided) {
    if let Some(payment) = known_payment_mut(order, Some(&voided.payment_id)) {
        payment.voided = true;
    }
}

pub(crate) fn capture(order: &mut Order, paid: &Paid) {
    let amount = captured_amount(order, paid);
    let amount = Amount::parse(amount).unwrap_or(Amount::ZERO);
    match known_payment_mut(order, paid.payment_id.as_ref()) {
        Some(payment) => {
            payment.captured = payment.captured.plus(amount).unwrap_or(payment.captured);
            if payment.method.is_none() {
                payment.method.clone_from(&paid.method);
            }
        }
        None => order.payments.push(Payment {
            payment_id: paid.payment_id.clone(),
            method: paid.method.clone(),
            authorized: None,
            voided: false,
            captured: amount,
            refunded: Amount::ZERO,
        }),
    }
    order.settled_by_payment |= paid.settles;
    // An amount that is captured after the refund that settled the order is owed to the customer. So the
    // order no longer counts as refunded in full.
    order.settled_by_refund &= amount == Amount::ZERO;
}

pub(crate) fn refund(order: &mut Order, refunded: &Refunded) {
    let left = refundable(order, refunded);
    // A refund of schema version 0 or 1 may state more than was captured. The excess cannot have been refunded, so it
    // is not counted.
    let amount = refunded.amount.map_or(left, Amount::minor).min(left);
    let mut rest = amount;
    for payment in &mut order.payments {
        let is_meant = refunded.payment_id.is_none() || payment.payment_id == refunded.payment_id;
        if !is_meant {
            continue;
        }
        let share = payment.refundable().min(rest);
        let share_amount = Amount::parse(share).unwrap_or(Amount::ZERO);
        payment.refunded = payment.refunded.plus(share_amount).unwrap_or(payment.refunded);
        rest -= share;
    }
    order.refunds.push(Refund {
        refund_id: refunded.refund_id.clone(),
        amount: Amount::parse(amount).unwrap_or(Amount::ZERO),
        payment_id: refunded.payment_id.clone(),
        reason: refunded.reason.clone(),
        goodwill: refunded.goodwill,
    });
    order.settled_by_refund |= refunded.settles;
    // After a refund that is no concession, the customer has paid less than the total. So the order no longer
    // counts as paid in full.
    order.settled_by_payment &= refunded.goodwill || amount == 0;
}
