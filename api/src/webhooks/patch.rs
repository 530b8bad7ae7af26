//! The body that changes a subscription, as a merge patch. `change` reads and applies it, and `describe` shows its schema.

use std::collections::{BTreeMap, BTreeSet};

use domain::{CustomerId, EventType, Subscription, SubscriptionState, Text, Timestamp};
use serde::de::MapAccess;
use utoipa::ToSchema;
use validator::Validate;

use super::create_body::paused_by;
use super::receiver::{HeaderChanges, MAX_HEADERS, ReceiverUrl, SelectedTypes, too_many_headers};
use crate::describe::webhook_schemas;
use crate::input::{
    BodyErrors, BodyField, FromJson, Parsed, ValidationCode, at_member, members, read_object,
};
use crate::problem::Problem;

/// Changes of a webhook subscription, as a JSON merge patch (RFC 7396).
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = keeps_required, skip_on_field_errors = false))]
pub(super) struct UpdateWebhook {
    /// The URL to post deliveries to.
    #[schema(value_type = Option<String>, nullable = false, max_length = 2048, pattern = "^https?://")]
    url: BodyField<ReceiverUrl>,
    /// The types of event to deliver. Empty or `null`: all types.
    #[schema(schema_with = webhook_schemas::selected_types, required = false)]
    types: BodyField<SelectedTypes>,
    /// Only events of this customer's orders are delivered. `null`: those of all customers.
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
    /// Changes of the headers: a string sets a header, `null` removes it, and other headers stay. `null` in place of
    /// the object removes all headers.
    #[schema(schema_with = webhook_schemas::header_changes, required = false)]
    headers: BodyField<HeaderChanges>,
    /// Whether deliveries are paused. `false` also enables a disabled subscription.
    #[schema(value_type = Option<bool>, nullable = false)]
    paused: BodyField<bool>,
}

members!(UpdateWebhook {
    "url" => url,
    "types" => types,
    "customer_id" => customer_id,
    "description" => description,
    "headers" => headers,
    "paused" => paused,
});

/// Refuses a patch that removes `url` or `paused`. In a merge patch, `null` removes a member, but these two members are
/// required.
fn keeps_required(body: &UpdateWebhook) -> Result<(), validator::ValidationError> {
    let removed = match (&body.url, &body.paused) {
        (BodyField::Null, _) => "url",
        (_, BodyField::Null) => "paused",
        _ => return Ok(()),
    };
    Err(at_member(ValidationCode::Required.error("cannot be removed"), removed))
}

/// The validated changes of a subscription. A member that is `None` leaves the subscription's member unchanged.
#[derive(Debug)]
pub(super) struct WebhookPatch {
    url: Option<String>,
    types: Option<BTreeSet<EventType>>,
    customer_id: Option<Option<CustomerId>>,
    description: Option<Option<String>>,
    /// `Some(None)` removes all headers. Within the map, `None` removes one header.
    headers: Option<Option<BTreeMap<String, Option<String>>>>,
    paused: Option<bool>,
}

impl<'de> FromJson<'de> for WebhookPatch {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Parsed<Self>, A::Error> {
        read_object(members, |body: UpdateWebhook| {
            Some(Self {
                url: body.url.into_valid().map(|ReceiverUrl(url)| url),
                types: change(body.types)
                    .map(|types| types.map(|SelectedTypes(types)| types).unwrap_or_default()),
                customer_id: change(body.customer_id),
                description: change(body.description).map(|text| text.map(|text| text.as_str().to_owned())),
                headers: change(body.headers).map(|changes| changes.map(|HeaderChanges(changes)| changes)),
                paused: body.paused.into_valid(),
            })
        })
    }
}

/// The effect of a merge patch on one member: `None` leaves it unchanged, and `Some(None)` removes it.
fn change<T>(field: BodyField<T>) -> Option<Option<T>> {
    match field {
        BodyField::Absent | BodyField::Wrong(_) => None,
        BodyField::Null => Some(None),
        BodyField::Valid(value) => Some(Some(value)),
    }
}

impl WebhookPatch {
    pub(super) fn apply(
        &self,
        subscription: &mut Subscription,
        now: Timestamp,
        by: Option<&str>,
    ) -> Result<(), Problem> {
        let Self { url, types, customer_id, description, headers, paused } = self;
        url.iter().for_each(|url| subscription.url.clone_from(url));
        types.iter().for_each(|types| subscription.types.clone_from(types));
        customer_id.iter().for_each(|customer_id| subscription.customer_id.clone_from(customer_id));
        description.iter().for_each(|text| subscription.description.clone_from(text));
        match headers {
            None => {}
            Some(None) => subscription.headers.clear(),
            Some(Some(changes)) => merge_headers(&mut subscription.headers, changes)?,
        }
        match paused {
            Some(true) => subscription.stop(SubscriptionState::Paused, paused_by(by), now),
            Some(false) => subscription.resume(),
            None => {}
        }
        Ok(())
    }
}

fn merge_headers(
    headers: &mut BTreeMap<String, String>,
    changes: &BTreeMap<String, Option<String>>,
) -> Result<(), Problem> {
    for (name, value) in changes {
        match value {
            Some(value) => headers.insert(name.clone(), value.clone()),
            None => headers.remove(name),
        };
    }
    if headers.len() <= MAX_HEADERS {
        return Ok(());
    }
    let mut errors = BodyErrors::default();
    errors.extend_at("headers", *too_many_headers(MAX_HEADERS));
    Err(Problem::of_body(errors))
}
