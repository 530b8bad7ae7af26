//! Adds examples, possible problems, links and common request headers to the operations. [`super::complete`] calls this
//! module.

use serde_json::{Value, json};
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::link::Link;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{Components, Content, Ref, RefOr, Required, Response};
use utoipa::{PartialSchema, ToSchema};

use super::objects::OrderOrReceipt;
use crate::describe::{samples, schemas};
use crate::orders::{CreateOrder, OrderBody, ReceiptBody};
use crate::problem::{self, ProblemKind};

/// Descriptions of operations whose handler has only a summary.
const DESCRIPTIONS: [(&str, &str); 8] = [
    ("getOrder", "Returns the order as of its latest recorded event. Events in flight are not included yet."),
    (
        "listOrders",
        "Returns a page of one customer's orders. Continue with `next_cursor` until it is `null`.",
    ),
    (
        "listEvents",
        "Returns a page of the order's log: all recorded events with their versions. Rejected events are not in it. \
         Continue with `next_cursor` until it is `null`.",
    ),
    (
        "getReceipt",
        "Returns whether the event is in flight, was recorded, was rejected or is a dead letter, and why. Use it to \
         follow up a `202`. With `Prefer: wait=N`, the request waits up to N seconds for the outcome.",
    ),
    (
        "isAlive",
        "Returns `200` as long as the process runs. It checks nothing else; use `/readyz` to decide whether to send \
         requests.",
    ),
    (
        "getDeadLetter",
        "Returns the dead letter with its body, the reason, its order's parked sequence, and what a redrive would do \
         with it.",
    ),
    (
        "getPipeline",
        "Returns the ledger of all accepted events, the messages on the queue, and the number of dead letters. Use it to \
         monitor the service and to verify that no event is lost.",
    ),
    (
        "isReady",
        "Checks the queue, the store and the token issuer's keys. `200` means that orders can be read. `writes` in the \
         body shows whether new events are accepted; with `for=writes`, the status depends on `writes` too.",
    ),
];

/// Headers that every request may have. Their schemas have no limits, because invalid values are ignored.
const REQUEST_HEADERS: [(&str, &str); 3] = [
    (
        "X-Correlation-Id",
        "Identifies the request in logs, events and the response: 1–128 visible ASCII characters. `X-Request-Id` is \
         accepted too. If neither is valid, the service generates one.",
    ),
    (
        "traceparent",
        "The trace that the request belongs to (W3C Trace Context). The service passes it on with the event.",
    ),
    ("tracestate", "Vendor-specific data of the trace (W3C Trace Context)."),
];

/// Adds the shared examples and parameters that operations refer to.
pub(super) fn components(components: &mut Components) {
    let example = |kind: ProblemKind| {
        let example =
            ExampleBuilder::new().summary(kind.definition().title).value(Some(problem::example(kind)));
        (kind.name().to_owned(), example.into())
    };
    components.examples.extend(ProblemKind::ALL.iter().copied().map(example));
    components.parameters.extend(REQUEST_HEADERS.map(request_header));
}

/// Adds descriptions, examples, problems and links to an operation.
pub(super) fn complete(operation: &mut Operation) {
    let id = operation.operation_id.clone().unwrap_or_default();
    if operation.description.as_deref().unwrap_or_default().is_empty() {
        let known = DESCRIPTIONS.iter().find(|(of, _)| *of == id);
        operation.description = known.map(|(_, text)| (*text).to_owned());
    }
    let headers =
        REQUEST_HEADERS.map(|(name, _)| RefOr::Ref(Ref::new(format!("#/components/parameters/{name}"))));
    let parameters = operation.parameters.get_or_insert_default();
    parameters.iter_mut().for_each(state_rules);
    parameters.extend(headers);
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        for content in body.content.values_mut() {
            let RefOr::T(content) = content else { continue };
            content.examples.extend(samples::of_request(&id).into_iter().map(named_example));
        }
    }
    let traits = OperationTraits::of(operation);
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        let schema = response.content.get("application/json").and_then(schema_name);
        let schema = schema.map(|name| shown(name, status));
        for (media_type, content) in &mut response.content {
            let RefOr::T(content) = content else { continue };
            if !content.examples.is_empty() || content.example.is_some() {
                continue;
            }
            let examples = match media_type.as_str() {
                "application/problem+json" => problems(status, &id, traits),
                _ => schema.as_deref().map(|name| of_schema(name, status, &id)).unwrap_or_default(),
            };
            content.examples.extend(examples);
        }
        if let Some(name) = schema {
            link(response, &name, &id);
        }
    }
}

