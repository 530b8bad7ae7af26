//! The JSON body of problems, and an example of each kind for the descriptions.

use domain::{EventId, EventType, Guard, OrderId, OrderStatus, Violation};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::describe::schemas::{self, schema};
use crate::input::{ValidationCode, ValidationError};
use crate::problem::kinds::{ProblemDefinition, ProblemKind};

/// An error, as problem details (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// A stable URI reference that identifies the kind of problem.
    #[serde(rename = "type")]
    #[schema(schema_with = problem_type)]
    type_: &'a str,
    /// The title, which is the same for all problems of this kind.
    title: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What went wrong in this request.
    detail: &'a str,
    /// The path of the request.
    #[schema(format = "uri-reference")]
    instance: &'a str,
    /// The correlation id, which identifies the request in the service's logs.
    correlation_id: &'a str,
    /// The validation errors of the request, up to 100.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(max_items = 100)]
    errors: &'a [ValidationError],
    /// The number of validation errors that `errors` does not list. Absent if `errors` lists all of them. The body may
    /// have even more errors, because validation may stop after the first 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 4_194_304, nullable = false)]
    errors_omitted: Option<usize>,
    /// The order's status when the event was rejected. For a replay (`Idempotent-Replayed: true`), this is the status at
    /// the time of the first request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::status, required = false)]
    order_status: Option<OrderStatus>,
    /// The order's version when the event was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    order_version: Option<u64>,
    /// The events that were legal at the version `order_version`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::event_types, required = false)]
    allowed_events: Option<&'a [EventType]>,
    /// The guard that the event failed, and the numbers that it compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::violation, required = false)]
    violation: Option<&'a Violation>,
    /// The order of the event whose outcome is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    order_id: Option<&'a OrderId>,
    /// The event whose outcome is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid", nullable = false)]
    event_id: Option<EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    links: Option<&'a ProblemLinks>,
}

/// Links for looking up an unknown outcome, or a link to the order that already has the reference, or to the service that takes the
/// writes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
pub(crate) struct ProblemLinks {
    /// The event's receipt, which exists if the event was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) receipt: Option<String>,
    /// The order of the event, or the other order that already has the reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) order: Option<String>,
    /// The dead letter that may have been changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) dead_letter: Option<String>,
    /// The webhook subscription that may have been changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) webhook: Option<String>,
    /// The service that takes the writes instead of this one: an absolute URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) service: Option<String>,
}

impl ProblemLinks {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl<'a> ProblemBody<'a> {
    pub(super) fn of(
        kind: ProblemDefinition,
        detail: &'a str,
        instance: &'a str,
        correlation_id: &'a str,
        errors: &'a [ValidationError],
    ) -> Self {
        let ProblemDefinition { uri, title, status, .. } = kind;
        Self {
            type_: uri,
            title,
            status: status.as_u16(),
            detail,
            instance,
            correlation_id,
            errors,
            errors_omitted: None,
            order_status: None,
            order_version: None,
            allowed_events: None,
            violation: None,
            order_id: None,
            event_id: None,
            links: None,
        }
    }

    /// Adds the links to the resources that the problem is about. If it is about an event, also adds the ids of the
    /// order and the event.
    pub(super) fn about_event(
        self,
        order_id: Option<&'a OrderId>,
        event_id: Option<EventId>,
        links: &'a ProblemLinks,
    ) -> Self {
        Self { order_id, event_id, links: Some(links).filter(|links| !links.is_empty()), ..self }
    }

    /// Adds the number of validation errors that the list omits.
    pub(super) fn omitting(self, errors: usize) -> Self {
        Self { errors_omitted: Some(errors).filter(|errors| *errors > 0), ..self }
    }

    /// Adds the guard that the event failed.
    pub(super) fn failing(self, violation: Option<&'a Violation>) -> Self {
        Self { violation, ..self }
    }

