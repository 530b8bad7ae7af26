//! Tests that the OpenAPI description is complete and agrees with the validation rules.

use std::sync::Arc;

use domain::{Amount, EventType, LineItems, Quantity};
use serde_json::{Value, json};

use crate::fakes::{FakePorts, get};

/// The generated OpenAPI description, without changes.
pub(crate) fn written() -> Value {
    serde_json::to_value(api::openapi()).unwrap()
}

/// The description, in which the operations' references to responses and parameters are replaced with their targets.
pub(crate) fn document() -> Value {
    let written = written();
    let mut document = written.clone();
    let in_place = |part: &mut Value| {
        let Some(reference) = part["$ref"].as_str() else { return };
        *part = written.pointer(reference.strip_prefix('#').unwrap()).unwrap().clone();
    };
    let items = document["paths"].as_object_mut().unwrap().values_mut();
    for operation in items.flat_map(|item| item.as_object_mut().unwrap().values_mut()) {
        operation["responses"].as_object_mut().unwrap().values_mut().for_each(in_place);
        operation["parameters"].as_array_mut().unwrap().iter_mut().for_each(in_place);
    }
    document
}

/// Every operation, as `(method path, operation)`.
pub(crate) fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &'_ Value)| -> Vec<(String, Value)> {
        item.as_object().unwrap().iter().map(|(m, op)| (format!("{m} {path}"), op.clone())).collect()
    };
    let names: Vec<String> = paths.iter().flat_map(of_path).map(|(name, _)| name).collect();
    let find = |name: String| {
        let (method, path) = name.split_once(' ').unwrap();
        let operation = &document["paths"][path][method];
        (name, operation)
    };
    names.into_iter().map(find).collect()
}

