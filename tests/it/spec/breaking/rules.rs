//! Each rule, on the smallest description that it speaks of.

use serde_json::{Value, json};

use super::{broken_in_asyncapi, broken_in_openapi};

/// A description with one operation that takes `sent` and answers `got`.
#[expect(clippy::needless_pass_by_value, reason = "literals read better without a & each")]
fn openapi(sent: Value, got: Value) -> Value {
    json!({ "paths": { "/x": { "post": {
        "operationId": "x",
        "requestBody": { "content": { "application/json": { "schema": sent } } },
        "responses": { "200": {
            "headers": { "ETag": { "schema": { "type": "string" } } },
            "content": { "application/json": { "schema": got } },
        } },
    } } } })
}

/// What breaks when the schema of what clients send becomes another.
fn sent(old: Value, new: Value) -> Vec<String> {
    broken_in_openapi(&openapi(old, json!({})), &openapi(new, json!({})))
}

/// What breaks when the schema of what clients get becomes another.
fn got(old: Value, new: Value) -> Vec<String> {
    broken_in_openapi(&openapi(json!({}), old), &openapi(json!({}), new))
}

#[track_caller]
fn names(found: &[String], pointer: &str, what: &str) {
    let [one] = found else { panic!("{found:?}") };
    assert!(one.contains(&format!("{pointer}: ")) && one.contains(what), "{one}");
}

/// What breaks when this pointer of a description with every part becomes something else, or nothing.
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
fn what_is_gone() {
    let post = "/paths/~1x/post";
    names(&changed("/paths/~1x", None), "/paths/~1x", "the path is gone");
    names(&changed(post, None), post, "the operation is gone");
    names(&changed("/paths/~1x/parameters", None), "/paths/~1x/parameters/0", "q in query is gone");
    let body = format!("{post}/requestBody");
    names(&changed(&body, None), &body, "no body");
    let json = format!("{body}/content/application~1json");
    names(&changed(&json, None), &json, "content type application/json is gone");
    let status = format!("{post}/responses/200");
    names(&changed(&status, None), &status, "status 200 is gone");
    names(
        &changed(&format!("{status}/headers/ETag"), None),
        &format!("{status}/headers/ETag"),
        "ETag is gone",
    );
    let json = format!("{status}/content/application~1json");
    names(&changed(&json, None), &json, "content type");
}

