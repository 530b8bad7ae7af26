//! Reserves and releases the references of orders. Each reference is an item that names its order.
//! [`append`](super::append) calls this file; [`reference_lookup`](super::reference_lookup) looks references up.
//!
//! An event that gives a reference to its order is appended in three steps. The second step is the commit.
//!
//! 1. *Reserve*: put the item of the reference, on condition that no other order has the reference. The item contains the
//!    id of the order and the version that the event is to get.
//! 2. Append the event.
//! 3. *Release*: delete the item of the reference that the order had before.
//!
//! So an item is only a claim, and readers check it against the order that it names. After a crash before step 2, the
//! claim lasts until the event is delivered again, or for [`RESERVED_FOR`]. After a crash before step 3, the item names
//! an order that now has another reference. Such an item has no effect, and the next order that wants the reference
//! replaces it.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use aws_sdk_dynamodb::types::AttributeValue;
use consumer::decide::reference_of;
use consumer::ports::{Append, AppendError};
use domain::{OrderId, Reference};

use crate::now;
use crate::sdk::condition_met;

use super::Table;
use super::conditional_put::{ConditionalPut, put_on_condition};
use super::items::{Attributes, METADATA, TableItem, string, text};
use super::write_batcher::insert;

/// How long a reservation is valid if its event is not appended.
const RESERVED_FOR: Duration = Duration::from_secs(120);
/// The maximum time from the reservation of a reference to the start of the append. A call to the table takes at most 20
/// seconds, so the append ends long before another order may take over the reservation.
const APPEND_WITHIN: Duration = Duration::from_secs(30);
/// The maximum number of attempts to reserve a reference while other orders change its item.
const ATTEMPTS: usize = 4;

/// A reservation: the item that names the order of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reservation {
    pub(super) order_id: OrderId,
    /// The version of the event that gives the order the reference.
    at_version: u64,
    /// The time of the reservation, in microseconds since 1970 UTC.
    reserved_at: i64,
}

/// Whether a reservation is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// The order has the reference.
    Held,
    /// The order may still get the reference, because its event may still be appended.
    Pending,
    /// The order has another reference, or its event was not appended in time.
    Void,
}

/// The time at which an append began to reserve its references. `None` if the append reserves no reference.
#[derive(Debug)]
pub(super) struct ReservedSince(Option<Instant>);

impl ReservedSince {
    /// Returns an error if the reservations are so old that another order may take them over before the append ends.
    pub(super) fn check_age(&self) -> Result<(), AppendError> {
        match self.0 {
            Some(since) if since.elapsed() > APPEND_WITHIN => Err(AppendError::Unavailable(anyhow!(
                "the reservation of a reference is too old to append its event"
            ))),
            _ => Ok(()),
        }
    }
}

impl Reservation {
    pub(super) fn of_item(item: &TableItem) -> anyhow::Result<Self> {
        let number = |name: &str| {
            let value = item
                .get(name)
                .and_then(|value| value.as_n().ok())
                .context("the item of a reference lacks a number")?;
            anyhow::Ok(value.parse::<i64>()?)
        };
        Ok(Self {
            order_id: OrderId::parse(string(item, "order_id")?)?,
            at_version: u64::try_from(number("at_version")?)?,
            reserved_at: number("reserved_at")?,
        })
    }

    fn item(&self, reference: &Reference) -> Attributes {
        let number = |number: String| AttributeValue::N(number);
        vec![
            ("pk", pk(reference)),
            ("sk", text(METADATA)),
            ("order_id", text(self.order_id.as_str())),
            ("at_version", number(self.at_version.to_string())),
            ("reserved_at", number(self.reserved_at.to_string())),
        ]
    }
}

fn pk(reference: &Reference) -> AttributeValue {
    text(format!("REF#{reference}"))
}

pub(super) fn key(reference: &Reference) -> TableItem {
    [("pk".to_owned(), pk(reference)), ("sk".to_owned(), text(METADATA))].into()
}

/// The references that the events of an append give to the order, each with the version of the event that gives it.
fn given(append: &Append) -> impl Iterator<Item = (&Reference, u64)> {
    append.events.iter().filter_map(|event| Some((reference_of(&event.envelope.event)?, event.version)))
}

fn before(append: &Append) -> Option<&Reference> {
    append.previous.as_ref()?.reference.as_ref()
}

impl Table {
    /// Reserves the references that the append gives to the order.
    pub(super) async fn reserve_references(&self, append: &Append) -> Result<ReservedSince, AppendError> {
        let new = given(append).filter(|(reference, _)| Some(*reference) != before(append)).collect();
        self.reserve_each(append, new).await
    }

    /// Reserves the reference that the order has after the append. Earlier references of the append may belong to other
    /// orders by now.
    pub(super) async fn reserve_last_reference(&self, append: &Append) -> Result<ReservedSince, AppendError> {
        let last = append.order.reference.as_ref().filter(|last| Some(*last) != before(append));
        let last = given(append).filter(|(given, _)| Some(*given) == last).last();
        self.reserve_each(append, last.into_iter().collect()).await
    }

    /// Reserves references for the order, each with the version of the event that gives it.
    async fn reserve_each(
        &self,
        append: &Append,
        references: Vec<(&Reference, u64)>,
    ) -> Result<ReservedSince, AppendError> {
        if references.is_empty() {
            return Ok(ReservedSince(None));
        }
        let since = Instant::now();
        for (reference, at_version) in references {
            let order_id = append.order.order_id.clone();
            let wanted = Reservation { order_id, at_version, reserved_at: now().micros() };
            Box::pin(self.reserve(reference, &wanted)).await?;
        }
        Ok(ReservedSince(Some(since)))
    }

