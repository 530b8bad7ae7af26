//! Tests that every example in the OpenAPI description is valid against its schema.

use serde_json::Value;

use super::{Validator, escaped, openapi};

/// The target of a reference. A value that is not a reference is returned unchanged.
pub(super) fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => value,
    }
}

/// Every media type object in the description's requests and answers, with the JSON pointer to it.
fn contents(document: &Value) -> Vec<(String, &Value)> {
    let mut found = vec![];
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let at = format!("/paths/{}/{method}", escaped(path));
            let mut places = vec![(format!("{at}/requestBody"), &operation["requestBody"])];
            for (status, response) in operation["responses"].as_object().unwrap() {
                places.push((format!("{at}/responses/{status}"), response));
            }
            for (at, place) in places {
                let at = place["$ref"].as_str().map_or(at, |reference| reference[1..].to_owned());
                for (media_type, content) in
                    resolved(document, place)["content"].as_object().into_iter().flatten()
                {
                    found.push((format!("{at}/content/{}", escaped(media_type)), content));
                }
            }
        }
    }
    found
}

#[test]
fn every_example_is_valid_against_its_schema() {
    let document = openapi();
    let mut validator = Validator::of(document.clone());
    let mut checked = 0;
    for (at, content) in contents(&document) {
        for (name, example) in content["examples"].as_object().into_iter().flatten() {
            let value = &resolved(&document, example)["value"];
            let result = validator.check(&format!("{at}/schema"), value);
            assert!(result.is_ok(), "{at}: {name}: {}\n{value}", result.unwrap_err());
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked}");
}
