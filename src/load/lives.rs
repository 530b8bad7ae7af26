//! The lives of orders. The life of an order is the sequence of steps that this run takes the order through. The number
//! of the write that creates the order determines the life. [`super::known_orders`] plans events by these lives, and
//! [`super::requests`] writes creations by these lives.

use clap::ValueEnum;
use serde::Serialize;

use super::steps::LifeStep::{self, *};

/// The lines of an order.
#[derive(Debug)]
pub(super) struct Basket {
    /// As JSON.
    pub(super) items: &'static str,
    /// The sum of the prices of all lines.
    pub(super) total: u64,
    /// The quantity and the unit price of the first line.
    first: (u64, u64),
}

/// Every basket except the last contains several units, so that an order can be shipped or cancelled in parts.
const BASKETS: [Basket; 4] = [
    Basket {
        items: r#"[{"sku":"TEA-ASSAM-250G","quantity":2,"unit_price":450},{"sku":"CUP-BLUE","quantity":1,"unit_price":900}]"#,
        total: 1800,
        first: (2, 450),
    },
    Basket { items: r#"[{"sku":"MUG-BLUE","quantity":2,"unit_price":1250}]"#, total: 2500, first: (2, 1250) },
    Basket {
        items: r#"[{"sku":"POT-IRON","quantity":1,"unit_price":6900},{"sku":"TEA-SENCHA-100G","quantity":3,"unit_price":780},{"sku":"FILTER","quantity":1,"unit_price":250}]"#,
        total: 9490,
        first: (1, 6900),
    },
    Basket {
        items: r#"[{"sku":"GIFT-CARD","quantity":1,"unit_price":5000}]"#,
        total: 5000,
        first: (1, 5000),
    },
];

/// The lines of an amended order.
pub(super) const AMENDED: Basket = Basket {
    items: r#"[{"sku":"TEA-ASSAM-250G","quantity":4,"unit_price":450},{"sku":"CUP-BLUE","quantity":2,"unit_price":900}]"#,
    total: 3600,
    first: (4, 450),
};

/// The price of shipping, and the discount on the first line.
const SHIPPING: u64 = 490;
const DISCOUNT: u64 = 100;
/// The adjustments of an order as JSON, and the sum of their amounts.
pub(super) const ADJUSTMENTS: (&str, u64) = (
    r#"[{"adjustment_id":"shipping","kind":"shipping","label":"Standard shipping","amount":490},{"adjustment_id":"welcome","kind":"discount","amount":-100,"line_id":"1"}]"#,
    SHIPPING - DISCOUNT,
);

/// The kinds of lives that the orders of a run can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Lives {
    /// Everything that an order can go through: authorized and split payments, several parcels, partial cancellations,
    /// returns and refunds, holds, amendments and deadlines.
    #[default]
    Varied,
    /// Orders are confirmed, paid, shipped and delivered, each as a whole. Every tenth is amended first, and every twentieth is
    /// returned and refunded.
    Simple,
    /// Like `varied`, but two of 25 orders have a deadline within seconds. One of them stays unpaid, so the service
    /// must cancel it. The other one is paid, before or after the service cancels it.
    Expiring,
}

/// When the service cancels the order if it is not paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    /// The order has no deadline.
    None,
    /// The deadline is long after the run.
    Later,
    /// The deadline is during the run.
    Soon,
}

/// The life of one order.
#[derive(Debug, Clone, Copy)]
pub(super) struct OrderLife {
    pub(super) basket: &'static Basket,
    /// The total of the order at the time of its payment.
    pub(super) total: u64,
    /// The steps that follow the creation.
    pub(super) steps: &'static [LifeStep],
    pub(super) expiry: Expiry,
    /// Whether the creation has adjustments, a reference, a contact and notes.
    pub(super) is_detailed: bool,
    /// Whether the order may be shipped before it is paid.
    pub(super) ship_unpaid: bool,
}

const USUAL: &[LifeStep] = &[Confirm, PayTotal, ShipRest, DeliverRest];
const AMENDED_FIRST: &[LifeStep] = &[AmendItems, Confirm, PayTotal, ShipRest, DeliverRest];
const RETURNED: &[LifeStep] = &[Confirm, PayTotal, ShipRest, DeliverRest, ReturnRest, RefundTotal];
const AUTHORIZED: &[LifeStep] =
    &[Authorize, Confirm, ShipOne, CapturePart, ShipRest, CaptureRest, DeliverOne, DeliverRest];
const PAID_FIRST: &[LifeStep] = &[PayTotal, Confirm, Hold, Release, ShipRest, DeliverRest];
const SPLIT: &[LifeStep] = &[
    Confirm,
    PayGiftCard,
    PayRest,
    ShipOne,
    ShipRest,
    DeliverRest,
    RequestReturn,
    ReceiveReturn,
    RefundPart,
    RefundGoodwill,
];
const LINE_CANCELLED: &[LifeStep] =
    &[Annotate, AmendContact, Confirm, CancelOne, PayTotal, ShipRest, DeliverRest];
