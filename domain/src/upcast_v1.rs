//! Upcasts events of schema version 1 to the current version. `envelope` calls this module, also for messages of
//! version 0 that have the format of version 1.
//!
//! Version 1 had nine kinds of event, and each order had one status but no counters. A payment made the order paid,
//! and a refund made it refunded, whatever the amount. So payments and refunds of version 1 become events that
//! settle. The total in an event could differ from the sum of the lines. This difference becomes an adjustment.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::adjustments::{Adjustment, AdjustmentKind, Adjustments};
use crate::decode::{DecodeError, typed};
use crate::event::{
    Amended, Cancelled, Created, Delivered, Empty, Paid, Refunded, Returned, Shipped, priced,
};
use crate::event_kinds::{Event, EventType};
use crate::ids::CustomerId;
use crate::lines::LineItems;
use crate::metadata::Metadata;
use crate::money::{Amount, Currency, SignedAmount};
use crate::value::Text;

/// The id of the adjustment that makes up the difference between a stated total and the sum of the lines.
const STATED_TOTAL: &str = "stated_total";

/// Data of `order_created` in version 1.
#[derive(Deserialize)]
pub(crate) struct CreatedV1 {
    pub(crate) customer_id: CustomerId,
    pub(crate) currency: Currency,
    pub(crate) items: LineItems,
    pub(crate) total: Amount,
    #[serde(default)]
    pub(crate) metadata: Metadata,
}

impl From<CreatedV1> for Created {
    fn from(data: CreatedV1) -> Self {
        let CreatedV1 { customer_id, currency, items, total, metadata } = data;
        let adjustments = stated_total(&items, total);
        let (reference, contact, notes, expires_at, ship_unpaid) = (None, None, None, None, false);
        Self {
            customer_id,
            currency,
            items,
            total,
            metadata,
            adjustments,
            reference,
            contact,
            notes,
            expires_at,
            ship_unpaid,
        }
    }
}

/// The adjustment that makes up the difference between the stated total and the sum of the lines. Empty if they are equal.
fn stated_total(items: &LineItems, total: Amount) -> Adjustments {
    let difference = total.minor() - items.total().minor();
    if difference == 0 {
        return Adjustments::default();
    }
    let adjustment = Adjustment {
        adjustment_id: Text::parse(STATED_TOTAL).expect("the id is a valid text"),
        kind: AdjustmentKind::Other,
        label: None,
        amount: SignedAmount::parse(difference).expect("the difference of two amounts is in range"),
        line_id: None,
    };
    Adjustments::parse(vec![adjustment]).expect("one adjustment is valid")
}

/// Data of `order_amended` in version 1.
#[derive(Deserialize)]
struct AmendedV1 {
    #[serde(deserialize_with = "priced")]
    items: LineItems,
}

/// Data of `order_paid` in version 1.
#[derive(Deserialize)]
struct PaidV1 {
    payment_id: Option<Text<128>>,
    amount: Option<Amount>,
}

/// Data of `order_shipped` in version 1.
#[derive(Deserialize)]
struct ShippedV1 {
    carrier: Option<Text<128>>,
    tracking_number: Option<Text<128>>,
}

/// Data of `order_cancelled` and `order_returned` in version 1.
#[derive(Deserialize)]
struct ReasonV1 {
    reason: Option<Text<500>>,
}

/// Data of `order_refunded` in version 1.
#[derive(Deserialize)]
struct RefundedV1 {
    refund_id: Option<Text<128>>,
    amount: Option<Amount>,
}

/// Upcasts an event of schema version 1. Members that version 1 did not define are ignored, as programs of
/// version 1 ignored them.
pub(crate) fn upcast_v1(event_type: &str, data: &RawValue) -> Result<Event, DecodeError> {
    let Some(kind) = EventType::from_name(event_type).filter(|kind| is_of_version_1(*kind)) else {
        return Err(DecodeError::UnknownType(event_type.to_owned()));
    };
    Ok(match kind {
        EventType::Created => Event::Created(typed::<CreatedV1>(data)?.into()),
        // In version 1, an amendment replaced the stated total too. So the adjustment that made up the difference is
        // removed.
        EventType::Amended => typed(data).map(|AmendedV1 { items }| {
            let adjustments = Some(Adjustments::default());
            Event::Amended(Amended { items: Some(items), adjustments, ..Amended::default() })
        })?,
        EventType::Paid => typed(data).map(|PaidV1 { payment_id, amount }| {
            Event::Paid(Paid { payment_id, amount, method: None, settles: true })
        })?,
        EventType::Shipped => typed(data).map(|ShippedV1 { carrier, tracking_number }| {
            Event::Shipped(Shipped { carrier, tracking_number, ..Shipped::default() })
        })?,
        EventType::Delivered => typed::<Empty>(data).map(|_| Event::Delivered(Delivered::default()))?,
        EventType::Cancelled => {
            typed(data).map(|ReasonV1 { reason }| Event::Cancelled(Cancelled { reason, items: None }))?
        }
        EventType::Returned => typed(data)
            .map(|ReasonV1 { reason }| Event::Returned(Returned { reason, ..Returned::default() }))?,
        EventType::Refunded => typed(data).map(|RefundedV1 { refund_id, amount }| {
            Event::Refunded(Refunded { refund_id, amount, settles: true, ..Refunded::default() })
        })?,
        _ => typed::<Empty>(data).map(Event::Confirmed)?,
    })
}

pub(crate) fn is_of_version_1(kind: EventType) -> bool {
    use EventType as E;
    match kind {
        E::Created | E::Amended | E::Confirmed | E::Paid | E::Shipped | E::Delivered => true,
        E::Cancelled | E::Returned | E::Refunded => true,
        E::Annotated
        | E::Held
        | E::Released
        | E::PaymentAuthorized
        | E::PaymentVoided
        | E::ReturnRequested => false,
    }
}
