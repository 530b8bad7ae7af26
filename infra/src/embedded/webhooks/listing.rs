//! Lists the deliveries of a subscription: first the failed and the held deliveries of each held order, then the
//! skipped deliveries, and last the recent successful deliveries.
//!
//! Each page begins after a position in the list. A position is a text that begins with the kind of the delivery: `h:`
//! and an order id with a version, `k:` and the key of a skipped delivery, or `r:` and the number of a recent delivery.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use api::ports::webhooks::{Delivery, DeliveryFilter, DeliveryList, DeliveryState};
use consumer::webhooks::monitor::RecentDelivery;
use consumer::webhooks::{HeldOrder, SkippedDelivery};
use domain::Subscription;
use domain::subscription::Selection;

use super::rows::{self, Row};
use crate::deliveries;
use crate::embedded::Embedded;
use crate::embedded::store::keys;
use crate::embedded::store::views::{ReadStore, View};
use crate::repaired::hex;

/// The maximum number of rows and log entries that a page examines.
const MAX_EXAMINED: usize = 10_000;

pub(super) struct Listing {
    pub(super) engine: Embedded,
    pub(super) subscription: Arc<Subscription>,
    /// The deliveries that succeeded recently, oldest first.
    pub(super) recent: VecDeque<RecentDelivery>,
    pub(super) filter: DeliveryFilter,
}

/// A page that is being filled.
struct Page {
    list: DeliveryList,
    limit: usize,
    examined: usize,
}

impl Page {
    /// Adds a delivery, if it passes the filter. Returns whether further deliveries can be added. If the page is full,
    /// it ends at `place`.
    fn add(
        &mut self,
        filter: &DeliveryFilter,
        delivery: Option<Delivery>,
        place: impl Fn() -> String,
    ) -> bool {
        self.examined += 1;
        self.list.deliveries.extend(delivery.filter(|delivery| filter.passes(delivery)));
        let goes_on = self.list.deliveries.len() < self.limit && self.examined < MAX_EXAMINED;
        if !goes_on {
            self.list.next = Some(place());
        }
        goes_on
    }
}

impl Listing {
    /// The page that begins after the position `after`, or the first page if `after` is `None`.
    pub(super) fn page(&self, after: Option<&str>, limit: usize) -> anyhow::Result<DeliveryList> {
        let (kind, rest) = match after {
            None => ('h', ""),
            Some(place) => place
                .split_once(':')
                .map_or(('h', ""), |(kind, rest)| (kind.chars().next().unwrap_or('h'), rest)),
        };
        let mut page = Page { list: DeliveryList::default(), limit, examined: 0 };
        let view = self.engine.0.store.view();
        let goes_on = kind != 'h' || self.held(&view, rest, &mut page)?;
        let goes_on = goes_on
            && (kind == 'r' || self.skipped(&view, if kind == 'k' { rest } else { "" }, &mut page)?);
        if goes_on {
            self.delivered(if kind == 'r' { rest.parse().unwrap_or(0) } else { u64::MAX }, &mut page);
        }
        Ok(page.list)
    }

    fn wants(&self, states: &[DeliveryState]) -> bool {
        self.filter.state.is_none_or(|state| states.contains(&state))
    }

