//! The OpenAPI description. Paths, parameters and bodies come from the handlers that are registered; here is what all
//! of them share, and the schemas that cannot be derived.

use axum::http::StatusCode;
use domain::{EventType, Metadata, State};
use serde_json::{Value, json};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, Header, HeaderBuilder, OpenApi, Ref, RefOr, Response, Schema};
use utoipa::{OpenApi as _, PartialSchema, ToSchema};

use crate::event_dto::{AmendedData, NoData, PaidData, ReasonData, RefundedData, ShippedData, proposable};
use crate::faults::{Fault, FaultCode};
use crate::principal::Scope;
use crate::problem::ProblemBody;

const BEARER: &str = "bearer";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Orders",
        description = "An event-sourced order service. `POST` answers `202` with a receipt as soon as the event is \
            durably on the queue; the receipt tells whether it was recorded or rejected. Amounts are integers in the \
            currency's minor unit. Every response carries `X-Correlation-Id`; every error is a problem (RFC 9457) that \
            lists all faults at once. Where the service is configured to require it, requests need a bearer token; \
            with a `customer_id` in it, the orders of other customers do not exist."
    ),
    tags(
        (name = "orders", description = "Orders, the events that change them, and receipts"),
        (name = "health", description = "Health checks"),
    ),
    components(schemas(ProblemBody<'static>, Fault, FaultCode))
)]
struct Document;

/// The description before any path is registered.
pub(crate) fn document() -> OpenApi {
    let mut document = Document::openapi();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(
        "An access token of the issuer that the service is configured with, signed with RS256, ES256 or EdDSA. Needed \
         where the service is configured to require it.",
    ));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
    document
}

/// Adds what every operation has: the headers, and the problems any request can meet.
pub(crate) fn complete(api: &mut OpenApi) {
    for (path, item) in &mut api.paths.paths {
        for (operation, scope) in [(&mut item.get, Scope::Read), (&mut item.post, Scope::Write)] {
            let Some(operation) = operation else { continue };
            if path.starts_with("/v1/") {
                complete_security(operation, scope);
            }
            complete_operation(operation);
        }
    }
}

/// Adds what comes of authentication. It is optional in the description, for it depends on the configuration.
fn complete_security(operation: &mut Operation, scope: Scope) {
    let bearer = SecurityRequirement::new(BEARER, [scope.as_str()]);
    operation.security = Some(vec![bearer, SecurityRequirement::default()]);
    for (status, description) in [
        (
            StatusCode::UNAUTHORIZED,
            "A bearer token is required, and there is none or it is not valid".to_owned(),
        ),
        (StatusCode::FORBIDDEN, format!("The token does not grant the scope `{}`", scope.as_str())),
    ] {
        let responses = &mut operation.responses.responses;
        responses.entry(status.as_str().to_owned()).or_insert_with(|| Response::new(description).into());
    }
}

fn complete_operation(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    for (status, description) in [
        (StatusCode::METHOD_NOT_ALLOWED, "This path does not take this method"),
        (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong inside"),
        (StatusCode::SERVICE_UNAVAILABLE, "The request could not be finished in time"),
    ] {
        responses.entry(status.as_str().to_owned()).or_insert_with(|| Response::new(description).into());
    }
    for (status, response) in responses {
        let RefOr::T(response) = response else { continue };
        let headers = match status.as_str() {
            "202" => vec![("Location", "The address of the receipt")],
            "401" | "403" => {
                vec![("WWW-Authenticate", "What is wrong with the token, or missing in it (RFC 6750)")]
            }
            "405" => vec![("Allow", "The methods that this path takes")],
            "503" => vec![("Retry-After", "Seconds after which to try again")],
            _ => vec![],
        };
        let correlation =
            ("X-Correlation-Id", "The request's id: the client's own if it gave one, or made here");
        for (name, description) in headers.into_iter().chain([correlation]) {
            response.headers.insert(name.to_owned(), header(name, description).into());
        }
        if status.starts_with(['4', '5']) {
            let problem = Content::new(Some(Ref::from_schema_name(ProblemBody::name())));
            response.content.insert("application/problem+json".to_owned(), problem.into());
        }
    }
}

fn header(name: &str, description: &str) -> Header {
    let schema = schema(json!({ "type": if name == "Retry-After" { "integer" } else { "string" } }));
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}

/// The body that proposes an event: one schema per type, told apart by `type`.
pub(crate) struct ProposedEvent;

impl ToSchema for ProposedEvent {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        for (name, data) in [
            (AmendedData::name(), AmendedData::schema()),
            (PaidData::name(), PaidData::schema()),
            (ShippedData::name(), ShippedData::schema()),
            (ReasonData::name(), ReasonData::schema()),
            (RefundedData::name(), RefundedData::schema()),
            (NoData::name(), NoData::schema()),
        ] {
            schemas.push((name.into_owned(), data));
        }
        schemas.extend(proposable().map(|event_type| (event_type.to_string(), proposed(event_type))));
        AmendedData::schemas(schemas);
    }
}