#[tokio::test]
async fn the_description_is_served_as_it_is_generated() {
    let answer = get(&Arc::new(FakePorts::default()), "/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json(), written());
    assert!(
        answer.body.len() < 340_000,
        "the description is too large: do operations repeat shared responses?"
    );
}

/// The statuses of every operation.
const STATUSES: [&str; 34] = [
    "delete /v1/fence: 204 400 401 403 404 405 409 421 429 431 500 503",
    "delete /v1/webhooks/{webhook_id}: 204 400 401 403 404 405 421 429 431 500 503",
    "get /healthz: 200 400 405 421 431 500 503",
    "get /readyz: 200 400 405 421 431 500 503",
    "get /v1/backup: 200 400 401 403 404 405 409 421 429 431 500 503",
    "get /v1/dead-letters/{id}: 200 400 401 403 404 405 421 429 431 500 503",
    "get /v1/dead-letters: 200 400 401 403 404 405 421 429 431 500 503",
    "get /v1/events: 200 400 401 403 404 405 406 410 421 429 431 500 503",
    "get /v1/export: 200 400 401 403 404 405 421 429 431 500 503",
    "get /v1/fence: 200 400 401 403 404 405 421 429 431 500 503",
    "get /v1/orders/{order_id}/contact: 200 400 401 403 404 405 421 429 431 500 503",
    "get /v1/orders/{order_id}/events/{event_id}: 200 400 401 403 404 405 421 422 429 431 500 503",
    "get /v1/orders/{order_id}/events: 200 400 401 403 404 405 421 429 431 500 503",
    "get /v1/orders/{order_id}/rejections: 200 400 401 403 404 405 421 429 431 500 503",
    "get /v1/orders/{order_id}: 200 304 400 401 403 404 405 421 429 431 500 503",
    "get /v1/orders: 200 400 401 403 405 421 429 431 500 503",
    "get /v1/pipeline/history: 200 400 401 403 405 421 429 431 500 503",
    "get /v1/pipeline: 200 400 401 403 404 405 421 429 431 500 503",
    "get /v1/webhooks/{webhook_id}/deliveries: 200 400 401 403 404 405 421 429 431 500 501 503",
    "get /v1/webhooks/{webhook_id}: 200 400 401 403 404 405 421 429 431 500 503",
    "get /v1/webhooks: 200 400 401 403 404 405 421 429 431 500 503",
    "patch /v1/webhooks/{webhook_id}: 200 400 401 403 404 405 408 409 412 413 415 421 422 429 431 500 503",
    "post /v1/dead-letters/redrive: 200 400 401 403 404 405 408 413 415 421 422 429 431 500 503",
    "post /v1/dead-letters/{id}/discard: 200 400 401 403 404 405 408 409 413 415 421 422 429 431 500 503",
    "post /v1/dead-letters/{id}/repair: 200 400 401 403 404 405 408 409 413 415 421 422 429 431 500 503",
    "post /v1/fence: 200 400 401 403 404 405 408 409 413 415 421 422 429 431 500 503",
    "post /v1/orders/batch: 200 400 401 403 405 408 413 415 421 422 429 431 500 503",
    "post /v1/orders/{order_id}/events: 200 202 400 401 403 404 405 408 409 412 413 415 421 422 429 431 500 503",
    "post /v1/orders: 201 202 400 401 403 405 408 413 415 421 422 429 431 500 503",
    "post /v1/webhooks/{webhook_id}/deliveries/{event_id}/skip: 204 400 401 403 404 405 408 413 415 421 422 429 431 500 501 503",
    "post /v1/webhooks/{webhook_id}/replay: 200 400 401 403 404 405 408 413 415 421 422 429 431 500 501 503",
    "post /v1/webhooks/{webhook_id}/rotate: 200 400 401 403 404 405 408 409 412 413 415 421 422 429 431 500 503",
    "post /v1/webhooks/{webhook_id}/test: 200 400 401 403 404 405 421 429 431 500 501 503",
    "post /v1/webhooks: 201 400 401 403 404 405 408 409 413 415 421 422 429 431 500 501 503",
];

#[test]
fn every_operation_lists_its_statuses() {
    let document = document();
    let operations = operations(&document);
    let mut found: Vec<_> = operations
        .iter()
        .map(|(name, operation)| {
            let statuses: Vec<_> = operation["responses"].as_object().unwrap().keys().cloned().collect();
            format!("{name}: {}", statuses.join(" "))
        })
        .collect();
    found.sort_unstable();
    assert_eq!(found, STATUSES);
    for (name, operation) in operations {
        for member in ["operationId", "summary", "description"] {
            assert!(operation[member].as_str().is_some_and(|text| !text.is_empty()), "{member} of {name}");
        }
        assert!(operation["tags"][0].is_string(), "{name}");
        // hyper sends a 431 before the router gets the request. So a 431 has no headers or body of the API.
        let of_requests = |(status, _): &(&String, _)| status.as_str() != "431";
        for (status, response) in operation["responses"].as_object().unwrap().iter().filter(of_requests) {
            assert!(response["headers"]["X-Correlation-Id"].is_object(), "{name} {status}");
            if ["204", "304"].contains(&status.as_str()) {
                continue;
            }
            let content = response["content"].as_object().unwrap();
            if name == "get /v1/backup" && status == "200" {
                assert!(content.keys().eq(["application/octet-stream"]), "{name} {status}");
                continue;
            }
            if name == "get /v1/export" && status == "200" {
                assert!(content.keys().eq(["application/x-ndjson"]), "{name} {status}");
                assert!(content["application/x-ndjson"]["example"].is_string(), "no example: {name}");
                continue;
            }
            let expected =
                if status.starts_with('2') { "application/json" } else { "application/problem+json" };
            let is_feed = name == "get /v1/events" && status == "200";
            let also = is_feed.then_some("text/event-stream");
            assert!(content.keys().eq([expected].into_iter().chain(also)), "{name} {status}");
            let examples = content[expected]["examples"].as_object();
            assert!(examples.is_some_and(|examples| !examples.is_empty()), "no example: {name} {status}");
        }
    }
    let headers =
        |status: &str| document["paths"]["/v1/orders"]["post"]["responses"][status]["headers"].clone();
    assert!(headers("202")["Location"].is_object());
    assert!(headers("503")["Retry-After"].is_object());
    assert!(headers("405")["Allow"].is_object());
    assert!(headers("429")["Retry-After"].is_object());
    for header in ["RateLimit", "RateLimit-Policy"] {
        assert!(headers("202")[header].is_object() && headers("429")[header].is_object(), "{header}");
    }
}

#[test]
fn every_reference_resolves() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = written();
    let mut found = vec![];
    references(&document, &mut found);
    assert!(found.len() > 30);
    for reference in found {
        assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
    }
}

