//! What is told of dead letters: one alert for a batch, with counts, reasons, and how to look closer.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use domain::{DeadLetter, OrderId};
use serde::Serialize;

/// How many letters an alert names.
const NAMED: usize = 5;
/// How many queues it names; there are two at most, unless an archive was brought in.
const ORIGINS: usize = 10;

/// An alert. As JSON it is for machines; [`Alert::subject`] and [`Alert::text`] are for whoever is woken up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// Always `dead_letters`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// How many messages were put aside.
    pub count: usize,
    /// How many for each reason.
    pub reasons: BTreeMap<&'static str, usize>,
    /// The queues that they come from.
    pub origins: Vec<String>,
    /// How many orders are held by them.
    pub orders: usize,
    /// The first of them.
    pub first: Vec<Named>,
    /// The orders that are held by them.
    #[serde(skip)]
    held: HashSet<OrderId>,
}

/// A dead letter, as an alert names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its id.
    pub id: String,
    /// Why it was put aside.
    pub reason: &'static str,
    /// What was wrong.
    pub detail: String,
    /// Its order, where that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
}

impl Default for Alert {
    fn default() -> Self {
        let (reasons, origins, first, held) = Default::default();
        Self { kind: "dead_letters", count: 0, reasons, origins, orders: 0, first, held }
    }
}

impl Alert {
    /// The alert for these letters; `None` if there are none.
    pub fn of<'a>(letters: impl IntoIterator<Item = &'a DeadLetter>) -> Option<Self> {
        let mut alert = Self::default();
        letters.into_iter().for_each(|letter| alert.add(letter));
        (alert.count > 0).then_some(alert)
    }

    /// Adds a letter, of which little is kept: there may be very many.
    pub fn add(&mut self, letter: &DeadLetter) {
        self.count += 1;
        *self.reasons.entry(letter.reason.as_str()).or_default() += 1;
        if !letter.origin.is_empty() && !self.origins.contains(&letter.origin) && self.origins.len() < ORIGINS
        {
            self.origins.push(letter.origin.clone());
        }
        if let Some(order_id) = &letter.order_id
            && self.held.insert(order_id.clone())
        {
            self.orders += 1;
        }
        if self.first.len() < NAMED {
            self.first.push(Named {
                id: letter.id.clone(),
                reason: letter.reason.as_str(),
                detail: letter.detail.clone(),
                order_id: letter.order_id.as_ref().map(|id| id.as_str().to_owned()),
            });
        }
    }

    /// A line, at most 100 ASCII characters: SNS takes no more
    /// ([Publish](https://docs.aws.amazon.com/sns/latest/api/API_Publish.html)).
    pub fn subject(&self) -> String {
        let reasons: Vec<_> =
            self.reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        let mut subject = format!("orders: {} dead: {}", letters(self.count), reasons.join(", "));
        subject.truncate(100);
        subject
    }

    /// The whole story, in lines.
    pub fn text(&self) -> String {
        let mut text =
            format!("{} put aside. Orders that wait for them: {}.\n\n", letters(self.count), self.orders);
        // Writing to a string does not fail.
        for (reason, count) in &self.reasons {
            let _ = writeln!(text, "  {count} × {reason}");
        }
        for named in &self.first {
            let order = named.order_id.as_deref().unwrap_or("unknown");
            let _ = write!(text, "\n{} (order {order})\n  {}: {}\n", named.id, named.reason, named.detail);
        }
        if self.count > self.first.len() {
            let _ = write!(text, "\n… and {} more\n", self.count - self.first.len());
        }
        for origin in &self.origins {
            let _ = write!(text, "\nThey come from {origin}.");
        }
        text.push_str(
            "\n\nNothing is lost: they are kept until they are replayed or discarded. To look closer:\n\n  \
             orders dlq list\n  orders dlq show ID\n  orders dlq redrive --all --dry-run\n",
        );
        text
    }
}

fn letters(count: usize) -> String {
    format!("{count} message{}", if count == 1 { "" } else { "s" })
}
