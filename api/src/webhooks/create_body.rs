//! The body that creates a subscription. `create` reads this body, and `describe` shows its schema.

use std::collections::{BTreeMap, BTreeSet};

use domain::{CustomerId, EventType, Subscription, SubscriptionId, SubscriptionState, Text, Timestamp};
use serde::de::MapAccess;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use validator::Validate;

use super::receiver::{ReceiverHeaders, ReceiverUrl, SelectedTypes};
use crate::describe::webhook_schemas;
use crate::http::hash_text;
use crate::input::{BodyField, FromJson, Parsed, ValidationCode, feed_start, invalid, members, read_object};
use crate::ports::feed::FeedStart;

/// A webhook subscription to create.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateWebhook {
    /// The URL to post deliveries to: https, or http if the operator of the service has allowed private addresses. It must
    /// not contain a user name, a password or a fragment.
    #[validate(required)]
    #[schema(value_type = String, max_length = 2048, pattern = "^https?://", example = "https://shop.example/hooks/orders")]
    url: BodyField<ReceiverUrl>,
    /// The types of event to deliver. Absent or empty: all types.
    #[schema(schema_with = webhook_schemas::selected_types, required = false)]
    types: BodyField<SelectedTypes>,
    /// Only events of this customer's orders are delivered.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    customer_id: BodyField<CustomerId>,
    /// A description of the subscription, for people.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 500,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    description: BodyField<Text<500>>,
    /// Additional headers of each delivery, such as credentials for the receiver.
    #[schema(schema_with = webhook_schemas::headers, required = false)]
    headers: BodyField<ReceiverHeaders>,
    /// Whether the subscription begins paused. Its events then wait until it is resumed.
    #[schema(value_type = Option<bool>)]
    paused: BodyField<bool>,
    /// Where deliveries begin. `latest` (the default) delivers the events that are recorded from now on. `oldest`
    /// delivers all events. A time (RFC 3339 with offset) delivers the events that were recorded at that time or later.
    #[schema(value_type = Option<String>, example = "latest")]
    from: BodyField<FirstEvent>,
}

members!(CreateWebhook {
    "url" => url,
    "types" => types,
    "customer_id" => customer_id,
    "description" => description,
    "headers" => headers,
    "paused" => paused,
    "from" => from,
});

/// The members of a subscription to create, after their validation.
#[derive(Debug)]
pub(super) struct NewWebhook {
    url: String,
    types: BTreeSet<EventType>,
    customer_id: Option<CustomerId>,
    description: Option<Text<500>>,
    headers: BTreeMap<String, String>,
    paused: bool,
    start: FeedStart,
}

impl<'de> FromJson<'de> for NewWebhook {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Parsed<Self>, A::Error> {
        read_object(members, |body: CreateWebhook| {
            Some(Self {
                url: body.url.into_valid()?.0,
                types: body.types.into_valid().map(|SelectedTypes(types)| types).unwrap_or_default(),
                customer_id: body.customer_id.into_valid(),
                description: body.description.into_valid(),
                headers: body.headers.into_valid().unwrap_or_default().0,
                paused: body.paused.into_valid().unwrap_or_default(),
                start: body.from.into_valid().map_or(FeedStart::Latest, |FirstEvent(start)| start),
            })
        })
    }
}

impl NewWebhook {
    /// A hash of the request. A request with the same idempotency key but another hash is not a retry. Stored subscriptions
    /// contain the hash, so its computation must never change.
    pub(super) fn hash(&self) -> String {
        let start = match self.start {
            FeedStart::Oldest => "oldest".to_owned(),
            FeedStart::Latest => "latest".to_owned(),
            FeedStart::At(time) => time.to_string(),
        };
        let description = self.description.as_ref().map(Text::as_str);
        let Self { url, types, customer_id, headers, paused, .. } = self;
        let all = (url, types, customer_id, description, headers, paused, start);
        hash_text(&Sha256::digest(serde_json::to_vec(&all).expect("strings and flags always serialize")))
    }

    /// Returns the subscription, still without secrets, and the place in the feed where its deliveries begin.
    pub(super) fn subscription(
        self,
        id: SubscriptionId,
        now: Timestamp,
        by: Option<&str>,
    ) -> (Subscription, FeedStart) {
        let mut subscription = Subscription {
            id,
            revision: 1,
            url: self.url,
            types: self.types,
            customer_id: self.customer_id,
            description: self.description.map(|text| text.as_str().to_owned()),
            headers: self.headers,
            state: SubscriptionState::Active,
            stopped: None,
            secrets: Vec::new(),
            request_hash: None,
            created_at: now,
            updated_at: now,
        };
        if self.paused {
            subscription.stop(SubscriptionState::Paused, paused_by(by), now);
        }
        (subscription, self.start)
    }
}

/// A sentence that says who paused a subscription.
pub(super) fn paused_by(by: Option<&str>) -> String {
    by.map_or_else(|| "An operator paused it.".to_owned(), |by| format!("{by} paused it."))
}

/// The place in the feed where deliveries begin, from the member `from` of a request.
#[derive(Debug)]
pub(super) struct FirstEvent(pub(super) FeedStart);

impl<'de> FromJson<'de> for FirstEvent {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Parsed<Self> {
        let start = feed_start(text, Timestamp::parse_with_offset);
        start.map(Self).map_err(|detail| invalid(ValidationCode::Format, detail))
    }
}
