//! What a request that published is answered: the receipt, or the outcome if the client waits for it.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{Outcome, Receipt, RejectReason};

use crate::accept::{Accepted, Caller};
use crate::conditional::etag;
use crate::ports::OrderSnapshot;
use crate::problem::{Kind, Problem};
use crate::responses::{OrderBody, ReceiptBody};
use crate::state::AppState;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Says that the request was accepted before.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

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
        Some(settled) => with_outcome(state, caller, &settled, recorded).await?,
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
        Some(Outcome::Rejected { reason, detail }) => {
            let snapshot = look(state, caller, receipt).await;
            return Err(rejected(receipt, *reason, detail, snapshot.as_ref().map(Option::as_ref)));
        }
        Some(Outcome::Parked { .. }) | None => return with_receipt(caller, receipt).map(Some),
    }
    let Some(Some(snapshot)) = look(state, caller, receipt).await else {
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

/// The order as it is now; `None` if it cannot be read.
async fn look(state: &AppState, caller: &Caller, receipt: &Receipt) -> Option<Option<OrderSnapshot>> {
    let log = |error: &anyhow::Error| {
        let correlation_id = caller.correlation_id.as_str();
        tracing::error!(correlation_id, "cannot read the order of an accepted event: {error:#}");
    };
    state.reader.order(&receipt.order_id).await.inspect_err(log).ok()
}

/// The problem that a rejection is, given the order if it could be read.
fn rejected(
    receipt: &Receipt,
    reason: RejectReason,
    detail: &str,
    snapshot: Option<Option<&OrderSnapshot>>,
) -> Problem {
    let kind = match reason {
        RejectReason::IllegalTransition => Kind::IllegalTransition,
        RejectReason::VersionMismatch => Kind::PreconditionFailed,
        RejectReason::Discarded => return Problem::new(Kind::Discarded, detail.to_owned()),
    };
    match snapshot {
        Some(Some(snapshot)) => Problem::of_order(kind, detail.to_owned(), &snapshot.order),
        Some(None) => Problem::unknown_order(&receipt.order_id),
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
