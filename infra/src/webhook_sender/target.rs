//! The data that all attempts of a subscription share, parsed once for each revision of the subscription. The sender
//! keeps this data in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use consumer::webhooks::EventPayload;
use consumer::webhooks::payload::CONTENT_TYPE;
use domain::{Subscription, SubscriptionId, Timestamp};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE as CONTENT_TYPE_HEADER, HeaderMap, HeaderName, HeaderValue};

use crate::signing::SigningKey;

/// The maximum number of targets that are kept. At the maximum, a new target removes all others, so that the targets of
/// deleted subscriptions take little memory.
const MAX_TARGETS: usize = 1000;

/// The URL, headers and keys with which the events of a subscription are posted.
pub(super) struct Target {
    /// The revision and the creation time of the subscription. A subscription that was deleted and created again can have
    /// the same id and the same revision.
    version: (u64, Timestamp),
    pub(super) url: Url,
    /// The headers that do not depend on the event.
    headers: HeaderMap,
    /// The keys of the subscription's secrets, each with the time at which it expires.
    keys: Vec<(SigningKey, Option<Timestamp>)>,
}

/// The targets of the subscriptions that have had a delivery.
#[derive(Default)]
pub(super) struct Targets(Mutex<HashMap<SubscriptionId, Arc<Target>>>);

impl Targets {
    /// The target of the given revision of a subscription. The error contains neither the path of the URL nor a
    /// credential.
    pub(super) fn of(&self, subscription: &Subscription) -> anyhow::Result<Arc<Target>> {
        // No code panics while it holds the lock.
        let mut targets = self.0.lock().expect("the map is intact");
        let version = (subscription.revision, subscription.created_at);
        if let Some(target) = targets.get(&subscription.id).filter(|target| target.version == version) {
            return Ok(Arc::clone(target));
        }
        let target = Arc::new(Target::parse(subscription, version)?);
        if targets.len() >= MAX_TARGETS {
            targets.clear();
        }
        targets.insert(subscription.id, Arc::clone(&target));
        Ok(target)
    }
}

impl Target {
    fn parse(subscription: &Subscription, version: (u64, Timestamp)) -> anyhow::Result<Self> {
        let url = subscription.url.parse().ok().context("the address is not a URL")?;
        let mut headers = HeaderMap::new();
        for (name, value) in &subscription.headers {
            let header: HeaderName =
                name.parse().with_context(|| format!("the header {name} cannot be sent"))?;
            let value = HeaderValue::from_str(value);
            let mut value =
                value.with_context(|| format!("the value of the header {name} cannot be sent"))?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        // The headers of the subscription cannot replace the service's own headers.
        headers.insert(CONTENT_TYPE_HEADER, HeaderValue::from_static(CONTENT_TYPE));
        let keys = subscription.secrets.iter();
        let keys = keys.map(|secret| anyhow::Ok((SigningKey::parse(&secret.secret)?, secret.expires_at)));
        Ok(Self { version, url, headers, keys: keys.collect::<Result<_, _>>()? })
    }

    /// The headers of an attempt at the time `at`. Every secret that is valid at that time signs the attempt, the
    /// newest secret first.
    pub(super) fn headers(&self, payload: &EventPayload, at: Timestamp) -> anyhow::Result<HeaderMap> {
        let id = payload.event_id.to_string();
        let seconds = at.micros().div_euclid(1_000_000);
        let valid = self.keys.iter().filter(|(_, end)| end.is_none_or(|end| at < end));
        let signatures: Vec<_> = valid.map(|(key, _)| key.sign(&id, seconds, &payload.body)).collect();
        let mut headers = self.headers.clone();
        headers.insert("webhook-id", id.parse()?);
        headers.insert("webhook-timestamp", seconds.into());
        headers.insert("webhook-signature", signatures.join(" ").parse()?);
        Ok(headers)
    }
}
