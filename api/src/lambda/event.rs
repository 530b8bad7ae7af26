//! Parses the event of an invocation: a request, a ping, or an event that this Lambda function does not support. `answer`
//! in the parent calls this module.

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

/// The error for an event that this Lambda function does not support.
#[derive(Debug, thiserror::Error)]
#[error(
    "this Lambda function answers HTTP requests from Amazon API Gateway (an HTTP or a REST API), a function URL or an \
     Application Load Balancer; this event is {0}"
)]
pub(super) struct UnsupportedEvent(&'static str);

impl Invocation {
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
        return "a batch of records from a queue or a stream, for another handler such as `consumer` or `dead-letters`";
    }
    if context["serviceNetworkArn"].is_string() || event["raw_path"].is_string() {
        return "a request from VPC Lattice";
    }
    if context["connectionId"].is_string() {
        return "a message from a WebSocket API";
    }
    "none of these"
}
