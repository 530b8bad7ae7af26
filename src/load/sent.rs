//! Converts the events that this run sent to events of `domain`, and folds them. Workers use the folded order
//! to plan events, and the audit compares it with the service's order.

use domain::{Currency, Envelope, Event, Order, OrderId, RecordedEvent, Timestamp, Verdict, judge};

use super::requests::{Creation, RequestBodies};
use super::steps::LifeStep;

/// An event that was sent. The step and the number of the request determine its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SentEvent {
    pub(super) step: LifeStep,
    pub(super) number: u32,
}

/// An order of this run. Its data can be computed from the numbers of its requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentOrder<'a> {
    pub(super) requests: &'a RequestBodies,
    pub(super) id: &'a OrderId,
    pub(super) creation: Creation,
}

impl SentOrder<'_> {
    /// The domain event that the service must decode from the request for `sent`.
    pub(super) fn event(&self, sent: SentEvent) -> Result<Event, String> {
        self.envelope(sent).map(|envelope| envelope.event)
    }

    fn envelope(&self, SentEvent { step, number }: SentEvent) -> Result<Envelope, String> {
        let mut members = self.requests.data(step, number, self.creation).split_off(1);
        if step == LifeStep::Create {
            members = with_total(self.requests, self.creation, members);
        }
        let comma = if members == "}" { "" } else { "," };
        let text = format!(
            r#"{{"type":"{}","schema_version":{},"timestamp":"{}","data":{{"order_id":"{}"{comma}{members}}}"#,
            step.event_type(),
            domain::SCHEMA_VERSION,
            self.requests.start(),
            self.id
        );
        let decoded = Envelope::decode(text.as_bytes(), currency());
        decoded.map_err(|error| format!("{step:?} of this run is invalid: {error}: {text}"))
    }

    /// Folds these events into an order.
    pub(super) fn fold(&self, events: impl IntoIterator<Item = SentEvent>) -> Result<Option<Order>, String> {
        let mut order = None;
        for (version, sent) in (1..).zip(events) {
            order = Some(self.apply(order, version, sent)?);
        }
        Ok(order)
    }

    /// Applies one more event to the order, and returns the changed order.
    pub(super) fn apply(&self, order: Option<Order>, version: u64, sent: SentEvent) -> Result<Order, String> {
        let (envelope, recorded_at) = (self.envelope(sent)?, self.requests.start());
        let recorded = RecordedEvent { version, recorded_at, repaired: None, envelope };
        Order::apply(order, &recorded).map_err(|error| error.to_string())
    }

    /// Whether the event is legal for the order now.
    pub(super) fn judge(&self, order: &Order, sent: SentEvent) -> Result<Verdict, String> {
        Ok(judge(Some(order), None, &self.envelope(sent)?))
    }

    /// When the service cancels the order, if the order is not paid. `None` if the order does not expire during the
    /// run.
    pub(super) fn expires_soon(&self) -> Option<Timestamp> {
        let is_soon = self.requests.life(self.creation).expiry == super::lives::Expiry::Soon;
        self.requests.expires_at(self.creation).filter(|_| is_soon)
    }
}

/// The currency of all orders of a run.
pub(super) fn currency() -> Currency {
    Currency::parse("EUR").expect("EUR is a currency")
}

/// Adds the order's total to the data of a creation, if this run omits the total. The service computes a total that a
/// client omits.
fn with_total(requests: &RequestBodies, creation: Creation, mut members: String) -> String {
    let life = requests.life(creation);
    if !life.is_detailed {
        members.pop();
        members += &format!(r#","total":{}}}"#, life.basket.total);
    }
    members
}
