//! The body that creates an order: its members, its rules, and its conversion to the domain's values. `accept` and
//! `batch` read this body.

use domain::adjustments::Adjustments;
use domain::contact::Contact;
use domain::event::{Created, Notes};
use domain::{Amount, Currency, CustomerId, InvalidValue, LineItems, Metadata, Reference, Timestamp};
use utoipa::ToSchema;
use validator::Validate;

use super::{AdjustmentBody, ClientData, ContactBody, OrderLineBody, data};
use crate::input::{BodyField, ValidationCode, at_member, members};

/// An order to create.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = total_is_the_sum, skip_on_field_errors = false))]
pub(crate) struct CreateOrder {
    /// The customer who places the order.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$", example = "customer-7"
    )]
    customer_id: BodyField<CustomerId>,
    /// The ISO 4217 code of the currency of every amount.
    #[validate(required)]
    #[schema(value_type = String, pattern = "^[A-Z]{3}$", example = "EUR")]
    currency: BodyField<Currency>,
    /// The lines. Their sum must not exceed 9,007,199,254,740,991.
    #[validate(required)]
    #[schema(value_type = Vec<OrderLineBody>, min_items = 1, max_items = 1000)]
    items: BodyField<LineItems>,
    /// The expected total. If present, it must equal the sum of the lines (quantity × unit price) and adjustments.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    total: BodyField<Amount>,
    /// Your own key-value data: at most 20 entries.
    #[schema(schema_with = crate::describe::schemas::metadata, required = false)]
    metadata: BodyField<Metadata>,
    /// Discounts, shipping, taxes and fees, each with an id of its own. The total, which includes them, must not be
    /// negative.
    #[schema(value_type = Option<Vec<AdjustmentBody>>, max_items = 100)]
    adjustments: BodyField<Adjustments>,
    /// Your own number of the order. No other order of this service may have the same number.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 64,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    reference: BodyField<Reference>,
    /// Whom to contact about the order. The contact is personal data.
    #[schema(value_type = Option<ContactBody>)]
    contact: BodyField<Box<Contact>>,
    /// Notes for people.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 2000,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    notes: BodyField<Notes>,
    /// When the service proposes to cancel the order if it is still unpaid.
    #[schema(value_type = Option<String>, format = "date-time")]
    expires_at: BodyField<Timestamp>,
    /// Whether the order may be shipped before it is paid, as for invoices and cash on delivery. The default is
    /// `false`.
    #[schema(value_type = Option<bool>)]
    ship_unpaid: BodyField<bool>,
}

members!(CreateOrder {
    "customer_id" => customer_id,
    "currency" => currency,
    "items" => items,
    "total" => total,
    "metadata" => metadata,
    "adjustments" => adjustments,
    "reference" => reference,
    "contact" => contact,
    "notes" => notes,
    "expires_at" => expires_at,
    "ship_unpaid" => ship_unpaid,
});

impl CreateOrder {
    /// The sum of the lines and adjustments. `None` if a line or an adjustment is invalid or if there are no lines.
    fn sum(&self) -> Option<Result<Amount, InvalidValue>> {
        let items = self.items.as_valid()?;
        Some(match &self.adjustments {
            BodyField::Valid(adjustments) => adjustments.total_with(items),
            BodyField::Absent | BodyField::Null => Ok(items.total()),
            BodyField::Wrong(_) => return None,
        })
    }
}

fn total_is_the_sum(order: &CreateOrder) -> Result<(), validator::ValidationError> {
    match (order.sum(), order.total.as_valid()) {
        (Some(Err(error)), _) => {
            let detail = format!("the {error}");
            Err(at_member(ValidationCode::Sum.error(detail), "adjustments"))
        }
        (Some(Ok(sum)), Some(total)) if *total != sum => {
            let detail = format!("must equal the sum of the lines and adjustments, {}", sum.minor());
            Err(at_member(ValidationCode::Sum.error(detail), "total"))
        }
        _ => Ok(()),
    }
}

data! {
    Created, CreateOrder => |order| {
        let total = order.sum()?.ok()?;
        Some(Self {
            customer_id: order.customer_id.into_valid()?,
            currency: order.currency.into_valid()?,
            total,
            items: order.items.into_valid()?,
            metadata: order.metadata.into_valid().unwrap_or_default(),
            adjustments: order.adjustments.into_valid().unwrap_or_default(),
            reference: order.reference.into_valid(),
            contact: order.contact.into_valid(),
            notes: order.notes.into_valid(),
            expires_at: order.expires_at.into_valid(),
            ship_unpaid: order.ship_unpaid.into_valid().unwrap_or_default(),
        })
    };
}

impl ClientData for Created {
    type Body = CreateOrder;
}
