//! The member `webhooks` of the description: the requests that the service makes to the receivers of subscriptions.
//! [`super::complete`] adds it.
//!
//! A single entry describes the deliveries of all types of event. The schema of a delivery's `data` is the union that
//! items of the feed and of an order's history use. So generated clients parse deliveries with the types that they
//! already contain.

use serde_json::{Value, json};
use utoipa::openapi::OpenApi;

use crate::describe::schemas::schema;
use crate::describe::{samples, webhook_events};

/// The names of the schemas of delivered events.
const EVENT: &str = "WebhookEvent";
const TEST: &str = "WebhookTestEvent";
const TEST_DATA: &str = "WebhookTestData";

/// Adds the member `webhooks` to the description, and the schemas to which the member refers.
pub(super) fn add(api: &mut OpenApi) {
    let refer = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let mut test = webhook_events::test_event();
    let test_data = std::mem::replace(&mut test["properties"]["data"], refer(TEST_DATA));
    let schemas =
        [(EVENT, webhook_events::event(&refer("RecordedEvent"))), (TEST, test), (TEST_DATA, test_data)];
    let components = api.components.get_or_insert_default();
    components.schemas.extend(schemas.map(|(name, json)| (name.to_owned(), schema(json))));
    let section = json!({
        "recordedEvent": { "post": operation(
            "receiveEvent",
            "A recorded event is delivered",
            "The service posts each recorded event that a subscription selects to its URL: at least once, and the events of an \
             order in order. Verify `webhook-signature` before you parse the body, and ignore an event whose `webhook-id` you \
             have processed. A delivery that fails is tried again, and only the later events of its order wait for it.",
            EVENT,
            &samples::webhooks::event(),
        ) },
        "test": { "post": operation(
            "receiveTest",
            "A subscription is tested",
            "The service posts this event when an operator tests a subscription. It belongs to no order; answer with a 2xx status.",
            TEST,
            &samples::webhooks::test_event(),
        ) },
    });
    api.webhooks = Some(serde_json::from_value(section).expect("the literals of this module are path items"));
}

fn operation(id: &str, summary: &str, description: &str, schema: &str, example: &Value) -> Value {
    let header = |(name, schema, description): (&str, Value, &str)| json!({ "name": name, "in": "header", "required": true, "description": description, "schema": schema });
    json!({
        "operationId": id,
        "summary": summary,
        "description": description,
        "tags": ["webhooks"],
        "security": [],
        // Without `x-internal`, OpenAPI Generator would make a client of these requests, which would replace the client
        // of `/v1/webhooks`.
        "x-internal": true,
        "parameters": webhook_events::headers().map(header),
        "requestBody": {
            "required": true,
            "content": { webhook_events::CONTENT_TYPE: {
                "schema": { "$ref": format!("#/components/schemas/{schema}") },
                "examples": { "event": { "summary": summary, "value": example } },
            } },
        },
        "responses": {
            "2XX": { "description": "The receiver accepts the event. It should answer within 15 seconds and process it later" },
            "410": { "description": "The receiver wants no further events: the subscription is paused" },
            "default": {
                "description": "The delivery failed and is tried again. `Retry-After` is honoured. A redirect (3xx) is not followed",
            },
        },
    })
}
