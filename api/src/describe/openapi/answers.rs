//! What the description says of answers beside their schemas: examples, the errors there can be, and the links to
//! follow from them.

use serde_json::{Value, json};
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::link::Link;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{Components, Content, Ref, RefOr, Required, Response};
use utoipa::{PartialSchema, ToSchema};

use super::objects::OrderOrReceipt;
use crate::describe::{samples, schemas};
use crate::orders::{CreateOrder, OrderBody, ReceiptBody};
use crate::problem::{self, Kind};

/// What most operations say for themselves; the others are easily told.
const DESCRIPTIONS: [(&str, &str); 8] = [
    (
        "getOrder",
        "The order as of its latest recorded event. Events that still wait on the queue are not in it yet.",
    ),
    ("listOrders", "A page of the orders of one customer. Go on with `next_cursor` until it is `null`."),
    ("listEvents", "A page of the order's log: every event that was recorded, and nothing else."),
    (
        "getReceipt",
        "Whether the event waits on the queue, was recorded, was rejected or is in the dead letters, and why.",
    ),
    (
        "isAlive",
        "Answers as long as the process runs. It looks at nothing else, so it is no reason to send requests.",
    ),
    (
        "getDeadLetter",
        "Everything that is known of it: its bytes, why it is there, what stands in line with it, and what a redrive would \
         do.",
    ),
    (
        "getPipeline",
        "What became of everything that was accepted, what is on the queue, and how many dead letters wait.",
    ),
    (
        "isReady",
        "Looks at the queue, the store and the keys of tokens. 200 means that requests belong here: orders can be read. Whether \
         new events are accepted is in the body, and with `for=writes` in the status.",
    ),
];

/// What every request can carry. Nothing is refused for the sake of these, so they have no rules here.
const REQUEST_HEADERS: [(&str, &str); 3] = [
    (
        "X-Correlation-Id",
        "Names the request in logs, events and the answer: 1–128 visible ASCII characters. `X-Request-Id` serves as \
         well. Without a valid one, one is made.",
    ),
    (
        "traceparent",
        "The trace that the request is part of (W3C Trace Context); it goes along with the event.",
    ),
    ("tracestate", "What belongs to the trace besides."),
];

/// What operations refer to.
pub(super) fn components(components: &mut Components) {
    let example = |kind: Kind| {
        let example = ExampleBuilder::new().summary(kind.about().title).value(Some(problem::example(kind)));
        (kind.name().to_owned(), example.into())
    };
    components.examples.extend(Kind::ALL.iter().copied().map(example));
    components.parameters.extend(REQUEST_HEADERS.map(request_header));
}

/// Adds to an operation what its answers lack.
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
    let facts = Facts::of(operation);
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
                "application/problem+json" => problems(status, &id, facts),
                _ => schema.as_deref().map(|name| of_schema(name, status)).unwrap_or_default(),
            };
            content.examples.extend(examples);
        }
        if let Some(name) = schema {
            link(response, &name, &id);
        }
    }
}

/// A customer in a query is written as in a body, so it has the same schema.
fn state_rules(parameter: &mut RefOr<Parameter>) {
    match parameter {
        RefOr::T(parameter) if parameter.name == "customer_id" => {
            let order = serde_json::to_value(CreateOrder::schema()).unwrap_or_default();
            parameter.schema = Some(schemas::schema(order["properties"]["customer_id"].clone()));
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

/// The name of the schema that this content refers to.
fn schema_name(content: &RefOr<Content>) -> Option<String> {
    let RefOr::T(content) = content else { return None };
    let Some(RefOr::Ref(reference)) = &content.schema else { return None };
    reference.ref_location.strip_prefix("#/components/schemas/").map(str::to_owned)
}

/// What a response of this status shows, of what its schema allows.
fn shown(schema: String, status: &str) -> String {
    match (schema.as_str(), status) {
        (OrderOrReceipt::NAME, "202") => ReceiptBody::name().into_owned(),
        (OrderOrReceipt::NAME, _) => OrderBody::name().into_owned(),
        _ => schema,
    }
}

type Named<T> = (String, RefOr<T>);

fn of_schema(name: &str, status: &str) -> Vec<Named<Example>> {
    let samples = samples::of_schema(name).into_iter();
    // A 202 tells that the outcome is open.
    let possible = samples.filter(|(_, _, value)| status != "202" || value["state"] == "accepted");
    possible.map(named_example).collect()
}

fn named_example((name, summary, value): (&str, &str, Value)) -> Named<Example> {
    let example = ExampleBuilder::new().summary(summary).value(Some(value));
    (name.to_owned(), example.into())
}

/// What the problems of an operation depend on.
#[derive(Clone, Copy)]
pub(super) struct Facts {
    pub(super) has_body: bool,
    pub(super) takes_key: bool,
    for_operators: bool,
}

impl Facts {
    pub(super) fn of(operation: &Operation) -> Self {
        let is_key = |parameter: &RefOr<Parameter>| match parameter {
            RefOr::T(parameter) => parameter.name == "Idempotency-Key",
            RefOr::Ref(reference) => reference.ref_location.ends_with("/Idempotency-Key"),
        };
        Self {
            has_body: operation.request_body.is_some(),
            takes_key: operation.parameters.iter().flatten().any(is_key),
            for_operators: operation.tags.iter().flatten().any(|tag| tag == "operations"),
        }
    }
}

/// The problems of a status that an operation can end in.
fn problems(status: &str, operation: &str, facts: Facts) -> Vec<Named<Example>> {
    let of_letter = matches!(operation, "getDeadLetter" | "repairDeadLetter" | "discardDeadLetter");
    let of_status = Kind::ALL.iter().copied().filter(|kind| kind.about().status.as_str() == status);
    let met = of_status.filter(|kind| match kind {
        Kind::InvalidJson | Kind::InvalidRequest | Kind::QueueFull | Kind::OutcomeUnknown => facts.has_body,
        Kind::IdempotencyKeyRequired => facts.takes_key,
        Kind::IdempotencyKeyReused => facts.takes_key || operation == "getReceipt",
        Kind::IllegalTransition => !facts.for_operators,
        Kind::NotReady => operation == "isReady",
        Kind::OrderNotFound => operation != "getReceipt" && !facts.for_operators,
        Kind::EventNotFound => operation == "getReceipt",
        Kind::VersionNotFound => operation == "getOrder",
        Kind::LetterNotFound | Kind::LetterNotParked => of_letter,
        Kind::Discarded => operation == "proposeEvent",
        // What is described is there, but for operators only where dead letters are kept.
        Kind::NotFound => facts.for_operators,
        _ => true,
    });
    let refer = |kind: Kind| Ref::new(format!("#/components/examples/{}", kind.name()));
    met.map(|kind| (kind.name().to_owned(), RefOr::Ref(refer(kind)))).collect()
}

/// A link: its name, the operation it leads to, and where that one's parameters are.
type Lead = (&'static str, &'static str, Vec<(&'static str, &'static str)>);

/// Adds the operations that an answer leads to. Tools that test the API follow them too.
fn link(response: &mut Response, schema: &str, operation: &str) {
    let order = ("order_id", "$response.body#/order_id");
    let event = ("event_id", "$response.body#/event_id");
    let links: Vec<Lead> = match schema {
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
        "EventPage" => {
            let page = [("order_id", "$request.path.order_id"), ("cursor", "$response.body#/next_cursor")];
            vec![("page", "listEvents", page.to_vec())]
        }
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
