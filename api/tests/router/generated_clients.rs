//! Tests the properties of the OpenAPI description that make generated clients correct and readable.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::openapi::{document, operations, written};

#[test]
fn an_order_and_a_receipt_differ_in_their_object_member() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let union = &schemas["OrderOrReceipt"];
    let discriminator = &union["discriminator"];
    assert_eq!(discriminator["propertyName"], "object");
    for (object, name) in [("order", "Order"), ("receipt", "Receipt")] {
        assert_eq!(discriminator["mapping"][object], format!("#/components/schemas/{name}"));
        assert_eq!(schemas[name]["properties"]["object"]["enum"], json!([object]));
        assert_eq!(schemas[name]["required"][0], "object");
    }
    // Generated clients parse every success response of an operation with the schema of the first success
    // response. So all success responses of an operation must have the same schema.
    for (name, operation) in operations(&document) {
        let successes = operation["responses"].as_object().unwrap().iter();
        let mut schemas: Vec<_> = successes
            .filter(|(status, _)| status.starts_with('2'))
            .map(|(_, response)| response["content"]["application/json"]["schema"].to_string())
            .collect();
        schemas.dedup();
        assert_eq!(schemas.len(), 1, "{name}: {schemas:?}");
    }
}

/// Tests that integers have a format. Without a format, generated clients truncate values of more than 32 bits.
#[test]
fn large_integers_have_their_format() {
    fn integers(at: &str, value: &Value, found: &mut Vec<String>) {
        let small = value["maximum"].as_i64().is_some_and(|most| most <= i64::from(i32::MAX));
        if value["type"] == "integer" && value["format"].is_null() && !small {
            found.push(at.to_owned());
        }
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(name, member)| integers(&format!("{at}/{name}"), member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| integers(at, item, found)),
            _ => {}
        }
    }
    let mut found = vec![];
    integers("", &document()["components"]["schemas"], &mut found);
    assert_eq!(found, [""; 0]);
}

#[test]
fn responses_and_parameters_of_several_operations_are_shared_components() {
    let document = written();
    let mut seen = HashMap::new();
    for (name, operation) in operations(&document) {
        assert!(operation["security"].is_array(), "{name} does not state whether it needs a token");
        let mut parts: Vec<_> = operation["responses"].as_object().unwrap().values().cloned().collect();
        parts.extend(operation["parameters"].as_array().unwrap().iter().cloned());
        for mut part in parts {
            if part["in"].is_null() {
                part["description"].take();
            }
            if part["$ref"].is_null() && part["content"]["application/json"].is_null() {
                let other = seen.insert(part.to_string(), name.clone());
                assert!(other.is_none(), "{name} and {} repeat the same part: {part}", other.unwrap());
            }
        }
    }
}

/// Tests that generators create no client for the requests that the service sends to receivers. Such a client would replace
/// the client of `/v1/webhooks`, because both belong to the same tag.
#[test]
fn requests_to_receivers_are_described_but_no_operations_of_clients() {
    let document = written();
    let webhooks = document["webhooks"].as_object().unwrap();
    assert_eq!(webhooks.keys().collect::<Vec<_>>(), ["recordedEvent", "test"]);
    for (name, item) in webhooks {
        assert_eq!(item["post"]["x-internal"], true, "{name}");
        let content = &item["post"]["requestBody"]["content"]["application/cloudevents+json"];
        let schema = content["schema"]["$ref"].as_str().unwrap();
        assert!(document.pointer(&schema[1..]).is_some(), "{name}: {schema}");
    }
}

/// Tests that objects have a name. For an object without a name, client generators invent a class name with a number.
#[test]
fn every_object_has_a_name() {
    fn unnamed(at: &str, schema: &Value, found: &mut Vec<String>) {
        if !schema.is_object() {
            return;
        }
        let parts = schema["properties"].as_object().into_iter().flatten();
        let parts = parts.map(|(name, member)| (name.as_str(), member));
        for (name, part) in
            parts.chain([("items", &schema["items"]), ("values", &schema["additionalProperties"])])
        {
            let at = format!("{at}/{name}");
            if part["properties"].is_object() {
                found.push(at.clone());
            }
            unnamed(&at, part, found);
        }
    }
    let mut found = vec![];
    for (name, schema) in written()["components"]["schemas"].as_object().unwrap() {
        unnamed(name, schema, &mut found);
    }
    assert_eq!(found, [""; 0]);
}
