//! Upcasts events in schema version 1 to the current version. `envelope` calls it, also for those messages in version 0 that are
//! written as in version 1.
//!
//! Version 1 had nine kinds of event and one status instead of counters. A payment made the order paid and a refund made it
//! refunded, whatever the amount, so these events become events that settle. A total was stated, and could differ from the
//! lines; the difference becomes an adjustment.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::adjustments::{Adjustment, AdjustmentKind, Adjustments};
use crate::decode::{DecodeError, typed};
use crate::event::{Amended, Created, Delivered, Empty, Paid, Refunded};
use crate::event_kinds::{Event, EventType};
use crate::ids::CustomerId;
use crate::lines::LineItems;
use crate::metadata::Metadata;
use crate::money::{Amount, Currency, SignedAmount};
use crate::value::Text;

/// The id of the adjustment that stands for the difference between a stated total and the lines.
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

/// The adjustment that makes the lines add up to the total.
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

/// Upcasts the event of this type and data.
pub(crate) fn upcast_v1(event_type: &str, data: &RawValue) -> Result<Event, DecodeError> {
    let Some(kind) = EventType::from_name(event_type).filter(|kind| is_of_version_1(*kind)) else {
        return Err(DecodeError::UnknownType(event_type.to_owned()));
    };
    Ok(match kind {
        EventType::Created => Event::Created(typed::<CreatedV1>(data)?.into()),
        EventType::Amended => Event::Amended(amended(data)?),
        EventType::Paid => Event::Paid(Paid { settles: true, ..typed(data)? }),
        EventType::Refunded => Event::Refunded(Refunded { settles: true, ..typed(data)? }),
        EventType::Confirmed => typed::<Empty>(data).map(Event::Confirmed)?,
        EventType::Delivered => typed::<Empty>(data).map(|_| Event::Delivered(Delivered::default()))?,
        _ => Event::decode(event_type, data)?,
    })
}

/// The lines are required, and replace a stated total.
fn amended(data: &RawValue) -> Result<Amended, DecodeError> {
    let amended: Amended = typed(data)?;
    if amended.items.is_none() {
        return Err(DecodeError::invalid("data", "`items` is required"));
    }
    Ok(Amended { items: amended.items, adjustments: Some(Adjustments::default()), ..Amended::default() })
}

/// Whether version 1 had this kind of event.
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
