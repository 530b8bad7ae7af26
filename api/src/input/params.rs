//! Extractors of the ids in a path. The handlers of one order, event, dead letter or subscription use them.

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use domain::{EventId, InvalidValue, OrderId, SubscriptionId};
use utoipa::IntoParams;

use crate::input::validation::{ValidationCode, ValidationError};
use crate::problem::Problem;

/// The order id in the path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, names("order_id"))]
pub(crate) struct OrderPath(
    #[param(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$")] pub(crate) OrderId,
);

impl<S: Send + Sync> FromRequestParts<S> for OrderPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(order_id) =
            Path::<String>::from_request_parts(parts, state).await.map_err(|error| undecodable(&error))?;
        order_id
            .parse()
            .map(Self)
            .map_err(|invalid| Problem::invalid_parameters(vec![malformed("order_id", invalid)]))
    }
}

/// The id of a dead letter in the path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, names("id"))]
pub(crate) struct DeadLetterPath(#[param(pattern = "^[A-Za-z0-9_-]{1,100}$")] pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for DeadLetterPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) =
            Path::<String>::from_request_parts(parts, state).await.map_err(|error| undecodable(&error))?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if (1..=100).contains(&id.len()) && id.bytes().all(plain) {
            return Ok(Self(id));
        }
        let invalid = InvalidValue::new("dead letter id", "must be 1–100 characters of [A-Za-z0-9_-]");
        Err(Problem::invalid_parameters(vec![malformed("id", invalid)]))
    }
}

/// The ids of an order and an event in the path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, names("order_id", "event_id"))]
pub(crate) struct EventPath(
    #[param(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$")] pub(crate) OrderId,
    #[param(value_type = String, format = "uuid")] pub(crate) EventId,
);

impl<S: Send + Sync> FromRequestParts<S> for EventPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((order_id, event_id)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|error| undecodable(&error))?;
        match (order_id.parse(), event_id.parse()) {
            (Ok(order_id), Ok(event_id)) => Ok(Self(order_id, event_id)),
            (order_id, event_id) => {
                let order_id = order_id.err().map(|invalid| malformed("order_id", invalid));
                let event_id = event_id.err().map(|invalid| malformed("event_id", invalid));
                Err(Problem::invalid_parameters(order_id.into_iter().chain(event_id).collect()))
            }
        }
    }
}

/// The id of a webhook subscription in the path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, names("webhook_id"))]
pub(crate) struct WebhookPath(#[param(value_type = String, format = "uuid")] pub(crate) SubscriptionId);

impl<S: Send + Sync> FromRequestParts<S> for WebhookPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) =
            Path::<String>::from_request_parts(parts, state).await.map_err(|error| undecodable(&error))?;
        let id = id.parse().map_err(|invalid| malformed("webhook_id", invalid));
        id.map(Self).map_err(|error| Problem::invalid_parameters(vec![error]))
    }
}

/// The ids of a webhook subscription and an event in the path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, names("webhook_id", "event_id"))]
pub(crate) struct DeliveryPath(
    #[param(value_type = String, format = "uuid")] pub(crate) SubscriptionId,
    #[param(value_type = String, format = "uuid")] pub(crate) EventId,
);

impl<S: Send + Sync> FromRequestParts<S> for DeliveryPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((id, event_id)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|error| undecodable(&error))?;
        match (id.parse(), event_id.parse()) {
            (Ok(id), Ok(event_id)) => Ok(Self(id, event_id)),
            (id, event_id) => {
                let id = id.err().map(|invalid| malformed("webhook_id", invalid));
                let event_id = event_id.err().map(|invalid| malformed("event_id", invalid));
                Err(Problem::invalid_parameters(id.into_iter().chain(event_id).collect()))
            }
        }
    }
}

pub(crate) fn malformed(name: &'static str, invalid: InvalidValue) -> ValidationError {
    ValidationError::parameter(name, ValidationCode::Format, invalid.rule)
}

/// The error message for a name or value whose percent-encoding does not decode to UTF-8.
pub(crate) const NOT_UTF8: &str = "must be UTF-8, percent-encoded";

/// The problem that answers a path whose percent-encoding does not decode to UTF-8.
fn undecodable(rejection: &PathRejection) -> Problem {
    let key = match rejection {
        PathRejection::FailedToDeserializePathParams(error) => match error.kind() {
            ErrorKind::InvalidUtf8InPathParam { key } => key.as_str(),
            _ => "",
        },
        _ => "",
    };
    let name = ["event_id", "id", "webhook_id"].into_iter().find(|name| *name == key).unwrap_or("order_id");
    Problem::invalid_parameters(vec![ValidationError::parameter(name, ValidationCode::Format, NOT_UTF8)])
}
