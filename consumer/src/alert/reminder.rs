//! The alert that repeats what is still unresolved. `orders serve` raises it.

use std::fmt::Write;

use domain::{SubscriptionId, SubscriptionState, Timestamp};
use serde::Serialize;

/// The maximum number of subscriptions that a reminder lists.
const MAX_LISTED: usize = 10;

/// What was reported earlier and is still unresolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reminder {
    /// The kind of alert, which is always `reminder`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Which reminder this is, since the latest dead letter was parked or the latest subscription was stopped.
    pub number: u64,
    /// The number of dead letters that are not resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<u64>,
    /// When the latest of these dead letters was parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_parked_at: Option<Timestamp>,
    /// The number of webhook subscriptions that the service has stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<usize>,
    /// The first of these subscriptions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subscriptions: Vec<StoppedSubscription>,
}

/// A webhook subscription that the service has stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoppedSubscription {
    /// The subscription.
    pub subscription_id: SubscriptionId,
    /// Its state: paused or disabled.
    pub state: SubscriptionState,
    /// Why it was stopped, in a sentence.
    pub reason: String,
    /// When it was stopped.
    pub stopped_at: Timestamp,
}

impl Reminder {
    /// The reminder of dead letters.
    pub fn of_dead_letters(number: u64, count: u64, latest_parked_at: Timestamp) -> Self {
        Self { dead_letters: Some(count), latest_parked_at: Some(latest_parked_at), ..Self::new(number) }
    }

    /// The reminder of stopped subscriptions.
    pub fn of_subscriptions(number: u64, mut subscriptions: Vec<StoppedSubscription>) -> Self {
        let stopped = Some(subscriptions.len());
        subscriptions.truncate(MAX_LISTED);
        Self { stopped, subscriptions, ..Self::new(number) }
    }

    fn new(number: u64) -> Self {
        Self {
            kind: "reminder",
            number,
            dead_letters: None,
            latest_parked_at: None,
            stopped: None,
            subscriptions: Vec::new(),
        }
    }

    pub(super) fn subject(&self) -> String {
        match (self.dead_letters, self.stopped) {
            (Some(count), _) => format!("still unresolved: {}", counted(count, "dead letter")),
            (None, count) => format!("still stopped: {}", counted(count.unwrap_or(0) as u64, "webhook")),
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string never fails.
        if let Some((count, latest)) = self.dead_letters.zip(self.latest_parked_at) {
            let _ = write!(
                text,
                "{} not resolved. The latest was parked at {latest}. Later events of their orders are parked as well.\n\n\
                 Nothing is lost: dead letters are kept until they are redriven or discarded. To inspect them:\n\n  \
                 orders dlq list\n  orders dlq redrive --all --dry-run\n",
                are(count, "dead letter")
            );
        }
        if let Some(count) = self.stopped {
            let _ = writeln!(text, "{} stopped.\n", are(count as u64, "webhook subscription"));
            for StoppedSubscription { subscription_id: id, state, reason, stopped_at } in &self.subscriptions
            {
                let _ = writeln!(text, "{id}: {} since {stopped_at}. {reason}", state.as_str());
            }
            if count > self.subscriptions.len() {
                let _ = writeln!(text, "\u{2026} and {} more", count - self.subscriptions.len());
            }
            text.push_str(
                "\nNo event is lost: deliveries can continue with the event at which they stopped. To inspect them:\n\n  \
                 orders webhooks list\n",
            );
        }
        text
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn are(count: u64, what: &str) -> String {
    format!("{} {}", counted(count, what), if count == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use super::super::{Alert, Deployment};
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_reminder_names_the_deployment_and_what_is_unresolved() {
        let deployment: Deployment = "shop-eu".parse().unwrap();
        let alert = Alert::Reminder(Reminder::of_dead_letters(2, 3, at("2026-11-30T10:00:00Z")));
        assert_eq!(alert.subject(&deployment), "orders [shop-eu]: still unresolved: 3 dead letters");
        let text = alert.text(&deployment);
        assert!(text.starts_with("Deployment: shop-eu\n\n3 dead letters are not resolved."), "{text}");
        let json = alert.to_json(&deployment).unwrap();
        assert_eq!(
            (&json["deployment"], &json["type"], &json["dead_letters"]),
            (&"shop-eu".into(), &"reminder".into(), &3.into())
        );
        assert!(json.get("stopped").is_none(), "{json}");
    }

    #[test]
    fn a_reminder_lists_a_bounded_number_of_subscriptions() {
        let one = StoppedSubscription {
            subscription_id: "01a20f6a-d3cd-76e2-b916-b16130e86e86".parse().unwrap(),
            state: SubscriptionState::Disabled,
            reason: "All deliveries have failed for 5 days.".to_owned(),
            stopped_at: at("2026-11-30T10:00:00Z"),
        };
        let reminder = Reminder::of_subscriptions(1, vec![one; 12]);
        assert_eq!((reminder.stopped, reminder.subscriptions.len()), (Some(12), MAX_LISTED));
        assert!(reminder.text().contains("and 2 more"), "{}", reminder.text());
    }
}
