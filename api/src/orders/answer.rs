//! Answers a request whose event was accepted: with the receipt, or with the outcome if the client waits for the
//! outcome. `accept` calls this module.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{AsOf, Guard, Outcome, Receipt, RejectReason, Violation};

use crate::input::etag;
use crate::orders::order_response::OrderBody;
use crate::orders::responses::ReceiptBody;
use crate::orders::write_context::{AcceptedEvent, WriteContext};
use crate::ports::{OrderSnapshot, SharedOrder};
use crate::problem::{Problem, ProblemKind, REPLAYED};
use crate::state::AppState;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Answers a request that created an order.
pub(crate) async fn to_creation(
    state: &AppState,
    context: &WriteContext,
    accepted: AcceptedEvent,
) -> Result<Response, Problem> {
    answer(state, context, accepted, StatusCode::CREATED).await
}

/// Answers a request that proposed an event.
pub(crate) async fn to_event(
    state: &AppState,
    context: &WriteContext,
    accepted: AcceptedEvent,
) -> Result<Response, Problem> {
    answer(state, context, accepted, StatusCode::OK).await
}

/// Answers with the outcome or the receipt. `recorded` is the status for an event that was recorded in time.
async fn answer(
    state: &AppState,
    context: &WriteContext,
    accepted: AcceptedEvent,
    recorded: StatusCode,
) -> Result<Response, Problem> {
    let AcceptedEvent { receipt, replayed } = accepted;
    let with_outcome = match wait_for_outcome(state, context, &receipt).await {
        Some(found) if found.request_hash != receipt.request_hash => return Err(Problem::key_reused()),
        Some(found) => {
            let answer = with_outcome(state, context, &found, recorded).await;
            answer.map_err(|problem| if replayed { problem.of_replay() } else { problem })?
        }
        None => None,
    };
    let response = match with_outcome {
        Some(response) => response,
        None => with_receipt(context, &receipt)?,
    };
    let mut response = context.prefer.add_applied(response);
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The receipt with its outcome, if the client waits and the outcome is known in time. If the receipt cannot be read,
/// returns `None`: the event was accepted, so the request must not fail.
async fn wait_for_outcome(state: &AppState, context: &WriteContext, receipt: &Receipt) -> Option<Receipt> {
    let until = context.prefer.until()?;
    match state.reader.settled(&receipt.order_id, receipt.event_id, until).await {
        Ok(receipt) => receipt.filter(|receipt| receipt.outcome.is_some()),
        Err(error) => {
            let correlation_id = context.correlation_id.as_str();
            tracing::error!(correlation_id, "cannot read the outcome of an accepted event: {error:#}");
            None
        }
    }
}

/// The answer with the outcome. A parked event is answered with its receipt, because its outcome may still change. A
/// recorded event is answered with its receipt if the order cannot be read.
async fn with_outcome(
    state: &AppState,
    context: &WriteContext,
    receipt: &Receipt,
    recorded: StatusCode,
) -> Result<Option<Response>, Problem> {
    match &receipt.outcome {
        Some(Outcome::Recorded { .. }) => {}
        Some(Outcome::Rejected { reason, detail, at_version, violation }) => {
            let violation = violation.as_deref();
            let kind = kind_of_rejection(*reason, *at_version, violation);
            let problem = rejected(state, context, receipt, kind, detail, *at_version).await;
            return Err(problem.with_violation(violation, &context.links));
        }
        Some(Outcome::Parked { .. }) | None => return with_receipt(context, receipt).map(Some),
    }
    let Some(snapshot) = current_order(state, context, receipt).await else {
        return with_receipt(context, receipt).map(Some);
    };
    let mut response =
        (recorded, Json(OrderBody::of(&snapshot.order, snapshot.parked, &context.links))).into_response();
    response.headers_mut().insert(header::ETAG, etag(&snapshot));
    let address = match recorded {
        StatusCode::CREATED => (header::LOCATION, context.links.order(&receipt.order_id)),
        _ => (header::CONTENT_LOCATION, context.links.order(&receipt.order_id)),
    };
    response.headers_mut().insert(address.0, HeaderValue::try_from(address.1).map_err(anyhow::Error::from)?);
    Ok(Some(response))
}

/// The current order, if it can be read.
async fn current_order(state: &AppState, context: &WriteContext, receipt: &Receipt) -> Option<OrderSnapshot> {
    readable(context, state.reader.order(&receipt.order_id).await)
}

/// The order at `version`, if it can be read.
async fn order_at_version(
    state: &AppState,
    context: &WriteContext,
    receipt: &Receipt,
    version: u64,
) -> Option<SharedOrder> {
    let now = current_order(state, context, receipt).await?.order;
    if now.version == version {
        return Some(now);
    }
    readable(context, state.reader.order_as_of(&receipt.order_id, AsOf::Version(version)).await)
        .map(SharedOrder::from)
}

fn readable<T>(context: &WriteContext, order: anyhow::Result<Option<T>>) -> Option<T> {
    order.unwrap_or_else(|error| {
        let correlation_id = context.correlation_id.as_str();
        tracing::error!(correlation_id, "cannot read the order of an accepted event: {error:#}");
        None
    })
}

/// The kind of problem for a rejection. An event of an order that did not exist gets [`ProblemKind::OrderNotFound`]. An
/// event that creates an order gets [`ProblemKind::IllegalTransition`] instead.
fn kind_of_rejection(
    reason: RejectReason,
    at_version: Option<u64>,
    violation: Option<&Violation>,
) -> ProblemKind {
    let is_creation = violation.is_some_and(|violation| violation.guard != Guard::Exists);
    match (reason, at_version) {
        (RejectReason::Discarded, _) => ProblemKind::Discarded,
        (_, Some(0)) if !is_creation => ProblemKind::OrderNotFound,
        (RejectReason::IllegalTransition, _) => ProblemKind::IllegalTransition,
        (RejectReason::VersionMismatch, _) => ProblemKind::PreconditionFailed,
    }
}

/// The problem for a rejection. It describes the order at `at_version`, where the event was rejected, and not the
/// current order. The order may have changed since then, and a replay must get the same answer.
async fn rejected(
    state: &AppState,
    context: &WriteContext,
    receipt: &Receipt,
    kind: ProblemKind,
    detail: &str,
    at_version: Option<u64>,
) -> Problem {
    let order = match at_version {
        Some(version @ 1..) => order_at_version(state, context, receipt, version).await,
        _ => None,
    };
    match order {
        Some(order) => Problem::of_order(kind, detail.to_owned(), &order),
        None => Problem::new(kind, detail.to_owned()),
    }
}

fn with_receipt(context: &WriteContext, receipt: &Receipt) -> Result<Response, Problem> {
    let body = ReceiptBody::of(receipt, &context.links);
    let location = HeaderValue::try_from(&body.links.own).map_err(anyhow::Error::from)?;
    let json = body.to_json().map_err(anyhow::Error::from)?;
    let mut response = Response::new(json.into());
    *response.status_mut() = StatusCode::ACCEPTED;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}