/// Gives the query parameters `customer_id` and `reference` the same limits as in a body. `null`, which a body allows
/// for `reference`, is not allowed in a query.
fn state_rules(parameter: &mut RefOr<Parameter>) {
    match parameter {
        RefOr::T(parameter) if ["customer_id", "reference"].contains(&parameter.name.as_str()) => {
            let order = serde_json::to_value(CreateOrder::schema()).unwrap_or_default();
            let mut rules = order["properties"][&parameter.name].clone();
            rules["type"] = "string".into();
            parameter.schema = Some(schemas::schema(rules));
        }
        _ => {}
    }
}

fn request_header((name, description): (&str, &str)) -> (String, RefOr<Parameter>) {
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schemas::schema(json!({ "type": "string" }))));
    (name.to_owned(), RefOr::T(parameter.build()))
}

/// The name of the schema that the content of a body refers to, if it refers to a schema.
fn schema_name(content: &RefOr<Content>) -> Option<String> {
    let RefOr::T(content) = content else { return None };
    let Some(RefOr::Ref(reference)) = &content.schema else { return None };
    reference.ref_location.strip_prefix("#/components/schemas/").map(str::to_owned)
}

/// The schema whose examples are shown for a response of this status. If `schema` is the union of order and receipt, the
/// status decides whether examples of orders or of receipts are shown.
fn shown(schema: String, status: &str) -> String {
    match (schema.as_str(), status) {
        (OrderOrReceipt::NAME, "202") => ReceiptBody::name().into_owned(),
        (OrderOrReceipt::NAME, _) => OrderBody::name().into_owned(),
        _ => schema,
    }
}

type NamedComponent<T> = (String, RefOr<T>);

fn of_schema(name: &str, status: &str, operation: &str) -> Vec<NamedComponent<Example>> {
    let shows_secret = ["createWebhook", "rotateWebhookSecret"].contains(&operation);
    let samples = samples::of_schema(name).into_iter();
    let possible = samples.filter(|(_, _, value)| match name {
        "Webhook" => value["secret"].is_string() == shows_secret,
        // The receipt in a 202 has no outcome yet, so a 202 shows only examples without an outcome.
        _ => status != "202" || value["state"] == "accepted",
    });
    possible.map(named_example).collect()
}

fn named_example((name, summary, value): (impl Into<String>, &str, Value)) -> NamedComponent<Example> {
    let example = ExampleBuilder::new().summary(summary).value(Some(value));
    (name.into(), example.into())
}

/// The properties of an operation that decide which problems it can return.
#[derive(Clone, Copy)]
pub(super) struct OperationTraits {
    pub(super) has_body: bool,
    pub(super) takes_key: bool,
    pub(super) for_operators: bool,
    /// Whether the operation is about webhook subscriptions.
    pub(super) of_webhooks: bool,
}

impl OperationTraits {
    pub(super) fn of(operation: &Operation) -> Self {
        let is_key = |parameter: &RefOr<Parameter>| match parameter {
            RefOr::T(parameter) => parameter.name == "Idempotency-Key",
            RefOr::Ref(reference) => reference.ref_location.ends_with("/Idempotency-Key"),
        };
        let has_tag = |name: &str| operation.tags.iter().flatten().any(|tag| tag == name);
        Self {
            has_body: operation.request_body.is_some(),
            takes_key: operation.parameters.iter().flatten().any(is_key),
            for_operators: has_tag("operations") || has_tag("webhooks"),
            of_webhooks: has_tag("webhooks"),
        }
    }
}

