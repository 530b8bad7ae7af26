//! The table of problem kinds. Errors, their pages and the OpenAPI description read it.

use axum::http::StatusCode;

/// What all problems of one kind have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProblemDefinition {
    /// The URI reference that identifies the kind, without a base path. Clients compare this text, so it never changes.
    pub(crate) uri: &'static str,
    pub(crate) title: &'static str,
    pub(crate) status: StatusCode,
    /// What this kind of problem means.
    pub(crate) meaning: &'static str,
    /// What the client should do about a problem of this kind.
    pub(crate) advice: &'static str,
}

/// The path below which each kind of problem has its page.
pub(crate) const PREFIX: &str = "/problems/";

macro_rules! kinds {
    ($($kind:ident: $status:ident $name:literal, $title:literal, $meaning:literal, $advice:literal;)*) => {
        /// The kinds of problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum ProblemKind { $($kind),* }

        impl ProblemKind {
            /// Every kind, sorted by status.
            pub(crate) const ALL: &[Self] = &[$(Self::$kind),*];

            pub(crate) const fn definition(self) -> ProblemDefinition {
                match self {
                    $(Self::$kind => ProblemDefinition {
                        uri: concat!("/problems/", $name),
                        title: $title,
                        status: StatusCode::$status,
                        meaning: $meaning,
                        advice: $advice,
                    },)*
                }
            }
        }
    };
}

