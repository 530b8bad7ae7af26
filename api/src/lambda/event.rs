//! The event of an invocation: a request, a ping, or nothing that this function is for. [`super::answer`] reads it.

use lambda_http::request::LambdaRequest;
use serde_json::Value;

use super::IsPing;

/// What an invocation brings.
pub(super) enum Event {
    /// A request for the router.
    Request(Box<LambdaRequest>),
    /// Something that only keeps the environment warm.
    Ping,
}

/// The event is for another function, or for none.
#[derive(Debug, thiserror::Error)]
#[error(
    "this function answers HTTP requests that come from Amazon API Gateway (an HTTP or a REST API), from a function URL or \
     from an Application Load Balancer; this event is {0}"
)]
pub(super) struct NoRequest(&'static str);

impl Event {
    /// Reads the event, which is JSON.
    pub(super) fn read(json: &str, is_ping: IsPing) -> Result<Self, NoRequest> {
        match serde_json::from_str(json) {
            Ok(request) => Ok(Self::Request(Box::new(request))),
            Err(_) if is_ping(json) => Ok(Self::Ping),
            Err(_) => Err(NoRequest(kind(&serde_json::from_str(json).unwrap_or_default()))),
        }
    }
}

/// What an event that is no request is, as far as one can tell.
fn kind(event: &Value) -> &'static str {
    let context = &event["requestContext"];
    if event["Records"].is_array() {
        return "a batch of records, of a queue or a stream: the handler for it is `consumer`, or `dead-letters` behind the \
                dead-letter queue";
    }
    if context["serviceNetworkArn"].is_string() || event["raw_path"].is_string() {
        return "a request of VPC Lattice";
    }
    if context["connectionId"].is_string() {
        return "a message of a WebSocket API";
    }
    "none of these"
}
