//! The conditions that every order must meet. They are computed independently of the crate: counters, sums, total,
//! balance and statuses.

use std::collections::BTreeMap;

use domain::parcels::{ReturnState, ShipmentState};
use domain::{FulfilmentStatus as F, LineQuantity, Order, OrderStatus as S, PaymentStatus as P};

macro_rules! ensure {
    ($($condition:expr),+ $(,)?) => {
        $(if !$condition {
            return Err(stringify!($condition).to_owned());
        })+
    };
}

/// Checks the order. The error describes the first condition that does not hold.
pub(crate) fn check(order: &Order) -> Result<(), String> {
    units(order)?;
    money(order)?;
    words(order)?;
    ensure!(!order.lacks_counters());
    let read: Order = serde_json::from_slice(&order.encode()).map_err(|error| error.to_string())?;
    ensure!(read == *order);
    Ok(())
}

/// The number of units of each line, by line id, summed over `items`.
fn sum<'a>(items: impl Iterator<Item = &'a Vec<LineQuantity>>) -> BTreeMap<String, u32> {
    let mut sums = BTreeMap::new();
    for item in items.flatten() {
        *sums.entry(item.line_id.to_string()).or_default() += item.quantity.get();
    }
    sums
}

fn units(order: &Order) -> Result<(), String> {
    let shipped = sum(order.shipments.iter().map(|it| &it.items));
    let arrived = order.shipments.iter().filter(|it| it.state == ShipmentState::Delivered);
    let delivered = sum(arrived.map(|it| &it.items));
    let received = order.returns.iter().filter(|it| it.state == ReturnState::Received);
    let returned = sum(received.map(|it| &it.items));
    for (id, line) in domain::order_line::line_ids(&order.items).zip(&order.items) {
        let of = |sums: &BTreeMap<String, u32>| sums.get(id.as_ref()).copied().unwrap_or(0);
        ensure!(
            line.cancelled + line.shipped <= line.quantity.get(),
            line.returned <= line.delivered,
            line.delivered <= line.shipped,
            line.shipped == of(&shipped),
            line.delivered == of(&delivered),
            line.returned == of(&returned),
        );
    }
    let are_distinct = |mut ids: Vec<&str>| {
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        ids.len() == count
    };
    ensure!(
        are_distinct(order.shipments.iter().map(|it| it.shipment_id.as_str()).collect()),
        are_distinct(order.returns.iter().map(|it| it.return_id.as_str()).collect()),
        are_distinct(order.holds.iter().map(|it| it.hold.as_str()).collect()),
        are_distinct(order.payments.iter().filter_map(|it| Some(it.payment_id.as_ref()?.as_str())).collect()),
        are_distinct(order.refunds.iter().filter_map(|it| Some(it.refund_id.as_ref()?.as_str())).collect()),
    );
    Ok(())
}

/// Computes the total of the order a second time, in wide arithmetic and with fractions instead of rounded integers.
fn total(order: &Order) -> i128 {
    if order.items.iter().all(|line| line.cancelled == line.quantity.get()) {
        return 0;
    }
    let wide = |amount: i64| i128::from(amount);
    let remaining =
        |line: &domain::OrderLine| wide(i64::from(line.quantity.get() - line.cancelled - line.returned));
    let mut total: i128 = 0;
    for line in &order.items {
        total += wide(line.unit_price.map_or(0, |price| price.minor())) * remaining(line);
    }
    for adjustment in order.adjustments.list() {
        let amount = wide(adjustment.amount.minor());
        let Some(id) = &adjustment.line_id else {
            total += amount;
            continue;
        };
        let mut lines = domain::order_line::line_ids(&order.items).zip(&order.items);
        let Some((_, line)) = lines.find(|(line, _)| line == id.as_str()) else { continue };
        let (share, of) = (amount * remaining(line), wide(i64::from(line.quantity.get())));
        let (whole, rest) = (share / of, (share % of).abs());
        total += whole + if 2 * rest >= of { share.signum() } else { 0 };
    }
    let conceded = order.refunds.iter().filter(|it| it.goodwill).map(|it| wide(it.amount.minor()));
    (total - conceded.sum::<i128>()).max(0)
}