/// References to examples of the problems that an operation can return with this status.
fn problems(status: &str, operation: &str, traits: OperationTraits) -> Vec<NamedComponent<Example>> {
    let of_letter = matches!(operation, "getDeadLetter" | "repairDeadLetter" | "discardDeadLetter");
    let of_status =
        ProblemKind::ALL.iter().copied().filter(|kind| kind.definition().status.as_str() == status);
    let met = of_status.filter(|kind| match kind {
        ProblemKind::InvalidJson | ProblemKind::InvalidRequest => traits.has_body,
        ProblemKind::OutcomeUnknown => {
            (traits.has_body && operation != "setFence") || operation == "deleteWebhook"
        }
        ProblemKind::QueueFull => traits.has_body && !traits.of_webhooks && operation != "setFence",
        ProblemKind::IdempotencyKeyRequired => traits.takes_key,
        ProblemKind::IdempotencyKeyReused => traits.takes_key || operation == "getReceipt",
        ProblemKind::IllegalTransition => !traits.for_operators,
        ProblemKind::NotReady => operation == "isReady",
        ProblemKind::OrderNotFound => {
            let for_clients = !["getReceipt", "readFeed"].contains(&operation) && !traits.for_operators;
            for_clients || operation == "replayWebhook"
        }
        ProblemKind::EventNotFound => operation == "getReceipt",
        ProblemKind::VersionNotFound => operation == "getOrder",
        ProblemKind::DeadLetterNotFound | ProblemKind::DeadLetterNotParked => of_letter,
        ProblemKind::WebhookNotFound => {
            traits.of_webhooks && !["createWebhook", "listWebhooks"].contains(&operation)
        }
        ProblemKind::DeliveryNotFound => operation == "skipDelivery",
        ProblemKind::WebhookConflict => traits.of_webhooks,
        ProblemKind::BackupRunning => operation == "readBackup",
        ProblemKind::FenceFinal => ["setFence", "liftFence"].contains(&operation),
        ProblemKind::ServiceMoved => {
            let is_write = traits.has_body || ["deleteWebhook", "testWebhook"].contains(&operation);
            is_write && operation != "setFence"
        }
        ProblemKind::Discarded => operation == "proposeEvent",
        ProblemKind::CursorExpired | ProblemKind::NotAcceptable => operation == "readFeed",
        ProblemKind::TooManyStreams => ["readFeed", "exportEvents"].contains(&operation),
        // `NotFound` is possible only at paths that some services do not have: the paths for operators, and the path of
        // the feed.
        ProblemKind::NotFound => traits.for_operators || operation == "readFeed",
        _ => true,
    });
    let refer = |kind: ProblemKind| Ref::new(format!("#/components/examples/{}", kind.name()));
    met.map(|kind| (kind.name().to_owned(), RefOr::Ref(refer(kind)))).collect()
}

/// A link: its name, the target operation, and the expressions for its parameters.
type AnswerLink = (&'static str, &'static str, Vec<(&'static str, &'static str)>);

/// Adds links from a response to the operations that a client can call next. Schemathesis follows these links in its
/// tests.
fn link(response: &mut Response, schema: &str, operation: &str) {
    let order = ("order_id", "$response.body#/order_id");
    let event = ("event_id", "$response.body#/event_id");
    let links: Vec<AnswerLink> = match schema {
        "Receipt" => vec![
            ("receipt", "getReceipt", vec![order, event]),
            ("order", "getOrder", vec![order]),
            ("next", "proposeEvent", vec![order]),
        ],
        "Order" => vec![("events", "listEvents", vec![order]), ("next", "proposeEvent", vec![order])],
        "OrderPage" => {
            let first = ("order_id", "$response.body#/items/0/order_id");
            let page =
                [("customer_id", "$request.query.customer_id"), ("cursor", "$response.body#/next_cursor")];
            vec![("newest", "getOrder", vec![first]), ("page", "listOrders", page.to_vec())]
        }
        "Webhook" => {
            let id = ("webhook_id", "$response.body#/id");
            vec![("webhook", "getWebhook", vec![id]), ("deliveries", "listDeliveries", vec![id])]
        }
        "DeliveryPage" => {
            let page = [("webhook_id", "$request.path.webhook_id"), ("after", "$response.body#/next_cursor")];
            vec![("page", "listDeliveries", page.to_vec())]
        }
        "EventPage" => {
            let page = [("order_id", "$request.path.order_id"), ("cursor", "$response.body#/next_cursor")];
            vec![("page", "listEvents", page.to_vec())]
        }
        "FeedPage" => vec![("page", "readFeed", vec![("after", "$response.body#/next_cursor")])],
        _ => vec![],
    };
    for (name, target, parameters) in
        links.into_iter().filter(|(name, target, _)| *name == "page" || *target != operation)
    {
        let mut link = Link::builder().operation_id(target);
        for (parameter, expression) in parameters {
            link = link.parameter(parameter, expression);
        }
        response.links.insert(name.to_owned(), link.build().into());
    }
}
