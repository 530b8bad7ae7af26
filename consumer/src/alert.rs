//! The alerts, of three kinds. An alert about new dead letters covers a batch. It contains counts, reasons and the
//! commands to inspect the dead letters. The [`crate::DeadLetterRole`] and the embedded engine raise it. An alert about
//! a webhook subscription reports that the subscription was stopped or that deliveries were given up. The workers of
//! [`crate::webhooks`] raise it. A [reminder](Reminder) repeats what is still unresolved.
//!
//! Every alert names its [`Deployment`]. [`CountedAlerts`] counts the attempts to raise alerts.

mod counted;
mod deployment;
mod reminder;

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use domain::{DeadLetter, OrderId, Subscription};
use serde::Serialize;
use serde_json::Value;

use crate::webhooks::PendingAlert;

pub use counted::{ALERTS, CountedAlerts, RESULTS};
pub use deployment::Deployment;
pub use reminder::{Reminder, StoppedSubscription};

/// The maximum number of dead letters that an alert lists.
const LISTED: usize = 5;
/// The maximum number of queues that an alert lists. Dead letters come from at most two queues, unless an archive was
/// imported.
const MAX_ORIGINS: usize = 10;
/// The maximum length of a subject, in ASCII characters.
const MAX_SUBJECT: usize = 100;

/// An alert. Programs read its JSON, and people read [`Alert::subject`] and [`Alert::text`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Alert {
    /// Messages were parked as dead letters.
    DeadLetters(DeadLetterAlert),
    /// A webhook subscription needs an operator.
    Webhook(WebhookAlert),
    /// Something that was reported earlier is still unresolved.
    Reminder(Reminder),
}

impl Alert {
    /// Every kind of alert.
    pub const KINDS: [&str; 3] = ["dead_letters", "webhook", "reminder"];

    /// The kind of alert, as in the `type` of its JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DeadLetters(alert) => alert.kind,
            Self::Webhook(alert) => alert.kind,
            Self::Reminder(alert) => alert.kind,
        }
    }

    /// The subject line, with the name of the deployment. It has at most 100 ASCII characters, which is the limit of SNS
    /// ([Publish](https://docs.aws.amazon.com/sns/latest/api/API_Publish.html)).
    pub fn subject(&self, deployment: &Deployment) -> String {
        let subject = match self {
            Self::DeadLetters(alert) => alert.subject(),
            Self::Webhook(alert) => alert.subject(),
            Self::Reminder(alert) => alert.subject(),
        };
        let mut subject = format!("orders [{deployment}]: {subject}");
        subject.truncate(MAX_SUBJECT);
        subject
    }

    /// The full text of the alert, for people.
    pub fn text(&self, deployment: &Deployment) -> String {
        let text = match self {
            Self::DeadLetters(alert) => alert.text(),
            Self::Webhook(alert) => alert.text(),
            Self::Reminder(alert) => alert.text(),
        };
        format!("Deployment: {deployment}\n\n{text}")
    }

    /// The alert as JSON, for programs: its own members and `deployment`.
    pub fn to_json(&self, deployment: &Deployment) -> serde_json::Result<Value> {
        let mut json = serde_json::to_value(self)?;
        json["deployment"] = deployment.as_str().into();
        Ok(json)
    }
}

/// The alert about a webhook subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebhookAlert {
    /// The kind of alert, which is always `webhook`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The id of the subscription.
    pub subscription_id: String,
    /// Why the subscription was stopped. `None` if it was not stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// The number of orders whose delivery was given up after the last attempt.
    pub gave_up: u64,
    /// The id of one order whose delivery was given up, as an example.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
}

impl WebhookAlert {
    /// The alert about what happened to a subscription. The alert leaves out the URL, which may be a
    /// credential.
    pub fn new(subscription: &Subscription, pending: &PendingAlert) -> Self {
        Self {
            kind: "webhook",
            subscription_id: subscription.id.to_string(),
            stopped: pending.stopped.clone(),
            gave_up: pending.gave_up,
            order_id: pending.order_id.as_ref().map(|id| id.as_str().to_owned()),
        }
    }

    fn subject(&self) -> String {
        let id = &self.subscription_id;
        match self.stopped {
            Some(_) => format!("webhook {id} was stopped"),
            None => format!("webhook {id} gave up deliveries"),
        }
    }

