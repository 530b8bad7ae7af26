//! Parses the event of an invocation: a request, a ping, or an event that this function does not support. The parent's
//! `answer` calls it.

use lambda_http::request::LambdaRequest;
use serde_json::Value;

use super::IsPing;

/// A supported event.
pub(super) enum Invocation {
    /// A request for the router.
    Request(Box<LambdaRequest>),
    /// An event that only keeps the environment warm.
    Ping,
}

/// The event is not supported by this function.
#[derive(Debug, thiserror::Error)]
#[error(
    "this function answers HTTP requests from Amazon API Gateway (an HTTP or a REST API), a function URL or an Application \
     Load Balancer; this event is {0}"
)]
pub(super) struct UnsupportedEvent(&'static str);

impl Invocation {
    /// Parses an event.
    pub(super) fn read(json: &str, is_ping: IsPing) -> Result<Self, UnsupportedEvent> {
        match serde_json::from_str(json) {
            Ok(request) => Ok(Self::Request(Box::new(request))),
            Err(_) if is_ping(json) => Ok(Self::Ping),
            Err(_) => Err(UnsupportedEvent(kind(&serde_json::from_str(json).unwrap_or_default()))),
        }
    }
}

/// Describes an unsupported event as precisely as its content allows.
fn kind(event: &Value) -> &'static str {
    let context = &event["requestContext"];
    if event["Records"].is_array() {
        return "a batch of records of a queue or a stream, which the handler `consumer` processes, or `dead-letters` for \
                the dead-letter queue";
    }
    if context["serviceNetworkArn"].is_string() || event["raw_path"].is_string() {
        return "a request of VPC Lattice";
    }
    if context["connectionId"].is_string() {
        return "a message of a WebSocket API";
    }
    "none of these"
}
