//! Tests each rule of the comparison, on minimal descriptions.

use serde_json::{Value, json};

use super::{broken_in_asyncapi, broken_in_openapi};

/// A description with one operation. Its request has the schema `sent`, and its answer the schema `received`.
#[expect(clippy::needless_pass_by_value, reason = "literals are easier to read without `&`")]
fn openapi(sent: Value, received: Value) -> Value {
    json!({ "paths": { "/x": { "post": {
        "operationId": "x",
        "requestBody": { "content": { "application/json": { "schema": sent } } },
        "responses": { "200": {
            "headers": { "ETag": { "schema": { "type": "string" } } },
            "content": { "application/json": { "schema": received } },
        } },
    } } } })
}

/// The breaking changes between two schemas of the request.
fn sent(old: Value, new: Value) -> Vec<String> {
    broken_in_openapi(&openapi(old, json!({})), &openapi(new, json!({})))
}

/// The breaking changes between two schemas of the answer.
fn received(old: Value, new: Value) -> Vec<String> {
    broken_in_openapi(&openapi(json!({}), old), &openapi(json!({}), new))
}

#[track_caller]
fn reports(found: &[String], pointer: &str, what: &str) {
    let [one] = found else { panic!("{found:?}") };
    assert!(one.contains(&format!("{pointer}: ")) && one.contains(what), "{one}");
}

/// The breaking changes if the value at the given pointer is replaced by `Some` value, or removed with
/// `None`.
fn changed(pointer: &str, value: Option<Value>) -> Vec<String> {
    let mut old = openapi(json!({ "type": "object" }), json!({ "type": "object" }));
    old["paths"]["/x"]["parameters"] =
        json!([{ "in": "query", "name": "q", "schema": { "type": "integer" } }]);
    let mut new = old.clone();
    match value {
        Some(value) => *new.pointer_mut(pointer).unwrap() = value,
        None => {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let name = name.replace("~1", "/");
            new.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(&name);
        }
    }
    broken_in_openapi(&old, &new)
}

#[test]
fn removed_parts_are_reported() {
    let post = "/paths/~1x/post";
    reports(&changed("/paths/~1x", None), "/paths/~1x", "the path was removed");
    reports(&changed(post, None), post, "the operation was removed");
    reports(&changed("/paths/~1x/parameters", None), "/paths/~1x/parameters/0", "q in query was removed");
    let body = format!("{post}/requestBody");
    reports(&changed(&body, None), &body, "no longer accepts a body");
    let json = format!("{body}/content/application~1json");
    reports(&changed(&json, None), &json, "content type application/json was removed");
    let status = format!("{post}/responses/200");
    reports(&changed(&status, None), &status, "status 200 was removed");
    reports(
        &changed(&format!("{status}/headers/ETag"), None),
        &format!("{status}/headers/ETag"),
        "ETag was removed",
    );
    let json = format!("{status}/content/application~1json");
    reports(&changed(&json, None), &json, "content type");
}

#[test]
fn changed_operations_and_parameters_are_reported() {
    let id = "/paths/~1x/post/operationId";
    reports(&changed(id, Some(json!("y"))), id, "operationId was \"x\" and is \"y\"");
    let parameters = "/paths/~1x/parameters";
    let q = |more: Value| {
        let mut q = json!({ "in": "query", "name": "q", "schema": { "type": "integer" } });
        q.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        q
    };
    let required = json!([q(json!({ "required": true }))]);
    reports(&changed(parameters, Some(required)), &format!("{parameters}/0"), "has become required");
    let new = |required: bool| json!([q(json!({})), { "in": "header", "name": "H", "required": required }]);
    reports(
        &changed(parameters, Some(new(true))),
        &format!("{parameters}/1"),
        "h in header is new and required",
    );
    assert_eq!(changed(parameters, Some(new(false))), [""; 0]);
    let narrowed = json!([q(json!({ "schema": { "type": "integer", "maximum": 9 } }))]);
    reports(
        &changed(parameters, Some(narrowed)),
        &format!("{parameters}/0/schema/maximum"),
        "fewer values are accepted",
    );

    let (old, mut new) = (openapi(json!({}), json!({})), openapi(json!({}), json!({})));
    for (security, breaks) in
        [(json!([{ "key": [] }]), true), (json!([{ "key": [] }, {}]), false), (json!([]), false)]
    {
        new["security"] = security.clone();
        assert_eq!(broken_in_openapi(&old, &new).len(), usize::from(breaks), "{security}");
    }
}