    fn text(&self) -> String {
        let id = &self.subscription_id;
        let mut text = String::new();
        // Writing to a string never fails.
        if let Some(reason) = &self.stopped {
            let _ = writeln!(text, "The webhook subscription {id} was stopped. {reason}\n");
        }
        if self.gave_up > 0 {
            let order = self.order_id.as_deref().unwrap_or("unknown");
            let _ = writeln!(
                text,
                "Deliveries of subscription {id} were given up after the last attempt. Orders affected: {} (one of \
                 them: {order}). Their later events are held back.\n",
                self.gave_up
            );
        }
        let _ = write!(
            text,
            "No event is lost: deliveries can continue with the event at which they stopped. To inspect them:\n\n  \
             orders webhooks show {id}\n  orders webhooks deliveries {id}\n"
        );
        text
    }
}

/// The alert about new dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetterAlert {
    /// The kind of alert, which is always `dead_letters`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// How many messages were parked.
    pub count: usize,
    /// How many messages were parked for each reason.
    pub reasons: BTreeMap<&'static str, usize>,
    /// The queues that the messages come from.
    pub origins: Vec<String>,
    /// The number of orders with newly parked events.
    pub orders: usize,
    /// The first of the new dead letters.
    pub first: Vec<ListedDeadLetter>,
    /// The ids of the orders that were already counted, so that `orders` counts each order once.
    #[serde(skip)]
    order_ids: HashSet<OrderId>,
}

/// A dead letter, with the fields that an alert lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedDeadLetter {
    /// The id of the dead letter.
    pub id: String,
    /// Why the message was parked.
    pub reason: &'static str,
    /// What is wrong with the message.
    pub detail: String,
    /// The order of the event, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
}

impl Default for DeadLetterAlert {
    fn default() -> Self {
        let (reasons, origins, first, order_ids) = Default::default();
        Self { kind: "dead_letters", count: 0, reasons, origins, orders: 0, first, order_ids }
    }
}

impl DeadLetterAlert {
    /// The alert about `letters`, or `None` if there are none.
    pub fn of<'a>(letters: impl IntoIterator<Item = &'a DeadLetter>) -> Option<Self> {
        let mut alert = Self::default();
        letters.into_iter().for_each(|letter| alert.add(letter));
        (alert.count > 0).then_some(alert)
    }

    /// Adds a dead letter. The alert keeps only a few fields, because it may cover a very large number of dead letters.
    pub fn add(&mut self, letter: &DeadLetter) {
        self.count += 1;
        *self.reasons.entry(letter.reason.as_str()).or_default() += 1;
        if !letter.origin.is_empty()
            && !self.origins.contains(&letter.origin)
            && self.origins.len() < MAX_ORIGINS
        {
            self.origins.push(letter.origin.clone());
        }
        if let Some(order_id) = &letter.order_id
            && self.order_ids.insert(order_id.clone())
        {
            self.orders += 1;
        }
        if self.first.len() < LISTED {
            self.first.push(ListedDeadLetter {
                id: letter.id.clone(),
                reason: letter.reason.as_str(),
                detail: letter.detail.clone(),
                order_id: letter.order_id.as_ref().map(|id| id.as_str().to_owned()),
            });
        }
    }

    fn subject(&self) -> String {
        let reasons: Vec<_> =
            self.reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        format!("{} dead: {}", messages(self.count), reasons.join(", "))
    }

    fn text(&self) -> String {
        let mut text = format!("{} parked. Orders affected: {}.\n\n", messages(self.count), self.orders);
        // Writing to a string cannot fail.
        for (reason, count) in &self.reasons {
            let _ = writeln!(text, "  {count} × {reason}");
        }
        for letter in &self.first {
            let order = letter.order_id.as_deref().unwrap_or("unknown");
            let _ = write!(text, "\n{} (order {order})\n  {}: {}\n", letter.id, letter.reason, letter.detail);
        }
        if self.count > self.first.len() {
            let _ = write!(text, "\n… and {} more\n", self.count - self.first.len());
        }
        for origin in &self.origins {
            let _ = write!(text, "\nOrigin: {origin}");
        }
        text.push_str(
            "\n\nNothing is lost: dead letters are kept until they are redriven or discarded. To inspect them:\n\n  \
             orders dlq list\n  orders dlq show ID\n  orders dlq redrive --all --dry-run\n",
        );
        text
    }
}

fn messages(count: usize) -> String {
    format!("{count} message{}", if count == 1 { "" } else { "s" })
}
