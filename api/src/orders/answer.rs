//! What a request that published is answered: the receipt, or the outcome if the client waits for it.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{AsOf, Order, Outcome, Receipt, RejectReason};

use crate::input::etag;
use crate::orders::caller::{Accepted, Caller};
use crate::orders::responses::{OrderBody, ReceiptBody};
use crate::ports::OrderSnapshot;
use crate::problem::{Kind, Problem, REPLAYED};
use crate::state::AppState;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Answers the request that created an order.
pub(crate) async fn to_creation(
    state: &AppState,
    caller: &Caller,
    accepted: Accepted,
) -> Result<Response, Problem> {
    to(state, caller, accepted, StatusCode::CREATED).await
}

/// Answers the request that proposed an event.
pub(crate) async fn to_event(
    state: &AppState,
    caller: &Caller,
    accepted: Accepted,
) -> Result<Response, Problem> {
    to(state, caller, accepted, StatusCode::OK).await
}

async fn to(
    state: &AppState,
    caller: &Caller,
    accepted: Accepted,
    recorded: StatusCode,
) -> Result<Response, Problem> {
    let Accepted { receipt, replayed } = accepted;
    let settled = match settled(state, caller, &receipt).await {
        Some(settled) if settled.request_hash != receipt.request_hash => return Err(Problem::key_reused()),
        Some(settled) => {
            let answer = with_outcome(state, caller, &settled, recorded).await;
            answer.map_err(|problem| if replayed { problem.of_replay() } else { problem })?
        }
        None => None,
    };
    let response = match settled {
        Some(response) => response,
        None => with_receipt(caller, &receipt)?,
    };
    let mut response = caller.prefer.applied(response);
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The receipt with its outcome, if the client waits and it comes in time. That it cannot be looked up is no reason to
/// say that the event was not accepted.
async fn settled(state: &AppState, caller: &Caller, receipt: &Receipt) -> Option<Receipt> {
    let until = caller.prefer.until()?;
    match state.reader.settled(&receipt.order_id, receipt.event_id, until).await {
        Ok(settled) => settled.filter(|settled| settled.outcome.is_some()),
        Err(error) => {
            let correlation_id = caller.correlation_id.as_str();
            tracing::error!(correlation_id, "cannot look up the outcome of an accepted event: {error:#}");
            None
        }
    }
}

/// The answer that the outcome calls for; the receipt for a parked event, whose outcome may still change. The event is
/// accepted, so that its order cannot be read is no reason to answer otherwise.
async fn with_outcome(
    state: &AppState,
    caller: &Caller,
    receipt: &Receipt,
    recorded: StatusCode,
) -> Result<Option<Response>, Problem> {
    match &receipt.outcome {
        Some(Outcome::Recorded { .. }) => {}
        Some(Outcome::Rejected { reason, detail, at_version }) => {
            return Err(rejected(state, caller, receipt, *reason, detail, *at_version).await);
        }
        Some(Outcome::Parked { .. }) | None => return with_receipt(caller, receipt).map(Some),
    }
    let Some(snapshot) = look(state, caller, receipt).await else {
        return with_receipt(caller, receipt).map(Some);
    };
    let mut response = (recorded, Json(OrderBody::of(&snapshot, &caller.links))).into_response();
    response.headers_mut().insert(header::ETAG, etag(&snapshot));
    let address = match recorded {
        StatusCode::CREATED => (header::LOCATION, caller.links.order(&receipt.order_id)),
        _ => (header::CONTENT_LOCATION, caller.links.order(&receipt.order_id)),
    };
    response.headers_mut().insert(address.0, HeaderValue::try_from(address.1).map_err(anyhow::Error::from)?);
    Ok(Some(response))
}

/// The order as it is now, if it can be read.
async fn look(state: &AppState, caller: &Caller, receipt: &Receipt) -> Option<OrderSnapshot> {
    readable(caller, state.reader.order(&receipt.order_id).await)
}

/// The order as it was at this version, if it can be read.
async fn look_back(state: &AppState, caller: &Caller, receipt: &Receipt, version: u64) -> Option<Order> {
    let now = look(state, caller, receipt).await?.order;
    if now.version == version {
        return Some(now);
    }
    readable(caller, state.reader.order_as_of(&receipt.order_id, AsOf::Version(version)).await)
}

fn readable<T>(caller: &Caller, order: anyhow::Result<Option<T>>) -> Option<T> {
    order.unwrap_or_else(|error| {
        let correlation_id = caller.correlation_id.as_str();
        tracing::error!(correlation_id, "cannot read the order of an accepted event: {error:#}");
        None
    })
}

/// The problem that a rejection is. Everything in it is of the moment of the decision, when the order was at `at_version`:
/// the order may have moved on since, and the same request under its key is still answered the same.
async fn rejected(
    state: &AppState,
    caller: &Caller,
    receipt: &Receipt,
    reason: RejectReason,
    detail: &str,
    at_version: Option<u64>,
) -> Problem {
    let kind = match (reason, at_version) {
        (RejectReason::Discarded, _) => Kind::Discarded,
        (_, Some(0)) => Kind::OrderNotFound,
        (RejectReason::IllegalTransition, _) => Kind::IllegalTransition,
        (RejectReason::VersionMismatch, _) => Kind::PreconditionFailed,
    };
    let order = match at_version {
        Some(version @ 1..) => look_back(state, caller, receipt, version).await,
        _ => None,
    };
    match order {
        Some(order) => Problem::of_order(kind, detail.to_owned(), &order),
        None => Problem::new(kind, detail.to_owned()),
    }
}

fn with_receipt(caller: &Caller, receipt: &Receipt) -> Result<Response, Problem> {
    let body = ReceiptBody::of(receipt, &caller.links);
    let location = HeaderValue::try_from(&body.links.own).map_err(anyhow::Error::from)?;
    let json = body.to_json().map_err(anyhow::Error::from)?;
    let mut response = Response::new(json.into());
    *response.status_mut() = StatusCode::ACCEPTED;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}
