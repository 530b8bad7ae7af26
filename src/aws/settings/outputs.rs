//! The settings of the outputs of the relay: an EventBridge bus and an SNS topic. `relay` reads them.

use domain::Currency;

use super::ConfigErrors;
use crate::aws::args::OutputArgs;

/// The maximum length of a `source` on an EventBridge bus.
const MAX_SOURCE: usize = 256;

/// Where the relay publishes events.
#[derive(Debug, Clone)]
pub(crate) struct OutputSettings {
    /// The name or ARN of the bus.
    pub(crate) event_bus: Option<String>,
    /// The ARN of the topic.
    pub(crate) topic: Option<String>,
    /// The `source` of events.
    pub(crate) source: String,
    /// The currency of orders whose producer does not send one.
    pub(crate) default_currency: Currency,
}

/// The outputs of the relay, or `Some(None)` if there are none. `None` after an error.
pub(super) fn of_relay(errors: &mut ConfigErrors, args: &OutputArgs) -> Option<Option<OutputSettings>> {
    let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let (event_bus, topic) = (given(&args.event_bus), given(&args.events_topic));
    if event_bus.is_none() && topic.is_none() {
        return Some(None);
    }
    let event_bus = event_bus.map(|bus| errors.event_bus(bus));
    let topic = topic.map(|arn| errors.events_topic(arn));
    let (source, default_currency) =
        (errors.check(args.source.read()), errors.currency(&args.default_currency));
    let source = source.filter(|source| event_bus.is_none() || errors.fits_bus(source));
    // The outer `None` of an output means that it is not set, and the inner one that it is invalid.
    let (event_bus, topic) =
        (event_bus.map_or(Some(None), |bus| bus.map(Some)), topic.map_or(Some(None), |arn| arn.map(Some)));
    let (event_bus, topic) = (event_bus?, topic?);
    Some(Some(OutputSettings { event_bus, topic, source: source?, default_currency: default_currency? }))
}

impl ConfigErrors {
    /// Checks the name or the ARN of an event bus.
    fn event_bus(&mut self, bus: String) -> Option<String> {
        let parts: Vec<_> = bus.splitn(6, ':').collect();
        let name = match parts[..] {
            ["arn", _, "events", region, account, name] if !region.is_empty() && !account.is_empty() => {
                name.strip_prefix("event-bus/")
            }
            [name] => Some(name),
            _ => None,
        };
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
        let is_valid = name.is_some_and(|name| (1..=256).contains(&name.len()) && name.bytes().all(allowed));
        let wrong = || {
            format!(
                "EVENT_BUS {bus:?} is not the name or ARN of an event bus, such as \
                 arn:aws:events:eu-central-1:123456789012:event-bus/orders"
            )
        };
        let checked = if is_valid { Ok(()) } else { Err(wrong()) };
        self.check(checked).map(|()| bus)
    }

    /// Checks the ARN of the topic for events. The topic may be a FIFO topic, unlike the topic for alerts.
    fn events_topic(&mut self, arn: String) -> Option<String> {
        let parts: Vec<_> = arn.split(':').collect();
        let is_valid = matches!(parts[..], ["arn", _, "sns", region, account, name]
            if !region.is_empty() && !account.is_empty() && !name.is_empty());
        let wrong = || {
            format!(
                "EVENTS_TOPIC {arn:?} is not the ARN of an SNS topic, such as arn:aws:sns:eu-central-1:123456789012:orders.fifo"
            )
        };
        let checked = if is_valid { Ok(()) } else { Err(wrong()) };
        self.check(checked).map(|()| arn)
    }

    /// Checks that events with this `source` can be put on a bus. EventBridge reserves sources that begin with `aws.`,
    /// and limits their length.
    fn fits_bus(&mut self, source: &str) -> bool {
        let fits = source.len() <= MAX_SOURCE && !source.to_ascii_lowercase().starts_with("aws.");
        let wrong = || {
            format!(
                "ORDERS_WEBHOOKS_SOURCE {source:?} is longer than {MAX_SOURCE} characters or begins with `aws.`, which EventBridge refuses"
            )
        };
        self.check(if fits { Ok(()) } else { Err(wrong()) }).is_some()
    }
}
