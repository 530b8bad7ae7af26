//! The kinds of problem: one table, from which the errors, their pages and the OpenAPI description are made.

use axum::http::StatusCode;

/// What is the same for every problem of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct About {
    /// The URI reference that names the kind, forever: clients compare it. It does not carry a base path.
    pub(crate) uri: &'static str,
    pub(crate) title: &'static str,
    pub(crate) status: StatusCode,
    /// What has happened, when this kind is met.
    pub(crate) meaning: &'static str,
    /// What a client should do then.
    pub(crate) advice: &'static str,
}

/// Where the pages of the kinds are.
pub(crate) const PREFIX: &str = "/problems/";

macro_rules! kinds {
    ($($kind:ident: $status:ident $name:literal, $title:literal, $meaning:literal, $advice:literal;)*) => {
        /// The kinds of problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind { $($kind),* }

        impl Kind {
            /// Every kind, by status.
            pub(crate) const ALL: &[Self] = &[$(Self::$kind),*];

            pub(crate) const fn about(self) -> About {
                match self {
                    $(Self::$kind => About {
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
        "The request could not be read as HTTP: its body broke off.",
        "Put the request right. If a connection broke, send it again.";
    InvalidJson: BAD_REQUEST "invalid-json", "The body is not valid JSON",
        "The body could not be parsed as JSON. `detail` says at which line and column.",
        "Put the body right; the same bytes will fail again.";
    InvalidParameter: BAD_REQUEST "invalid-parameter", "Invalid path or query",
        "Parameters in the path, the query or a header break their rules, are unknown, or are there twice. `errors` \
         lists all of them by name.",
        "Put every listed parameter right; the same request will fail again.";
    InvalidHeader: BAD_REQUEST "invalid-header", "Invalid header",
        "A header that matters to the request cannot be read. `errors` names it and its rule.",
        "Write the header as its rule says; the same request will fail again.";
    IdempotencyKeyRequired: BAD_REQUEST "idempotency-key-required", "An idempotency key is required",
        "This service takes requests that change something only with the header `Idempotency-Key`.",
        "Make a key of your own for each thing that is to happen once, such as a UUID, and send it along, with every \
         repetition too.";
    Unauthorized: UNAUTHORIZED "unauthorized", "Authentication is required",
        "The request carries no credentials, or such that are not valid.",
        "Send valid credentials, as `WWW-Authenticate` says.";
    Forbidden: FORBIDDEN "forbidden", "Not allowed",
        "The credentials are valid, but do not allow this.",
        "Ask for the permission, or use credentials that have it. Trying again changes nothing.";
    NotFound: NOT_FOUND "not-found", "Not found",
        "There is nothing at this path.",
        "Check the path against the OpenAPI document.";
    OrderNotFound: NOT_FOUND "order-not-found", "Order not found",
        "No event of this order is recorded, or none that the request may see. An order that was just created appears \
         when its first event is recorded.",
        "If you hold a receipt, follow its `self` link: it tells whether the event waits, was recorded or was \
         refused. Otherwise check the id.";
    VersionNotFound: NOT_FOUND "version-not-found", "The order has no such version",
        "The order exists, but has not come to the version that was asked for, or did not exist at the time that was.",
        "`detail` names the latest version.";
    EventNotFound: NOT_FOUND "event-not-found", "Event not found",
        "No event of this id was accepted for this order.",
        "Use the link of the receipt as it was given, with its query.";
    MethodNotAllowed: METHOD_NOT_ALLOWED "method-not-allowed", "Method not allowed",
        "The path exists, but does not take this method.",
        "Use one of the methods that the `Allow` header lists.";
    RequestTimeout: REQUEST_TIMEOUT "request-timeout", "The request took too long to arrive",
        "The body did not arrive in time. Nothing was accepted.",
        "Send it again, over a connection that is fast enough.";
    IllegalTransition: CONFLICT "illegal-transition", "The event is not legal now",
        "The event was accepted, and rejected because the order does not stand where it would be legal. \
         `order_status` and `order_version` are where it stood when the event was judged, and `allowed_events` what was \
         legal there.",
        "Propose an event that is legal, or none. The same event may become legal later: propose it again then, under a \
         new idempotency key. Under the old one this answer is repeated, with `Idempotent-Replayed: true`.";
    Discarded: CONFLICT "discarded", "The event was discarded",
        "The event could not be processed, and an operator decided that it is not to happen. `detail` is their reason.",
        "Ask whoever runs the service. If it is to happen after all, propose it again under a new idempotency key.";
    LetterNotFound: NOT_FOUND "dead-letter-not-found", "Dead letter not found",
        "There is no dead letter with this id. One whose event was recorded or rejected after a replay is none any more.",
        "Look at the receipt of its event, or list the dead letters.";
    LetterNotParked: CONFLICT "dead-letter-not-parked", "The dead letter is not parked",
        "The dead letter is on its way back, or was discarded; only a parked one can be changed. `detail` tells.",
        "Look at it again: what is on its way back is recorded, rejected or parked soon.";
    PreconditionFailed: PRECONDITION_FAILED "precondition-failed", "The order is not as expected",
        "The order is not at the version that `If-Match` names, or was not any more when the event was decided on.",
        "Read the order again, decide again, and send its new `ETag` as `If-Match`.";
    ForeignHost: MISDIRECTED_REQUEST "foreign-host", "The service does not answer to this host",
        "The service lets in everyone on its machine, and the request is for another name than that machine's own. A page \
         of another site could have made a browser send it.",
        "Call the service by `localhost`, or by the address that it listens on. Whoever runs it can allow other names with \
         `ORDERS_ALLOWED_HOSTS`, or let clients authenticate.";
    ContentTooLarge: PAYLOAD_TOO_LARGE "content-too-large", "Content too large",
        "The body, or the event made of it, is larger than the service or its queue takes. Nothing was accepted.",
        "Send less: fewer lines, or less metadata. `detail` states the limit.";
    UnsupportedMediaType: UNSUPPORTED_MEDIA_TYPE "unsupported-media-type", "Unsupported media type",
        "The body is not JSON by its `Content-Type`, or it is compressed by its `Content-Encoding`.",
        "Send `Content-Type: application/json`, and the body as it is: `Accept-Encoding` in the answer says the same.";
    InvalidRequest: UNPROCESSABLE_ENTITY "invalid-request", "Invalid request",
        "The body is JSON, but breaks rules. `errors` lists every error with a JSON pointer to its place, up to 100; \
         `errors_omitted` is the number of the others. Nothing was accepted.",
        "Correct every listed error; the same body will fail again.";
    IdempotencyKeyReused: UNPROCESSABLE_ENTITY "idempotency-key-reused", "The idempotency key was used for another request",
        "Another request was accepted under this key, at the same address. Nothing was accepted now.",
        "Repeat a request exactly as it was, or use a new key.";
    TooManyRequests: TOO_MANY_REQUESTS "too-many-requests", "Too many requests",
        "The client has made more requests than it may; `RateLimit` and `RateLimit-Policy` say how many that are. Or too \
         many requests with tokens that are not valid came from its address; then `detail` says so.",
        "Send the same request again after the seconds in `Retry-After`.";
    Internal: INTERNAL_SERVER_ERROR "internal", "Internal error",
        "Something went wrong inside the service, and it was logged.",
        "Try again later. If it stays, report the `correlation_id`, which finds it in the logs.";
    QueueFull: SERVICE_UNAVAILABLE "queue-full", "The queue is full",
        "The queue takes no more events for now. Nothing was accepted.",
        "Send the same request again after the seconds in `Retry-After`.";
    Overloaded: SERVICE_UNAVAILABLE "overloaded", "Too many large bodies",
        "As many large bodies are being received and handled as the service has memory for. Nothing was accepted.",
        "Send the same request again after the seconds in `Retry-After`. Smaller bodies are taken all the time.";
    Unavailable: SERVICE_UNAVAILABLE "unavailable", "Temporarily unavailable",
        "The queue could not be reached, or the request ran out of time before it published anything. Nothing was \
         accepted.",
        "Send the same request again after the seconds in `Retry-After`.";
    OutcomeUnknown: SERVICE_UNAVAILABLE "outcome-unknown", "The outcome is not known",
        "The event may have been accepted or not: it was on its way to the queue, or already written, when the answer of \
         the queue was lost, the disk failed or the time ran out. `links.receipt` is the address that its receipt has if \
         it was accepted. Of an operator's request, `detail` says what may have been changed.",
        "With an `Idempotency-Key`, send the same request again under the same key after the seconds in `Retry-After`: the \
         event happens once, whatever became of the first request. Without a key, do not send it again before you have \
         read `links.receipt`: if the receipt is there, the event was accepted. While it is 404, the event may still be \
         on its way: `detail` says when that is over.";
    NotReady: SERVICE_UNAVAILABLE "not-ready", "Not ready",
        "The service runs, but cannot take requests now; `detail` says why.",
        "Send requests elsewhere, or wait for `Retry-After` seconds.";
}

impl Kind {
    /// The kind of an error that came about outside our handlers.
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

    /// The last part of the URI, which names the page.
    pub(crate) fn name(self) -> &'static str {
        let uri = self.about().uri;
        uri.strip_prefix(PREFIX).unwrap_or(uri)
    }
}
