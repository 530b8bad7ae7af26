//! The OpenAPI description. Paths, parameters and bodies come from the handlers that are registered; here is what all
//! of them share, and the schemas that cannot be derived.

mod answers;
pub(crate) mod objects;
mod operations;
pub(crate) mod operator;
mod shared;

use domain::{EventType, Metadata};
use serde_json::{Value, json};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr, Required, Schema};
use utoipa::{OpenApi as _, PartialSchema, ToSchema};

use crate::event_dto::{AmendedData, NoData, PaidData, ReasonData, RefundedData, ShippedData, proposable};
use crate::faults::{Fault, FaultCode};
use crate::kinds::Kind;
use crate::principal::Scope;
use crate::problem::ProblemBody;

const BEARER: &str = "bearer";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Orders",
        description = "An event-sourced order service. `POST` answers `202` with a receipt as soon as the event is \
            durable; the receipt tells whether it was recorded or rejected. Amounts are integers in the \
            currency's minor unit; `450.0` and `4.5e2` are integers, too. Every response carries \
            `X-Correlation-Id`; every error is a problem (RFC 9457) that lists its errors, up to 100; [each kind of problem](../problems) has a page. The messages on the queue are \
            described [beside this](../docs/events). Where the service is configured to require it, requests need a \
            bearer token; with a `customer_id` in it, the orders of other customers do not exist."
    ),
    servers((url = "/", description = "The service that serves this document")),
    tags(
        (name = "orders", description = "Orders, the events that change them, and receipts"),
        (name = "operations", description = "Dead letters and the pipeline, for operators"),
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

/// Adds what every operation has: the headers, and the problems any request can meet. And the schemas that no handler
/// names.
pub(crate) fn complete(api: &mut OpenApi) {
    let components = api.components.get_or_insert_default();
    components.schemas.extend(objects::named());
    answers::components(components);
    for (path, item) in &mut api.paths.paths {
        let limited = path.starts_with("/v1");
        for (operation, scope) in [(&mut item.get, Scope::Read), (&mut item.post, Scope::Write)] {
            let Some(operation) = operation else { continue };
            // Whoever keeps the service running needs no token.
            operation.security = Some(vec![]);
            if limited {
                let for_operators = operation.tags.iter().flatten().any(|tag| tag == "operations");
                let scope = if for_operators { Scope::Operate } else { scope };
                operations::secure(operation, scope);
            }
            operations::complete(operation, limited);
            answers::complete(operation);
        }
    }
    shared::share(api);
}

/// A header that a request may have.
pub(crate) fn header_parameter(name: &str, description: &str, schema: Value) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(self::schema(schema)))
        .build()
}

/// The body that proposes an event: one schema per type, told apart by `type`. It has no discriminator: clients that
/// OpenAPI Generator makes for Rust would send `type` twice.
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
        schema(json!({
            "description": "An event to record, if it is legal. `type` says which it is.",
            "oneOf": proposable().map(|event_type| objects::reference(event_type.as_str())).collect::<Vec<_>>(),
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
    let has_data = data != NoData::name();
    let required = if has_data { json!(["type", "data"]) } else { json!(["type"]) };
    let data = json!({ "$ref": format!("#/components/schemas/{data}") });
    schema(json!({
        "type": "object",
        "properties": {
            "type": { "type": "string", "enum": [event_type] },
            // `null` means the same as absent, which data may be that has no members.
            "data": if has_data { data } else { json!({ "oneOf": [data, { "type": "null" }] }) },
        },
        "required": required,
        "additionalProperties": false,
    }))
}

/// Not an enum: a client must be able to meet a kind that is newer than itself.
pub(crate) fn problem_type() -> RefOr<Schema> {
    let kind = |kind: &Kind| {
        let about = kind.about();
        format!("- `{}` ({}): {}", about.uri, about.status.as_u16(), about.meaning)
    };
    let kinds: Vec<_> = Kind::ALL.iter().map(kind).collect();
    schema(json!({
        "type": "string",
        "format": "uri-reference",
        "description": format!(
            "Names the kind of problem; stable, and the same under any base path. At this path of the API is a page \
             on what it means and what to do. More kinds may come.\n\n{}",
            kinds.join("\n"),
        ),
        "examples": [Kind::InvalidRequest.about().uri],
    }))
}

/// The beginning of a request's hash.
pub(crate) fn request_tag() -> RefOr<Schema> {
    schema(json!({ "type": "string", "pattern": "^[0-9a-f]{16}$" }))
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
        "description": "`accepted`: durable, and what becomes of it is open. `recorded`: in the order's log. \
            `rejected`: the rules said no. `parked`: in the dead letters.",
        "enum": ["accepted", "recorded", "rejected", "parked"],
    }))
}

pub(crate) fn status() -> RefOr<Schema> {
    objects::reference("OrderStatus")
}

pub(crate) fn metadata() -> RefOr<Schema> {
    objects::optional("Metadata")
}

/// The client's own notes, as they are sent and recorded.
pub(crate) fn metadata_entries() -> Value {
    json!({
        "type": "object",
        "description": format!(
            "Your own notes: keys of 1–{} and values of up to {} characters.",
            Metadata::MAX_KEY, Metadata::MAX_VALUE,
        ),
        "maxProperties": Metadata::MAX_ENTRIES,
        "propertyNames": {
            "type": "string", "minLength": 1, "maxLength": Metadata::MAX_KEY,
            "pattern": r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$",
        },
        "additionalProperties": { "type": "string", "maxLength": Metadata::MAX_VALUE },
    })
}

pub(crate) fn recorded_lines() -> RefOr<Schema> {
    let line = objects::reference("OrderLine");
    schema(json!({ "type": "array", "description": "What is ordered.", "items": line }))
}

pub(crate) fn payment() -> RefOr<Schema> {
    objects::reference("OrderPayment")
}

pub(crate) fn shipment() -> RefOr<Schema> {
    objects::reference("OrderShipment")
}

pub(crate) fn recorded_events() -> RefOr<Schema> {
    schema(json!({ "type": "array", "items": objects::reference("RecordedEvent") }))
}

/// A schema as it is written in the document: shorter than its builder, and what readers of the document know.
pub(crate) fn schema(json: Value) -> RefOr<Schema> {
    serde_json::from_value(json).expect("the literals of this module are schemas")
}