    async fn reserve(&self, reference: &Reference, wanted: &Reservation) -> Result<(), AppendError> {
        let statement = insert(&self.name, wanted.item(reference)).map_err(AppendError::Unavailable)?;
        if self.write_batched(statement).await.map_err(AppendError::Unavailable)? {
            return Ok(());
        }
        let mut void = None;
        for _ in 0..ATTEMPTS {
            let put = self.put_reservation(reference, wanted, void.as_ref()).await;
            let Some(existing) = put.map_err(AppendError::Unavailable)? else { return Ok(()) };
            if existing.order_id == wanted.order_id && existing.at_version > wanted.at_version {
                // The order has already reserved the reference for a later event. So this append repeats an earlier
                // append, and must not replace the reservation.
                return Ok(());
            }
            let claim = self.claim(reference, &existing).await.map_err(AppendError::Unavailable)?;
            void = match claim {
                Claim::Void => Some(existing),
                // Another process may have reserved the reference for the same order meanwhile.
                _ if existing.order_id == wanted.order_id => None,
                Claim::Held | Claim::Pending => {
                    return Err(AppendError::ReferenceTaken {
                        reference: reference.clone(),
                        by: existing.order_id,
                    });
                }
            };
        }
        Err(AppendError::Unavailable(anyhow!(
            "the reference {reference:?} changed {ATTEMPTS} times while an order reserved it"
        )))
    }

    /// Puts the reservation `wanted` if the reference has no reservation, or if the existing reservation may be
    /// replaced. If `void` is given, only a reservation equal to `void` may be replaced; otherwise any reservation of
    /// the same order. If nothing was put, returns the existing reservation.
    async fn put_reservation(
        &self,
        reference: &Reference,
        wanted: &Reservation,
        void: Option<&Reservation>,
    ) -> anyhow::Result<Option<Reservation>> {
        let item = wanted.item(reference).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let number = |number: String| AttributeValue::N(number);
        let mut call = self.client.put_item().table_name(&self.name).set_item(Some(item));
        let expected = void.unwrap_or(wanted);
        call = match void {
            None => call.condition_expression(
                "attribute_not_exists(pk) OR (order_id = :order_id AND at_version <= :at_version)",
            ),
            Some(void) => call
                .condition_expression(
                    "attribute_not_exists(pk) OR \
                     (order_id = :order_id AND at_version = :at_version AND reserved_at = :reserved_at)",
                )
                .expression_attribute_values(":reserved_at", number(void.reserved_at.to_string())),
        };
        call = call
            .expression_attribute_values(":order_id", text(expected.order_id.as_str()))
            .expression_attribute_values(":at_version", number(expected.at_version.to_string()));
        match put_on_condition(call).await.context("reserving a reference")? {
            ConditionalPut::Put => Ok(None),
            ConditionalPut::Refused(existing) => {
                let existing = existing.context("no item was returned with the failed condition")?;
                Ok(Some(Reservation::of_item(&existing)?))
            }
        }
    }

    /// Checks a reservation against the order that it names.
    pub(super) async fn claim(
        &self,
        reference: &Reference,
        reservation: &Reservation,
    ) -> anyhow::Result<Claim> {
        let order = self.snapshot(&reservation.order_id).await?.map(|snapshot| snapshot.order);
        if order.as_ref().is_some_and(|order| order.reference.as_ref() == Some(reference)) {
            return Ok(Claim::Held);
        }
        let is_appended = order.is_some_and(|order| order.version >= reservation.at_version);
        let age = now().micros().saturating_sub(reservation.reserved_at);
        let is_recent = age < i64::try_from(RESERVED_FOR.as_micros())?;
        Ok(if !is_appended && is_recent { Claim::Pending } else { Claim::Void })
    }

    /// Deletes the items of references that the order no longer has after the append. An item that remains has no
    /// effect, so a failure is only logged.
    pub(super) async fn release_references(&self, append: &Append) {
        let kept = append.order.reference.as_ref();
        let earlier = before(append).into_iter().chain(given(append).map(|(reference, _)| reference));
        for reference in earlier.filter(|reference| Some(*reference) != kept) {
            if let Err(error) = Box::pin(self.release_reference(reference, append)).await {
                tracing::warn!(
                    order_id = append.order.order_id.as_str(),
                    "cannot release a reference: {error:#}"
                );
            }
        }
    }

    async fn release_reference(&self, reference: &Reference, append: &Append) -> anyhow::Result<()> {
        let Append { order, .. } = append;
        let call = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key(reference)))
            // Keeps the item if a later event has given the reference to the order again.
            .condition_expression("order_id = :order_id AND at_version <= :version")
            .expression_attribute_values(":order_id", text(order.order_id.as_str()))
            .expression_attribute_values(":version", AttributeValue::N(order.version.to_string()));
        condition_met(call.send().await)?;
        Ok(())
    }

    /// Reserves a reference like an append that crashes before it writes the event. `age` is the age of the
    /// reservation. For tests.
    #[doc(hidden)]
    pub async fn reserve_without_appending(
        &self,
        reference: &Reference,
        order_id: &OrderId,
        at_version: u64,
        age: Duration,
    ) -> Result<(), AppendError> {
        let reserved_at = now().micros() - i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        self.reserve(reference, &Reservation { order_id: order_id.clone(), at_version, reserved_at }).await
    }
}