    /// Adds the status and the version of the order, and the events that are legal at that version.
    pub(super) fn about_order(
        self,
        status: OrderStatus,
        version: u64,
        allowed_events: &'a [EventType],
    ) -> Self {
        let (order_status, order_version) = (Some(status), Some(version));
        Self { order_status, order_version, allowed_events: Some(allowed_events), ..self }
    }
}

/// An example of a problem of `kind`, for the descriptions.
pub(crate) fn example(kind: ProblemKind) -> serde_json::Value {
    let definition = kind.definition();
    let order = "/v1/orders/019ab0c2-7d1e-7cc3-98c4-dc0c0c07398f";
    let of_member = |pointer: &str, code: ValidationCode, detail: &'static str| ValidationError {
        pointer: Some(pointer.to_owned()),
        parameter: None,
        code: code.as_str().into(),
        detail: detail.into(),
    };
    let (detail, instance, errors) = match kind {
        ProblemKind::InvalidHeader => {
            let rule = "must be * or entity tags such as \"3\"";
            let header = ValidationError::parameter("If-Match", ValidationCode::Format, rule);
            ("The header If-Match must be * or entity tags such as \"3\".", order, vec![header])
        }
        ProblemKind::InvalidRequest => {
            let quantity = of_member("/items/3/quantity", ValidationCode::Range, "must be 1–1000000");
            let currency = of_member("/currency", ValidationCode::Required, "is required");
            ("The body has 2 errors.", "/v1/orders", vec![currency, quantity])
        }
        ProblemKind::InvalidParameter => {
            let limit = ValidationError::parameter("limit", ValidationCode::Range, "must be 1–200");
            ("The path or the query has errors.", "/v1/orders", vec![limit])
        }
        ProblemKind::IllegalTransition => {
            let detail = "order_shipped is not legal while the order is paid: line \"mug\": 2 ordered, 1 cancelled, \
                0 shipped; 2 requested, 1 left";
            (detail, "/v1/orders/019ab0c2-7d1e-7cc3-98c4-dc0c0c07398f/events", vec![])
        }
        ProblemKind::NotReady => ("The store does not answer.", "/readyz", vec![]),
        ProblemKind::DeadLetterNotParked => {
            let detail = "Dead letter 4711 is discarded. Only a parked dead letter can be changed.";
            (detail, "/v1/dead-letters/4711/repair", vec![])
        }
        ProblemKind::WebhookConflict => {
            let detail = "There are 100 subscriptions, which is the maximum.";
            (detail, "/v1/webhooks", vec![])
        }
        ProblemKind::InvalidJson => {
            ("The body is not valid JSON: a value is missing at line 2 column 15.", "/v1/orders", vec![])
        }
        ProblemKind::Unauthorized => ("The request has no bearer token.", order, vec![]),
        ProblemKind::Forbidden => ("The token does not grant the scope orders.read.", order, vec![]),
        ProblemKind::TooManyRequests => {
            ("You exceeded the limit of requests that RateLimit-Policy states.", order, vec![])
        }
        ProblemKind::Discarded => ("The payment was made twice.", order, vec![]),
        _ => (definition.meaning, order, vec![]),
    };
    let legal =
        [EventType::Amended, EventType::Annotated, EventType::Paid, EventType::Shipped, EventType::Cancelled];
    let violation = violation_example();
    let body = ProblemBody::of(definition, detail, instance, "f47ac10b-58cc-4372-a567-0e02b2c3d479", &errors);
    let body = match kind {
        ProblemKind::IllegalTransition => {
            body.failing(Some(&violation)).about_order(OrderStatus::Paid, 4, &legal)
        }
        ProblemKind::PreconditionFailed => body.about_order(OrderStatus::Paid, 4, &legal),
        _ => body,
    };
    serde_json::to_value(body).expect("plain strings and numbers always serialize")
}

fn violation_example() -> Violation {
    let numbers = [("ordered", 2), ("cancelled", 1), ("shipped", 0), ("asked", 2), ("left", 1)];
    Violation {
        guard: Guard::UnitsLeft,
        line_id: Some("mug".to_owned()),
        order_id: None,
        numbers: numbers.map(|(name, number)| (name.to_owned(), number)).into(),
    }
}

/// The schema is a plain string and not an enum, because a client must also accept kinds that are added later.
fn problem_type() -> RefOr<Schema> {
    let kind = |kind: &ProblemKind| {
        let definition = kind.definition();
        format!("- `{}` ({}): {}", definition.uri, definition.status.as_u16(), definition.meaning)
    };
    let kinds: Vec<_> = ProblemKind::ALL.iter().map(kind).collect();
    schema(json!({
        "type": "string",
        "format": "uri-reference",
        "description": format!(
            "Identifies the kind of problem. It is stable, and the same under any base path. The API serves a page at this \
             path with the meaning and what to do. New kinds may be added.\n\n{}",
            kinds.join("\n"),
        ),
        "examples": [ProblemKind::InvalidRequest.definition().uri],
    }))
}