#[test]
fn schemas_of_what_clients_send_must_not_become_stricter() {
    let object = |required: Value, more: Value| {
        let mut schema =
            json!({ "type": "object", "required": required, "properties": { "a": { "type": "string" } } });
        schema.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        schema
    };
    let old = || object(json!([]), json!({}));
    reports(&sent(old(), object(json!(["b"]), json!({}))), "/schema/required", "\"b\" has become required");
    let closed = json!({ "additionalProperties": false });
    reports(&sent(old(), object(json!([]), closed.clone())), "/additionalProperties", "not described");
    let without = json!({ "type": "object", "additionalProperties": false, "properties": {} });
    reports(&sent(object(json!([]), closed), without), "/properties/a", "no longer accepted");
    reports(&sent(json!({ "type": ["string", "null"] }), json!({ "type": "string" })), "/type", "\"null\"");
    reports(&sent(json!({}), json!({ "type": "string" })), "/type", "was anything");
    reports(&sent(json!({ "enum": ["a", "b"] }), json!({ "enum": ["a"] })), "/enum", "\"b\"");
    reports(&sent(json!({}), json!({ "enum": ["a"] })), "/enum", "only");
    reports(&sent(json!({ "maxLength": 9 }), json!({ "maxLength": 8 })), "/maxLength", "was 9 and is 8");
    reports(&sent(json!({ "minimum": 0 }), json!({ "minimum": 1 })), "/minimum", "was 0 and is 1");
    reports(&sent(json!({}), json!({ "minItems": 1 })), "/minItems", "was null");
    reports(&sent(json!({}), json!({ "pattern": "a" })), "/pattern", "was null");
    reports(
        &sent(json!({ "oneOf": [{ "type": "string" }, { "type": "null" }] }), json!({ "type": "string" })),
        "/schema",
        "is no longer accepted",
    );
    for (old, new) in [
        (json!({ "type": "integer", "maximum": 8 }), json!({ "type": "number", "maximum": 9 })),
        (json!({ "type": "string", "pattern": "a", "maxLength": 1 }), json!({ "type": ["string", "null"] })),
        (json!({ "enum": ["a"] }), json!({ "enum": ["a", "b"] })),
        (json!({ "type": "string" }), json!({ "oneOf": [{ "type": "integer" }, { "type": "string" }] })),
        (object(json!(["a"]), json!({})), object(json!([]), json!({ "properties": { "a": {}, "c": {} } }))),
    ] {
        assert_eq!(sent(old, new), [""; 0]);
    }
}

#[test]
fn schemas_of_what_clients_receive_must_not_become_looser() {
    let object = |required: Value| json!({ "type": "object", "required": required, "properties": { "a": { "type": "string" } } });
    reports(&received(object(json!(["a"])), object(json!([]))), "/properties/a", "may now be absent");
    reports(&received(object(json!([])), json!({ "type": "object" })), "/properties/a", "was removed");
    reports(
        &received(json!({ "type": "string" }), json!({ "type": ["string", "null"] })),
        "/type",
        "\"null\"",
    );
    reports(&received(json!({ "type": "string" }), json!({})), "/type", "is anything");
    reports(&received(json!({ "enum": ["a"] }), json!({ "enum": ["a", "b"] })), "/enum", "\"b\"");
    reports(&received(json!({ "enum": ["a"] }), json!({})), "/enum", "any value is possible");
    reports(&received(json!({ "format": "uuid" }), json!({})), "/format", "\"uuid\"");
    reports(
        &received(json!({ "items": { "type": "string" } }), json!({ "items": { "type": "null" } })),
        "/items/type",
        "was",
    );
    let union =
        |kinds: &[&str]| json!({ "oneOf": kinds.iter().map(|t| json!({ "type": t })).collect::<Value>() });
    reports(&received(union(&["string"]), union(&["string", "null"])), "/schema", "is new");
    for (old, new) in [
        (json!({ "enum": ["a", "b"] }), json!({ "enum": ["a"] })),
        (json!({}), json!({ "type": "string", "format": "uuid" })),
        (union(&["string", "null"]), json!({ "type": "string" })),
        (json!({ "type": "number" }), json!({ "type": "integer" })),
        (
            object(json!([])),
            json!({ "type": "object", "required": ["a", "b"], "properties": { "a": { "type": "string" }, "b": {} } }),
        ),
    ] {
        assert_eq!(received(old, new), [""; 0]);
    }
}