fn money(order: &Order) -> Result<(), String> {
    let wide = |amount: domain::Amount| i128::from(amount.minor());
    let (mut captured, mut refunded) = (0, 0);
    for payment in &order.payments {
        ensure!(
            payment.refunded <= payment.captured,
            payment.authorized.is_none_or(|authorized| payment.captured <= authorized),
            !payment.voided || (payment.captured.minor() == 0 && payment.authorized.is_some()),
        );
        captured += wide(payment.captured);
        refunded += wide(payment.refunded);
    }
    let listed: i128 = order.refunds.iter().map(|refund| wide(refund.amount)).sum();
    let money = order.money();
    ensure!(
        refunded <= captured,
        captured <= i128::from(domain::Amount::MAX),
        refunded == listed,
        i128::from(money.captured) == captured,
        i128::from(money.refunded) == refunded,
        wide(order.total) == total(order),
    );
    let balance = wide(order.total) - captured + refunded;
    let expected = match (order.settled_by_refund, order.settled_by_payment) {
        (true, _) => 0,
        (false, true) => balance.min(0),
        (false, false) => balance,
    };
    ensure!(i128::from(money.balance) == expected);
    Ok(())
}

/// Checks that each status follows from the counters, and that the statuses do not contradict each other.
fn words(order: &Order) -> Result<(), String> {
    let (units, money) = (order.units(), order.money());
    let (status, payment, fulfilment) = (order.status, order.payment_status(), order.fulfilment_status());
    let is_settled = order.settled_by_payment || order.settled_by_refund;
    let open = units.left() > 0;
    ensure!(
        (status == S::Refunded) == (!open && payment == P::Refunded),
        status != S::Cancelled || (units.active() == 0 && payment != P::Refunded),
        (status == S::Pending) == (open && !order.confirmed && units.shipped == 0),
        (status == S::PartiallyShipped) == (open && units.shipped > 0),
        status != S::Shipped
            || (!open && matches!(fulfilment, F::Shipped | F::PartiallyDelivered | F::PartiallyReturned)),
        status != S::Delivered || matches!(fulfilment, F::Delivered | F::PartiallyReturned),
        (status == S::Returned) == (fulfilment == F::Returned && payment != P::Refunded),
        !matches!(status, S::Confirmed | S::Paid)
            || (open && order.confirmed && fulfilment == F::Unfulfilled),
        status != S::Paid || matches!(payment, P::Paid | P::Overpaid | P::PartiallyRefunded),
    );
    let (authorized, captured, refunded) = (order.capturable(), money.captured, money.refunded);
    ensure!(
        is_settled || (payment == P::Refunded) == (refunded > 0 && refunded == captured),
        is_settled || (payment == P::PartiallyRefunded) == (0 < refunded && refunded < captured),
        is_settled || (payment == P::Overpaid) == (refunded == 0 && money.balance < 0),
        payment != P::PartiallyPaid || (captured > 0 && refunded == 0 && money.balance > 0),
        is_settled || payment != P::Paid || (refunded == 0 && money.balance == 0),
        payment != P::Authorized || (captured == 0 && authorized > 0),
        payment != P::Unpaid || (captured == 0 && authorized == 0),
    );
    ensure!(
        (fulfilment == F::Unfulfilled) == (units.shipped == 0),
        (fulfilment == F::Returned) == (units.returned > 0 && units.returned == units.active()),
        fulfilment != F::Delivered || (units.delivered == units.active() && units.returned == 0),
        fulfilment != F::PartiallyShipped || (open && units.delivered == 0),
        fulfilment != F::Shipped || (!open && units.delivered == 0),
    );
    Ok(())
}
