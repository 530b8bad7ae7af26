//! A webhook subscription: which recorded events are posted, and to which URL. The API creates and changes
//! subscriptions, the stores keep their JSON, and the webhook role delivers to them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event_kinds::EventType;
use crate::ids::CustomerId;
use crate::value::{InvalidValue, Timestamp};

/// Identifies a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubscriptionId(Uuid);

impl SubscriptionId {
    /// The id as a UUID.
    pub fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for SubscriptionId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl std::str::FromStr for SubscriptionId {
    type Err = InvalidValue;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = Uuid::try_parse(text).map(Self);
        id.map_err(|_| InvalidValue::new("subscription id", "must be a UUID (RFC 9562)"))
    }
}

impl std::fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// A webhook subscription. Its JSON is stored, and contains the secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The id.
    pub id: SubscriptionId,
    /// A number that grows by one with each change of the subscription. The stores thus notice a change that is based
    /// on an outdated state.
    pub revision: u64,
    /// The URL that deliveries are posted to.
    pub url: String,
    /// The types of event to deliver. Empty: all types.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub types: BTreeSet<EventType>,
    /// The customer whose orders' events are delivered. `None`: the events of all customers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// What the subscription is for, in free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Additional headers of each delivery. Their values may be credentials.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Whether events are delivered.
    pub state: SubscriptionState,
    /// Why the subscription is not active, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// The secrets that sign deliveries, newest first.
    pub secrets: Vec<SigningSecret>,
    /// The hash of the request that created the subscription, if the request had an idempotency key. The hash
    /// distinguishes a retry from another request with the same key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_hash: Option<String>,
    /// When the subscription was created.
    pub created_at: Timestamp,
    /// When the subscription was last changed.
    pub updated_at: Timestamp,
}

/// Whether a subscription's events are delivered. Events that are not delivered stay due, and are delivered once the
/// subscription is active again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionState {
    /// Events are delivered.
    Active,
    /// An operator has paused the subscription, or its receiver answered 410 Gone.
    Paused,
    /// The service has stopped deliveries, because all of them failed for a long time.
    Disabled,
}

impl SubscriptionState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Active, Self::Paused, Self::Disabled];

    /// The state as written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }
}

/// Why a subscription is not active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// Why the subscription was stopped, in a sentence.
    pub reason: String,
    /// When the subscription was stopped.
    pub at: Timestamp,
}

/// A secret that signs deliveries: `whsec_` and 32 random bytes in base64
/// ([Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningSecret {
    /// The secret.
    pub secret: String,
    /// When the secret stops signing deliveries. `None` for the newest secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// `Debug` omits the secret.
impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningSecret").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// The maximum number of secrets of a subscription that sign deliveries at the same time.
pub const MAX_SECRETS: usize = 3;

/// The error of a rotation after which more than [`MAX_SECRETS`] secrets would be valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_SECRETS} secrets sign deliveries until {until}")]
pub struct TooManySecrets {
    /// The earliest time at which one of the valid secrets expires.
    pub until: Timestamp,
}

/// Which events of a type a subscription selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection<'a> {
    /// All events of the type.
    All,
    /// The events of the given customer's orders.
    OfCustomer(&'a CustomerId),
    /// No event.
    None,
}

impl Subscription {
    /// Stops deliveries with the given state and reason. A subscription that already has the state keeps its
    /// earlier reason.
    pub fn stop(&mut self, state: SubscriptionState, reason: impl Into<String>, at: Timestamp) {
        if self.state != state {
            (self.state, self.stopped) = (state, Some(Stopped { reason: reason.into(), at }));
        }
    }

    /// Makes the subscription active, so that its due events are delivered.
    pub fn resume(&mut self) {
        (self.state, self.stopped) = (SubscriptionState::Active, None);
    }

    /// Makes `secret` the newest secret. Every earlier secret signs deliveries until `overlap_end`, or until its own
    /// expiry if that is earlier. Expired secrets are removed.
    pub fn rotate(
        &mut self,
        secret: String,
        now: Timestamp,
        overlap_end: Timestamp,
    ) -> Result<(), TooManySecrets> {
        let earlier = self.secrets.iter().map(|earlier| SigningSecret {
            expires_at: Some(earlier.expires_at.map_or(overlap_end, |end| end.min(overlap_end))),
            ..earlier.clone()
        });
        let valid: Vec<_> =
            earlier.filter(|earlier| earlier.expires_at.is_some_and(|end| now < end)).collect();
        if valid.len() >= MAX_SECRETS {
            // A refused rotation does not change the expiries of the earlier secrets.
            let expiries = self.secrets.iter().filter_map(|earlier| earlier.expires_at);
            let until = expiries.filter(|end| now < *end).min().unwrap_or(overlap_end);
            return Err(TooManySecrets { until });
        }
        self.secrets = vec![SigningSecret { secret, expires_at: None }];
        self.secrets.extend(valid);
        Ok(())
    }

    /// Which events of a type the subscription selects. `None` stands for a type that this program does not
    /// know, because a newer program recorded it. Only subscriptions to all types select such events.
    ///
    /// All code that chooses events for a subscription calls this function, so that no caller forgets the
    /// customer.
    pub fn selection(&self, event_type: Option<EventType>) -> Selection<'_> {
        let is_of_type = self.types.is_empty() || event_type.is_some_and(|it| self.types.contains(&it));
        match &self.customer_id {
            _ if !is_of_type => Selection::None,
            Some(customer_id) => Selection::OfCustomer(customer_id),
            None => Selection::All,
        }
    }

    /// Whether the subscription selects an event of the given type and customer.
    pub fn selects(&self, event_type: Option<EventType>, customer_id: &CustomerId) -> bool {
        match self.selection(event_type) {
            Selection::All => true,
            Selection::OfCustomer(only) => only == customer_id,
            Selection::None => false,
        }
    }

    /// The secrets that sign a delivery at the time `at`, newest first.
    pub fn secrets_at(&self, at: Timestamp) -> impl Iterator<Item = &str> {
        let valid = move |secret: &&SigningSecret| secret.expires_at.is_none_or(|end| at < end);
        self.secrets.iter().filter(valid).map(|secret| secret.secret.as_str())
    }
}