#[test]
fn referenced_schemas_are_compared_once_and_reported_at_their_own_pointer() {
    let document = |value: Value| {
        let mut document = openapi(json!({ "$ref": "#/components/schemas/A" }), json!({}));
        let own = json!({ "properties": { "again": { "$ref": "#/components/schemas/A" }, "value": value } });
        document["components"] = json!({ "schemas": { "A": { "allOf": [{ "type": "object" }, own] } } });
        document
    };
    let found = broken_in_openapi(&document(json!({})), &document(json!({ "type": "string" })));
    reports(&found, "/components/schemas/A/properties/value/type", "was anything");
}

#[test]
fn a_changed_variant_is_reported_by_its_differences() {
    let document = |maximum: u32| {
        let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
        let mut document = openapi(json!({ "oneOf": [reference("A"), reference("B")] }), json!({}));
        let variant =
            |kind: &str| json!({ "properties": { "type": { "enum": [kind] }, "n": { "maximum": maximum } } });
        document["components"] = json!({ "schemas": { "A": variant("a"), "B": variant("b") } });
        document
    };
    let found = broken_in_openapi(&document(9), &document(8));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("/components/schemas/A/properties/n/maximum: "), "{found:?}");
    assert_eq!(broken_in_openapi(&document(8), &document(9)), [""; 0]);
}

#[test]
fn messages_are_compared_by_who_sends_them() {
    let document = |action: &str, names: &[&str], payload: Value| {
        let reference = |name: &&str| json!({ "$ref": format!("#/messages/{name}") });
        let messages = json!({ "a": { "payload": payload }, "b": { "payload": {} } });
        let operation = json!({ "action": action, "channel": {}, "messages": names.iter().map(reference).collect::<Value>() });
        json!({ "operations": { "o": operation }, "messages": messages })
    };
    let text = || json!({ "type": "string" });
    for (action, old, new) in [("receive", json!({}), text()), ("send", text(), json!({}))] {
        let (old, new) = (document(action, &["a"], old), document(action, &["a"], new));
        reports(&broken_in_asyncapi(&old, &new), "/messages/a/payload/type", "the type was");
        assert_eq!(broken_in_asyncapi(&new, &old), [""; 0]);
    }
    let both = document("send", &["a", "b"], text());
    reports(
        &broken_in_asyncapi(&both, &document("send", &["a"], text())),
        "/operations/o",
        "messages/b\" was removed",
    );
    reports(
        &broken_in_asyncapi(&both, &document("receive", &["a", "b"], text())),
        "/operations/o",
        "the action or the channel of the operation changed",
    );
    reports(&broken_in_asyncapi(&both, &json!({})), "/operations/o", "was removed");
}

#[test]
fn a_success_may_return_what_another_success_returned() {
    let document = |first: Value, second: Value| {
        let mut document = openapi(json!({}), first);
        let content = json!({ "content": { "application/json": { "schema": second } } });
        document["paths"]["/x"]["post"]["responses"]["202"] = content;
        let kind =
            |name: &str| json!({ "properties": { "object": { "enum": [name] } }, "required": ["object"] });
        let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
        let union = |variants: &[&str]| {
            let variants: Vec<_> = variants.iter().map(|name| reference(name)).collect();
            json!({ "oneOf": variants, "properties": { "object": {} }, "discriminator": { "propertyName": "object" } })
        };
        document["components"] = json!({ "schemas": {
            "A": kind("a"), "B": kind("b"), "C": kind("c"), "AorB": union(&["A", "B"]), "AorC": union(&["A", "C"]),
        } });
        document
    };
    let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let old = document(reference("A"), reference("B"));
    assert_eq!(broken_in_openapi(&old, &document(reference("AorB"), reference("AorB"))), [""; 0]);
    reports(&broken_in_openapi(&old, &document(reference("AorC"), reference("B"))), "AorC", "C\"} is new");
    reports(
        &broken_in_openapi(&old, &document(reference("B"), reference("B"))),
        "B/properties/object/enum",
        "new",
    );
}

#[test]
fn a_list_of_types_equals_a_union() {
    let listed = || json!({ "type": ["object", "null"], "maxProperties": 2 });
    let union = |kind: &str| json!({ "oneOf": [{ "type": kind, "maxProperties": 2 }, { "type": "null" }] });
    assert_eq!(sent(listed(), union("object")), [""; 0]);
    assert_eq!(received(union("object"), listed()), [""; 0]);
    reports(&sent(listed(), union("array")), "/schema", "is no longer accepted");
}