impl PartialSchema for ProposedEvent {
    fn schema() -> RefOr<Schema> {
        let reference = |event_type: EventType| format!("#/components/schemas/{event_type}");
        let mapping: serde_json::Map<_, _> =
            proposable().map(|event_type| (event_type.to_string(), reference(event_type).into())).collect();
        schema(json!({
            "description": "An event to record, if it is legal.",
            "oneOf": proposable().map(|t| json!({ "$ref": reference(t) })).collect::<Value>(),
            "discriminator": { "propertyName": "type", "mapping": mapping },
        }))
    }
}

/// The schema of the body that proposes an event of this type.
fn proposed(event_type: EventType) -> RefOr<Schema> {
    let data = match event_type {
        EventType::Amended => AmendedData::name(),
        EventType::Paid => PaidData::name(),
        EventType::Shipped => ShippedData::name(),
        EventType::Cancelled | EventType::Returned => ReasonData::name(),
        EventType::Refunded => RefundedData::name(),
        EventType::Created | EventType::Confirmed | EventType::Delivered => NoData::name(),
    };
    let required = if data == NoData::name() { json!(["type"]) } else { json!(["type", "data"]) };
    schema(json!({
        "type": "object",
        "properties": {
            "type": { "type": "string", "enum": [event_type] },
            "data": { "$ref": format!("#/components/schemas/{data}") },
        },
        "required": required,
        "additionalProperties": false,
    }))
}

pub(crate) fn event_type() -> RefOr<Schema> {
    schema(json!({ "type": "string", "enum": EventType::ALL }))
}

pub(crate) fn event_types() -> RefOr<Schema> {
    schema(json!({
        "type": "array",
        "description": "The events that are legal now.",
        "items": { "type": "string", "enum": EventType::ALL },
    }))
}

pub(crate) fn receipt_state() -> RefOr<Schema> {
    schema(json!({
        "type": "string",
        "description": "`accepted`: durably on the queue. `recorded`: in the order's log. `rejected`: the rules said \
            no. `parked`: in the dead letters.",
        "enum": ["accepted", "recorded", "rejected", "parked"],
    }))
}

pub(crate) fn status() -> RefOr<Schema> {
    let mut statuses: Vec<_> = State::ALL.into_iter().filter_map(State::status).collect();
    statuses.dedup();
    schema(json!({ "type": "string", "description": "Where it stands.", "enum": statuses }))
}

pub(crate) fn metadata() -> RefOr<Schema> {
    schema(json!({
        "type": ["object", "null"],
        "description": format!(
            "Your own notes: keys of 1–{} and values of up to {} characters.",
            Metadata::MAX_KEY, Metadata::MAX_VALUE,
        ),
        "maxProperties": Metadata::MAX_ENTRIES,
        "propertyNames": { "type": "string", "minLength": 1, "maxLength": Metadata::MAX_KEY },
        "additionalProperties": { "type": "string", "maxLength": Metadata::MAX_VALUE },
    }))
}

pub(crate) fn recorded_lines() -> RefOr<Schema> {
    schema(json!({
        "type": "array",
        "description": "What is ordered.",
        "items": {
            "type": "object",
            "properties": {
                "sku": { "type": "string" },
                "quantity": { "type": "integer", "minimum": 1 },
                "unit_price": {
                    "type": "integer",
                    "minimum": 0,
                    "description": "Absent only where the order came from a producer that states totals alone.",
                },
            },
            "required": ["sku", "quantity"],
        },
    }))
}

pub(crate) fn payment() -> RefOr<Schema> {
    schema(json!({
        "type": "object",
        "description": "The payment, once there is one.",
        "properties": { "payment_id": { "type": "string" }, "amount": { "type": "integer", "minimum": 0 } },
    }))
}

pub(crate) fn shipment() -> RefOr<Schema> {
    schema(json!({
        "type": "object",
        "description": "The shipment, once there is one.",
        "properties": { "carrier": { "type": "string" }, "tracking_number": { "type": "string" } },
    }))
}

pub(crate) fn recorded_events() -> RefOr<Schema> {
    schema(json!({
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "version": { "type": "integer", "minimum": 1, "description": "Its place in the order's log." },
                "recorded_at": { "type": "string", "format": "date-time" },
                "event_id": { "type": "string", "format": "uuid" },
                "type": { "type": "string", "enum": EventType::ALL },
                "schema_version": { "type": "integer", "minimum": 1 },
                "timestamp": { "type": "string", "format": "date-time", "description": "By its producer's clock." },
                "correlation_id": { "type": "string" },
                "expected_version": { "type": "integer", "minimum": 0 },
                "actor": { "type": "string" },
                "data": {
                    "type": "object",
                    "description": "The order's id, and what belongs to the type.",
                    "properties": { "order_id": { "type": "string" } },
                    "required": ["order_id"],
                },
            },
            "required": [
                "version", "recorded_at", "event_id", "type", "schema_version", "timestamp", "correlation_id", "data"
            ],
        },
    }))
}

/// A schema as it is written in the document: shorter than its builder, and what readers of the document know.
fn schema(json: Value) -> RefOr<Schema> {
    serde_json::from_value(json).expect("the literals of this module are schemas")
}