kinds! {
    BadRequest: BAD_REQUEST "bad-request", "Bad request",
        "The request is not valid HTTP: for example, its `Host` header is missing, or its body ended early.",
        "Correct the request. If the connection broke, send the request again.";
    InvalidJson: BAD_REQUEST "invalid-json", "The body is not valid JSON",
        "The body could not be parsed as JSON. `detail` gives the line and column.",
        "Correct the body. The same body fails again.";
    InvalidParameter: BAD_REQUEST "invalid-parameter", "Invalid path or query",
        "Parameters in the path or the query are invalid, unknown or repeated. `errors` lists each of them by name.",
        "Correct every listed parameter. The same request fails again.";
    QueryNotConfigured: BAD_REQUEST "query-not-configured", "The query is not configured",
        "The service has no index that can answer this query. `detail` states which queries it can answer.",
        "Use a query for the orders of one customer that is sorted by creation time, or ask the operator of the service to create the index.";
    InvalidHeader: BAD_REQUEST "invalid-header", "Invalid header",
        "A header has an invalid value. `errors` names the header and the rule it breaks.",
        "Correct the header. The same request fails again.";
    IdempotencyKeyRequired: BAD_REQUEST "idempotency-key-required", "An idempotency key is required",
        "This service accepts write requests only with an `Idempotency-Key` header.",
        "Generate a unique key, such as a UUID, for each operation. Send the same key with every retry of the operation.";
    Unauthorized: UNAUTHORIZED "unauthorized", "Authentication is required",
        "The request has no bearer token, or the token is not valid. `detail` gives the reason.",
        "Send a valid bearer token from the issuer that this service trusts.";
    Forbidden: FORBIDDEN "forbidden", "Not allowed",
        "The credentials are valid but do not allow this request. `detail` gives the reason.",
        "Use credentials that have the permission. Retrying does not help.";
    NotFound: NOT_FOUND "not-found", "Not found",
        "Nothing exists at this path.",
        "Check the path against the OpenAPI document.";
    OrderNotFound: NOT_FOUND "order-not-found", "Order not found",
        "No event of this order is recorded, or the token may not see the order. A new order can be read once its first \
         event is recorded.",
        "If you have a receipt, follow its `self` link: it shows whether the event is in flight, was recorded or was \
         rejected. Otherwise, check the order id.";
    VersionNotFound: NOT_FOUND "version-not-found", "The order has no such version",
        "The order exists now, but it has not reached the requested version, or did not exist at the requested time.",
        "Request the latest version, which `detail` names, or an earlier version.";
    EventNotFound: NOT_FOUND "event-not-found", "Event not found",
        "No event with this id was accepted for this order, or the token may not see it.",
        "Follow the receipt's link unchanged, including its query.";
    MethodNotAllowed: METHOD_NOT_ALLOWED "method-not-allowed", "Method not allowed",
        "The path exists but does not support this method.",
        "Use one of the methods in the `Allow` header.";
    NotAcceptable: NOT_ACCEPTABLE "not-acceptable", "The representation is not available",
        "The service cannot send the representation that `Accept` names. `detail` gives the reason.",
        "Send `Accept: application/json`.";
    RequestTimeout: REQUEST_TIMEOUT "request-timeout", "The request took too long to arrive",
        "The body did not arrive in time. Nothing was accepted.",
        "Send the request again over a faster connection.";
    IllegalTransition: CONFLICT "illegal-transition", "The event is not legal now",
        "The event was accepted and then rejected, because it fails a guard, which is a condition for events of its type. `violation` names the \
         guard and the numbers that it compared. `order_status`, `order_version` and `allowed_events` describe the order at \
         the time of that decision. If another order has the reference, `links.order` is that order.",
        "Propose one of the `allowed_events`. To propose the same event later, when it may be legal, use a new \
         idempotency key: with the old key, you get this answer again, with `Idempotent-Replayed: true`.";
    Discarded: CONFLICT "discarded", "The event was discarded",
        "The event could not be processed, and an operator discarded it. `detail` is the operator's reason.",
        "Contact the operator of the service. To propose the event again, use a new idempotency key.";
    DeadLetterNotFound: NOT_FOUND "dead-letter-not-found", "Dead letter not found",
        "There is no dead letter with this id. A dead letter is removed when its event is recorded or rejected after a \
         redrive.",
        "Read the receipt of the dead letter's event, or list the dead letters.";
    DeadLetterNotParked: CONFLICT "dead-letter-not-parked", "The dead letter is not parked",
        "Only a parked dead letter can be changed. This dead letter was sent back to the queue, or was discarded; `detail` gives \
         its state.",
        "Read the dead letter again later. If it was sent back to the queue, its event is soon recorded, rejected or \
         parked again.";
    CursorExpired: GONE "cursor-expired", "The cursor has expired",
        "The events after the cursor are no longer kept.",
        "Start again with `from=oldest`, and restore what you missed in another way: for example, read the orders themselves.";
    WebhookNotFound: NOT_FOUND "webhook-not-found", "Webhook subscription not found",
        "There is no webhook subscription with this id.",
        "List the subscriptions.";
    DeliveryNotFound: NOT_FOUND "delivery-not-found", "Delivery not found",
        "The subscription has no such delivery, or the delivery cannot be skipped: only a delivery that is retried, or that the \
         service gave up, can be skipped.",
        "List the deliveries of the order. Skip the first delivery that has not succeeded.";
    WebhookConflict: CONFLICT "webhook-conflict", "The webhook subscriptions do not allow this now",
        "The service has 100 subscriptions, or the subscription has 3 valid secrets, or other requests kept changing it. \
         `detail` states which.",
        "Delete a subscription that is no longer needed, rotate the secret with an overlap of 0, or read the subscription and \
         send the request again.";
    BackupRunning: CONFLICT "backup-running", "Another backup is being read",
        "The service sends one backup at a time, because each holds a view of the whole store.",
        "Try again when the other backup has finished.";
    FenceFinal: CONFLICT "fence-final", "The fence is final",
        "The service was moved for good, so it never accepts writes again.",
        "Use the service that took its place: `GET /v1/fence` shows its address, if it is known.";
    PreconditionFailed: PRECONDITION_FAILED "precondition-failed", "The version is not one that If-Match names",
        "The order or the subscription is not at a version that `If-Match` names, or it changed before the request took effect.",
        "Read the order or the subscription again. If the request is still right, send it with the new `ETag` as `If-Match`.";
    ForeignHost: MISDIRECTED_REQUEST "foreign-host", "The service does not answer to this host",
        "The service accepts unauthenticated requests, so it answers only to its own machine's names. Otherwise, a page of \
         another site could make a browser send requests to it.",
        "Use `localhost`, or the address that the service listens on. The operator can allow other names with \
         `ORDERS_ALLOWED_HOSTS`, or require authentication.";
    ContentTooLarge: PAYLOAD_TOO_LARGE "content-too-large", "Content too large",
        "The body, or the event made from it, is larger than the service or its queue accepts. Nothing was accepted.",
        "Send less, for example fewer line items or less metadata. `detail` states the limit.";
    UnsupportedMediaType: UNSUPPORTED_MEDIA_TYPE "unsupported-media-type", "Unsupported media type",
        "The `Content-Type` is not `application/json`, or the `Content-Encoding` is not `identity`.",
        "Send `Content-Type: application/json` and an uncompressed body.";
    InvalidRequest: UNPROCESSABLE_ENTITY "invalid-request", "Invalid request",
        "The body is valid JSON but breaks rules. `errors` lists up to 100 errors, each with a JSON pointer; \
         `errors_omitted` counts the others. Nothing was accepted.",
        "Correct every listed error. The same body fails again.";
    IdempotencyKeyReused: UNPROCESSABLE_ENTITY "idempotency-key-reused", "The idempotency key was used for another request",
        "A different request to the same URL was accepted with this key. This request was not accepted.",
        "Repeat the first request exactly, or use a new key.";
    TooManyRequests: TOO_MANY_REQUESTS "too-many-requests", "Too many requests",
        "The client exceeded its limit of requests, which `RateLimit-Policy` states; or too many invalid tokens came from \
         its address. `detail` states the reason.",
        "Wait for the seconds in `Retry-After`, then send the same request again.";
    Internal: INTERNAL_SERVER_ERROR "internal", "Internal error",
        "The service failed unexpectedly. The failure is logged.",
        "Try again later. If the problem persists, report the `correlation_id`, which identifies the request in the logs.";
    NotSupported: NOT_IMPLEMENTED "not-supported", "The backend does not support this",
        "The backend that this service runs on does not support this request. `detail` states what it supports.",
        "Do without this request, or ask the operator of the service.";
    ServiceMoved: SERVICE_UNAVAILABLE "service-moved", "The service is being moved",
        "The service is being moved, or was moved, to another place. It accepts no writes, and reads go on. Nothing was accepted.",
        "Send the same request, with the same idempotency key, to the URL in `links.service`. If there is none, wait for the seconds \
         in `Retry-After`, and send the request again: the service moves, or opens again.";
    QueueFull: SERVICE_UNAVAILABLE "queue-full", "The queue is full",
        "The queue cannot accept more events at the moment. Nothing was accepted.",
        "Wait for the seconds in `Retry-After`, then send the same request again.";
    Overloaded: SERVICE_UNAVAILABLE "overloaded", "Too many large bodies",
        "The memory for large bodies is in use. Nothing was accepted.",
        "Wait for the seconds in `Retry-After`, then send the same request again. Small bodies are accepted at any time.";
    TooManyStreams: SERVICE_UNAVAILABLE "too-many-streams", "Too many streams",
        "The service, or your address, has reached its maximum number of open streams of events; or another export is running.",
        "Close streams that you do not need, or try again after the seconds in `Retry-After`. Pages of JSON are always \
         available.";
    Unavailable: SERVICE_UNAVAILABLE "unavailable", "Temporarily unavailable",
        "The queue or the token issuer's keys could not be reached, or the request timed out before anything was \
         published. Nothing was accepted.",
        "Wait for the seconds in `Retry-After`, then send the same request again.";
    OutcomeUnknown: SERVICE_UNAVAILABLE "outcome-unknown", "The outcome is unknown",
        "The event may or may not have been accepted: the queue's answer was lost, the disk failed, or the time ran out \
         while the event was being written. If it was accepted, its receipt is at `links.receipt`. For an operator's \
         request, `detail` states what may have been changed.",
        "With an `Idempotency-Key`, wait for the seconds in `Retry-After`, then send the same request with the same key \
         again: the event is recorded only once. Without a key, read `links.receipt` before you send the request again: if the receipt \
         exists, the event was accepted. A 404 may be temporary; `detail` states how long.";
    NotReady: SERVICE_UNAVAILABLE "not-ready", "Not ready",
        "The service is running but cannot handle requests now. `detail` gives the reason.",
        "Send requests to another instance, or wait for the seconds in `Retry-After` and try again.";
}

impl ProblemKind {
    /// The kind of an error that arose outside our handlers, for example in the router.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::REQUEST_TIMEOUT => Self::RequestTimeout,
            StatusCode::PAYLOAD_TOO_LARGE => Self::ContentTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            status if status.is_client_error() => Self::BadRequest,
            _ => Self::Internal,
        }
    }

    /// The last segment of the URI, which is also the name of the page.
    pub(crate) fn name(self) -> &'static str {
        let uri = self.definition().uri;
        uri.strip_prefix(PREFIX).unwrap_or(uri)
    }
}