const PAID_AND_CANCELLED: &[LifeStep] = &[PayTotal, Confirm, CancelOne, RefundPart, ShipRest, DeliverRest];
const VOIDED: &[LifeStep] = &[Authorize, Void, CancelRest];
const OVERPAID: &[LifeStep] = &[PayTooMuch, Confirm, RefundPart, ShipRest, DeliverRest];
const INVOICED: &[LifeStep] = &[Confirm, ShipRest, DeliverRest, PayTotal];
const PAID_LATE: &[LifeStep] = &[Confirm, CancelRest, PayTotal, RefundTotal];
const REPRICED: &[LifeStep] = &[AmendAdjustments, AmendReference, Confirm, PayTotal, ShipRest, DeliverRest];
const EXPIRED: &[LifeStep] = &[];
/// The life of an order that is paid, and whose deadline is during the run. The service may cancel the order before or
/// after this payment.
const PAID_IN_TIME: &[LifeStep] = &[PayTotal];

/// The lives of 25 successive orders.
const VARIED: [&[LifeStep]; 25] = [
    USUAL,
    AUTHORIZED,
    USUAL,
    SPLIT,
    LINE_CANCELLED,
    USUAL,
    PAID_FIRST,
    AMENDED_FIRST,
    EXPIRED,
    USUAL,
    PAID_AND_CANCELLED,
    INVOICED,
    SPLIT,
    RETURNED,
    VOIDED,
    USUAL,
    AUTHORIZED,
    OVERPAID,
    LINE_CANCELLED,
    PAID_IN_TIME,
    USUAL,
    SPLIT,
    REPRICED,
    PAID_LATE,
    PAID_FIRST,
];

impl Lives {
    /// The life of the order that the write with this number creates.
    pub(super) fn life(self, creation: u32) -> OrderLife {
        match self {
            Self::Simple => simple(creation),
            Self::Varied => varied(creation, false),
            Self::Expiring => varied(creation, true),
        }
    }
}

fn simple(creation: u32) -> OrderLife {
    let basket = &BASKETS[creation as usize % BASKETS.len()];
    let (steps, total) = match (creation % 10, creation % 20) {
        (3, _) => (AMENDED_FIRST, AMENDED.total),
        (_, 7) => (RETURNED, basket.total),
        _ => (USUAL, basket.total),
    };
    OrderLife { basket, total, steps, expiry: Expiry::None, is_detailed: false, ship_unpaid: false }
}

fn varied(creation: u32, expires: bool) -> OrderLife {
    let round = creation as usize / VARIED.len();
    let steps = match VARIED[creation as usize % VARIED.len()] {
        EXPIRED | PAID_IN_TIME if !expires => USUAL,
        steps => steps,
    };
    let is_whole = !steps.iter().any(|step| matches!(step, CancelOne | ShipOne));
    // An order that is shipped or cancelled in parts needs several units, which the last basket does not have.
    let basket = &BASKETS[round % if is_whole { BASKETS.len() } else { BASKETS.len() - 1 }];
    let is_detailed = !matches!(creation % 3, 0) || steps == REPRICED;
    let expiry = match steps {
        EXPIRED | PAID_IN_TIME => Expiry::Soon,
        _ if is_detailed => Expiry::Later,
        _ => Expiry::None,
    };
    let total = total(steps, basket, is_detailed);
    OrderLife { basket, total, steps, expiry, is_detailed, ship_unpaid: steps == INVOICED }
}

/// The total of a varied order at the time of its payment.
fn total(steps: &[LifeStep], basket: &Basket, is_detailed: bool) -> u64 {
    let (shipping, discount) = if is_detailed { (SHIPPING, DISCOUNT) } else { (0, 0) };
    if steps == AMENDED_FIRST {
        AMENDED.total + shipping - discount
    } else if steps == REPRICED {
        basket.total - discount
    } else if steps == LINE_CANCELLED {
        // The discount on the first line is reduced by the share of the cancelled unit.
        let (quantity, unit_price) = basket.first;
        basket.total - unit_price + shipping - discount * (quantity - 1) / quantity
    } else {
        basket.total + shipping - discount
    }
}

/// The remaining steps of an order after the cancellation of everything that is left to ship. `refund` is the step that
/// refunds the order's payments, if there is such a step.
pub(super) fn after_cancellation(has_parcels: bool, refund: Option<LifeStep>) -> &'static [LifeStep] {
    match (has_parcels, refund) {
        (false, Some(RefundTotal)) => &[RefundTotal],
        (true, Some(RefundTotal)) => &[DeliverRest, RefundTotal],
        (false, Some(RefundPart)) => &[RefundPart],
        (true, Some(RefundPart)) => &[DeliverRest, RefundPart],
        (true, _) => &[DeliverRest],
        (false, _) => &[],
    }
}