#[test]
fn request_bodies_state_the_rules() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let order = &schemas["CreateOrder"];
    assert_eq!(order["required"], json!(["customer_id", "currency", "items"]));
    assert_eq!(order["additionalProperties"], false);
    assert_eq!(order["properties"]["customer_id"]["type"], "string");
    assert_eq!(order["properties"]["currency"]["pattern"], "^[A-Z]{3}$");
    assert_eq!(order["properties"]["items"]["maxItems"], LineItems::MAX);
    assert_eq!(order["properties"]["total"]["maximum"], Amount::MAX);
    assert_eq!(order["properties"]["metadata"]["oneOf"][0]["$ref"], "#/components/schemas/Metadata");
    assert_eq!(schemas["Metadata"]["maxProperties"], 20);
    let line = &schemas["Line"];
    assert_eq!(line["required"], json!(["sku", "quantity", "unit_price"]));
    assert_eq!(line["additionalProperties"], false);
    assert_eq!(line["properties"]["quantity"]["maximum"], Quantity::MAX);
    assert_eq!(line["properties"]["unit_price"]["maximum"], Amount::MAX);
    assert_eq!(line["properties"]["unit_price"]["type"], "integer");

    let event = &schemas["ProposedEvent"];
    assert_eq!(event["oneOf"].as_array().unwrap().len(), EventType::ALL.len() - 1);
    // With a discriminator, the generated Rust client would send `type` twice.
    assert!(event["discriminator"].is_null());
    assert!(
        event["oneOf"].as_array().unwrap().contains(&json!({ "$ref": "#/components/schemas/order_paid" }))
    );
    let paid = &schemas["order_paid"];
    assert_eq!(paid["properties"]["type"]["enum"], json!(["order_paid"]));
    assert_eq!((&paid["required"], &paid["additionalProperties"]), (&json!(["type", "data"]), &json!(false)));
    assert_eq!(schemas["order_confirmed"]["required"], json!(["type"]));
    for data in [
        "AmendedData",
        "AnnotatedData",
        "PaidData",
        "ShippedData",
        "CancelledData",
        "RefundedData",
        "NoData",
        "Contact",
    ] {
        assert_eq!(schemas[data]["additionalProperties"], false, "{data}");
    }
}

#[test]
fn answer_schemas_require_their_members() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let required = |name: &str| schemas[name]["required"].as_array().unwrap().len();
    assert_eq!(
        schemas["Receipt"]["required"],
        json!(["object", "order_id", "event_id", "type", "state", "links"])
    );
    // An order has 25 required members. The optional ones are `expires_at`, `reference`, `contact`, `notes`, `payment` and
    // `shipment`.
    assert_eq!(required("Order"), 25);
    assert_eq!(schemas["OrderPage"]["required"], json!(["object", "items", "next_cursor"]));
    assert_eq!(schemas["EventPage"]["required"], json!(["object", "items", "next_cursor"]));
    assert_eq!(required("Problem"), 6);
    assert_eq!(schemas["Fault"]["required"], json!(["code", "detail"]));
    assert_eq!(schemas["Fault"]["properties"]["pointer"]["type"], "string");
    assert_eq!(schemas["Order"]["properties"]["status"]["$ref"], "#/components/schemas/OrderStatus");
    assert_eq!(schemas["OrderStatus"]["enum"].as_array().unwrap().len(), 9);
}

#[test]
fn recorded_events_have_a_schema_for_each_type() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let event = &schemas["RecordedEvent"];
    assert_eq!(
        schemas["EventPage"]["properties"]["items"]["items"]["$ref"],
        "#/components/schemas/RecordedEvent"
    );
    assert_eq!(event["discriminator"]["propertyName"], "type");
    for event_type in EventType::ALL {
        let name = format!("recorded_{event_type}");
        assert_eq!(
            event["discriminator"]["mapping"][event_type.as_str()],
            format!("#/components/schemas/{name}")
        );
        let referred = |member: &str| {
            let reference = schemas[&name]["properties"][member]["$ref"].as_str().unwrap();
            document.pointer(&reference[1..]).unwrap()
        };
        assert_eq!(referred("type")["enum"], json!([event_type]));
        assert!(referred("data")["properties"]["order_id"].is_object(), "{name}");
    }
}

#[test]
fn links_in_answers_name_operations() {
    let document = document();
    let operations = operations(&document);
    let ids: Vec<_> = operations.iter().map(|(_, operation)| &operation["operationId"]).collect();
    for (name, operation) in &operations {
        for (status, response) in operation["responses"].as_object().unwrap() {
            for link in response["links"].as_object().into_iter().flat_map(|links| links.values()) {
                assert!(ids.contains(&&link["operationId"]), "{name} {status}: {link}");
            }
        }
    }
    let accepted = &document["paths"]["/v1/orders"]["post"]["responses"]["202"]["links"];
    assert_eq!(accepted["receipt"]["operationId"], "getReceipt");
    assert_eq!(accepted["receipt"]["parameters"]["event_id"], "$response.body#/event_id");
    assert_eq!(accepted["order"]["operationId"], "getOrder");
}

#[test]
fn the_query_parameters_of_a_receipt_are_described() {
    let document = document();
    let parameters = &document["paths"]["/v1/orders/{order_id}/events/{event_id}"]["get"]["parameters"];
    let query: Vec<_> = parameters.as_array().unwrap().iter().filter(|p| p["in"] == "query").collect();
    let [query, request] = query.as_slice() else { panic!("{parameters}") };
    assert_eq!((&request["name"], &request["required"]), (&json!("request"), &json!(false)));
    assert!(request["description"].as_str().is_some_and(|text| text.contains("422")));
    assert_eq!((&query["name"], &query["required"]), (&json!("type"), &json!(false)));
    assert_eq!(query["schema"]["enum"], json!(EventType::ALL));
    assert!(query["description"].as_str().is_some_and(|text| text.contains("accepted")));
}