#[test]
fn operations_and_parameters() {
    let id = "/paths/~1x/post/operationId";
    names(&changed(id, Some(json!("y"))), id, "operationId was \"x\" and is \"y\"");
    let parameters = "/paths/~1x/parameters";
    let q = |more: Value| {
        let mut q = json!({ "in": "query", "name": "q", "schema": { "type": "integer" } });
        q.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        q
    };
    let required = json!([q(json!({ "required": true }))]);
    names(&changed(parameters, Some(required)), &format!("{parameters}/0"), "has become required");
    let new = |required: bool| json!([q(json!({})), { "in": "header", "name": "H", "required": required }]);
    names(
        &changed(parameters, Some(new(true))),
        &format!("{parameters}/1"),
        "h in header is new and required",
    );
    assert_eq!(changed(parameters, Some(new(false))), [""; 0]);
    let narrowed = json!([q(json!({ "schema": { "type": "integer", "maximum": 9 } }))]);
    names(
        &changed(parameters, Some(narrowed)),
        &format!("{parameters}/0/schema/maximum"),
        "less is accepted",
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
fn what_clients_send_is_still_accepted() {
    let object = |required: Value, more: Value| {
        let mut schema =
            json!({ "type": "object", "required": required, "properties": { "a": { "type": "string" } } });
        schema.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        schema
    };
    let old = || object(json!([]), json!({}));
    names(&sent(old(), object(json!(["b"]), json!({}))), "/schema/required", "\"b\" has become required");
    let closed = json!({ "additionalProperties": false });
    names(&sent(old(), object(json!([]), closed.clone())), "/additionalProperties", "not described");
    let without = json!({ "type": "object", "additionalProperties": false, "properties": {} });
    names(&sent(object(json!([]), closed), without), "/properties/a", "no longer accepted");
    names(&sent(json!({ "type": ["string", "null"] }), json!({ "type": "string" })), "/type", "\"null\"");
    names(&sent(json!({}), json!({ "type": "string" })), "/type", "was anything");
    names(&sent(json!({ "enum": ["a", "b"] }), json!({ "enum": ["a"] })), "/enum", "\"b\"");
    names(&sent(json!({}), json!({ "enum": ["a"] })), "/enum", "only");
    names(&sent(json!({ "maxLength": 9 }), json!({ "maxLength": 8 })), "/maxLength", "was 9 and is 8");
    names(&sent(json!({ "minimum": 0 }), json!({ "minimum": 1 })), "/minimum", "was 0 and is 1");
    names(&sent(json!({}), json!({ "minItems": 1 })), "/minItems", "was null");
    names(&sent(json!({}), json!({ "pattern": "a" })), "/pattern", "was null");
    names(
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
fn what_clients_get_is_what_they_expect() {
    let object = |required: Value| json!({ "type": "object", "required": required, "properties": { "a": { "type": "string" } } });
    names(&got(object(json!(["a"])), object(json!([]))), "/properties/a", "may now be absent");
    names(&got(object(json!([])), json!({ "type": "object" })), "/properties/a", "is gone");
    names(&got(json!({ "type": "string" }), json!({ "type": ["string", "null"] })), "/type", "\"null\"");
    names(&got(json!({ "type": "string" }), json!({})), "/type", "is anything");
    names(&got(json!({ "enum": ["a"] }), json!({ "enum": ["a", "b"] })), "/enum", "\"b\"");
    names(&got(json!({ "enum": ["a"] }), json!({})), "/enum", "anything can come");
    names(&got(json!({ "format": "uuid" }), json!({})), "/format", "\"uuid\"");
    names(
        &got(json!({ "items": { "type": "string" } }), json!({ "items": { "type": "null" } })),
        "/items/type",
        "was",
    );
    let union =
        |kinds: &[&str]| json!({ "oneOf": kinds.iter().map(|t| json!({ "type": t })).collect::<Value>() });
    names(&got(union(&["string"]), union(&["string", "null"])), "/schema", "is new");
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
        assert_eq!(got(old, new), [""; 0]);
    }
}

#[test]
fn schemas_behind_references_are_compared_once_and_named_where_they_are() {
    let document = |value: Value| {
        let mut document = openapi(json!({ "$ref": "#/components/schemas/A" }), json!({}));
        let own = json!({ "properties": { "again": { "$ref": "#/components/schemas/A" }, "value": value } });
        document["components"] = json!({ "schemas": { "A": { "allOf": [{ "type": "object" }, own] } } });
        document
    };
    let found = broken_in_openapi(&document(json!({})), &document(json!({ "type": "string" })));
    names(&found, "/components/schemas/A/properties/value/type", "was anything");
}

#[test]
fn a_variant_that_has_changed_is_named_by_what_changed() {
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
fn messages_are_held_to_the_side_that_writes_them() {
    let document = |action: &str, names: &[&str], payload: Value| {
        let reference = |name: &&str| json!({ "$ref": format!("#/messages/{name}") });
        let messages = json!({ "a": { "payload": payload }, "b": { "payload": {} } });
        let operation = json!({ "action": action, "channel": {}, "messages": names.iter().map(reference).collect::<Value>() });
        json!({ "operations": { "o": operation }, "messages": messages })
    };
    let text = || json!({ "type": "string" });
    for (action, old, new) in [("receive", json!({}), text()), ("send", text(), json!({}))] {
        let (old, new) = (document(action, &["a"], old), document(action, &["a"], new));
        names(&broken_in_asyncapi(&old, &new), "/messages/a/payload/type", "the type was");
        assert_eq!(broken_in_asyncapi(&new, &old), [""; 0]);
    }
    let both = document("send", &["a", "b"], text());
    names(
        &broken_in_asyncapi(&both, &document("send", &["a"], text())),
        "/operations/o",
        "messages/b\" is gone",
    );
    names(
        &broken_in_asyncapi(&both, &document("receive", &["a", "b"], text())),
        "/operations/o",
        "something else",
    );
    names(&broken_in_asyncapi(&both, &json!({})), "/operations/o", "is gone");
}

#[test]
fn a_success_may_be_what_another_one_was() {
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
    names(&broken_in_openapi(&old, &document(reference("AorC"), reference("B"))), "AorC", "C\"} is new");
    names(
        &broken_in_openapi(&old, &document(reference("B"), reference("B"))),
        "B/properties/object/enum",
        "new",
    );
}

#[test]
fn a_list_of_types_is_a_union() {
    let listed = || json!({ "type": ["object", "null"], "maxProperties": 2 });
    let union = |kind: &str| json!({ "oneOf": [{ "type": kind, "maxProperties": 2 }, { "type": "null" }] });
    assert_eq!(sent(listed(), union("object")), [""; 0]);
    assert_eq!(got(union("object"), listed()), [""; 0]);
    names(&sent(listed(), union("array")), "/schema", "is no longer accepted");
}