    fn held(&self, view: &View, after: &str, page: &mut Page) -> anyhow::Result<bool> {
        if !self.wants(&[DeliveryState::Retrying, DeliveryState::GaveUp, DeliveryState::Held]) {
            return Ok(true);
        }
        let (after_order, after_version) = after.rsplit_once(':').unwrap_or((after, "0"));
        let after_version: u64 = after_version.parse().unwrap_or(0);
        let (store, prefix) = (&self.engine.0.store, Row::Held.key(self.subscription.id));
        let (_, end) = rows::with_prefix(&prefix);
        let start = match &self.filter.order_id {
            Some(order_id) => [&prefix, order_id.as_str().as_bytes()].concat(),
            None => [&prefix, after_order.as_bytes()].concat(),
        };
        for row in view.range(&store.keys.webhooks, (Bound::Included(start), end)) {
            let row: HeldOrder = rows::decode("a held order", &row.value()?)?;
            if self.filter.order_id.as_ref().is_some_and(|order_id| *order_id != row.order_id) {
                break;
            }
            let done = if row.order_id.as_str() == after_order { after_version } else { 0 };
            if row.is_held() && !self.held_order(view, &row, done, page)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Adds the deliveries of a held order with versions after `after`.
    fn held_order(&self, view: &View, row: &HeldOrder, after: u64, page: &mut Page) -> anyhow::Result<bool> {
        let place = |version: u64| format!("h:{}:{version}", row.order_id);
        let has_head = row.head.is_some();
        if after < row.next
            && has_head
            && !page.add(&self.filter, deliveries::of_held(row.clone()), || place(row.next))
        {
            return Ok(false);
        }
        if !self.wants(&[DeliveryState::Held]) {
            return Ok(true);
        }
        let first = (row.next + u64::from(has_head)).max(after + 1);
        let log = &self.engine.0.log;
        let is_of_customer = match &self.subscription.customer_id {
            Some(customer_id) => log.customer_of(view, &row.order_id)?.as_ref() == Some(customer_id),
            None => true,
        };
        let entries = keys::log_key(&row.order_id, first)..=keys::log_key(&row.order_id, u64::MAX);
        for entry in view.range(&log.store.keys.log, entries) {
            let event = log.decode_entry(&entry.value()?)?;
            let event_type = event.envelope.event.event_type();
            let is_selected =
                is_of_customer && self.subscription.selection(Some(event_type)) != Selection::None;
            let held = is_selected.then(|| Delivery {
                event_id: event.envelope.event_id,
                event_type,
                order_id: row.order_id.clone(),
                version: event.version,
                state: DeliveryState::Held,
                attempts: 0,
                last_attempt: None,
                next_attempt_at: None,
                skip: None,
            });
            if !page.add(&self.filter, held, || place(event.version)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn skipped(&self, view: &View, after: &str, page: &mut Page) -> anyhow::Result<bool> {
        if !self.wants(&[DeliveryState::Skipped]) {
            return Ok(true);
        }
        let prefix = Row::Skip.key(self.subscription.id);
        let (start, end) = rows::with_prefix(&prefix);
        let start = match from_hex(after) {
            Some(rest) if !rest.is_empty() => Bound::Excluded([prefix.clone(), rest].concat()),
            _ => start,
        };
        for row in view.range(&self.engine.0.store.keys.webhooks, (start, end)) {
            let (key, value) = row.into_inner()?;
            let skip: SkippedDelivery = rows::decode("a skipped delivery", &value)?;
            let place = || format!("k:{}", hex(&key[prefix.len()..]));
            if !page.add(&self.filter, Some(deliveries::of_skipped(skip)), place) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Adds the recent deliveries with numbers below `before`, newest first.
    fn delivered(&self, before: u64, page: &mut Page) {
        if !self.wants(&[DeliveryState::Delivered]) {
            return;
        }
        let recent = self.recent.iter().rev().filter(|recent| recent.number < before);
        for recent in recent {
            let delivery = delivered(recent.clone());
            if !page.add(&self.filter, Some(delivery), || format!("r:{}", recent.number)) {
                return;
            }
        }
    }
}

fn delivered(recent: RecentDelivery) -> Delivery {
    Delivery {
        event_id: recent.event_id,
        event_type: recent.event_type,
        order_id: recent.order_id,
        version: recent.version,
        state: DeliveryState::Delivered,
        attempts: recent.attempts,
        last_attempt: Some(deliveries::of_attempt(recent.attempt)),
        next_attempt_at: None,
        skip: None,
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(digits).collect()
}
