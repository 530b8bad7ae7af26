//! `GET /v1/events`: the feed of recorded events, as pages of JSON or as a live stream. `lib.rs` adds the [`routes`].
//!
//! `reader` reads the port [`EventFeed`](crate::ports::feed::EventFeed) for one client. `items` writes an event as JSON,
//! which pages and streams share. `page` answers with a page and waits for events, and `stream` sends server-sent events.
//! `http::event_streams` limits how many clients may have a stream.

mod items;
mod page;
mod reader;
mod stream;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use serde_json::json;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::reader::{CursorOrigin, FeedReader};
use crate::auth::{Principal, Scope};
use crate::describe::schemas::header_parameter;
use crate::http::{LinkBuilder, client_network};
use crate::input::{FeedPlace, FeedQuery, Prefer, Representation, cursor};
use crate::ports::feed::FeedCursor;
use crate::problem::{Problem, ProblemKind};
use crate::state::SharedState;

pub(crate) use self::page::FeedPageBody;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The endpoint and its description.
pub(crate) fn routes() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(read_feed))
}

/// Reads the recorded events of all orders
///
/// Returns events in the order in which they were recorded; the events of one order are always in the order of their
/// versions. Continue with `next_cursor`, which every page has: at the end of the feed it leads to the events that are
/// recorded later. A page can be short or even empty although more pages follow (`has_more`). A reader gets each event
/// at least once. A token that is limited to a customer reads only the events of that customer's orders.
///
/// With `Prefer: wait=N`, a request at the end of the feed waits up to N seconds for an event that passes the filter.
///
/// With `Accept: text/event-stream`, the answer is a stream of server-sent events, which stays open and sends new events as
/// they are recorded. The `id` of an event is its cursor, `event` is its type, and `data` is the item of a page as one line
/// of JSON. A reader that reconnects with `Last-Event-ID` continues without a gap. The stream contains a comment every 15
/// seconds, and ends when the token expires or the service stops.
#[utoipa::path(
    get,
    path = "/v1/events",
    operation_id = "readFeed",
    tag = "orders",
    params(FeedQuery, FeedHeaders),
    responses(
        (status = 200, description = "A page of events, or the stream", content(
            (FeedPageBody = "application/json"),
            (String = "text/event-stream", example = json!(stream::EXAMPLE)),
        )),
        (status = 400, description = "The query or a header has errors, or the cursor does not belong to this feed"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The service has no feed"),
        (status = 406, description = "This deployment cannot send a stream"),
        (status = 410, description = "The events after the cursor are no longer kept"),
    )
)]
pub(crate) async fn read_feed(
    State(state): State<SharedState>,
    principal: Principal,
    links: LinkBuilder,
    prefer: Prefer,
    representation: Representation,
    client: StreamClient,
    query: FeedQuery,
) -> Result<Response, Problem> {
    principal.require(Scope::Read)?;
    let missing = "This service has no feed. The operator of the service has to turn the feed on.";
    let feed = state.feed.clone().ok_or_else(|| Problem::new(ProblemKind::NotFound, missing))?;
    let reader = FeedReader::new(feed, query.filter.clone(), &principal);
    let mut response = match representation {
        Representation::Json => {
            let start = place(&reader, &query.place).await?;
            let page = page::read(&reader, start, query.limit, prefer.until(), &state).await?;
            prefer.add_applied(page.into_response(&query, &links)?)
        }
        Representation::EventStream => {
            let streams = state.event_streams.as_ref().ok_or_else(no_streams)?;
            let slot = streams.take(client.network)?;
            let (start, origin) = match client.last_event_id()? {
                Some(cursor) => (cursor, CursorOrigin::LastEventId),
                None => (place(&reader, &query.place).await?, CursorOrigin::Query),
            };
            stream::answer(reader, start, origin, &principal, &state, slot).await?
        }
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_name(header::ACCEPT));
    Ok(response)
}

/// Converts the place where a query starts to a cursor.
async fn place(reader: &FeedReader, place: &FeedPlace) -> Result<FeedCursor, Problem> {
    match place {
        FeedPlace::After(cursor) => Ok(cursor.clone()),
        FeedPlace::From(start) => Ok(reader.start(*start).await?),
    }
}

fn no_streams() -> Problem {
    let detail = "This deployment runs behind a gateway that cannot send a stream. Read pages of JSON, and wait for new events \
                  with Prefer: wait.";
    Problem::new(ProblemKind::NotAcceptable, detail)
}

/// The parts of the request that a stream needs besides the query.
pub(crate) struct StreamClient {
    /// The network that the client connects from, if it is known.
    network: Option<IpAddr>,
    last_event_id: Option<HeaderValue>,
}

impl StreamClient {
    /// The cursor that the header `Last-Event-ID` contains. An empty header counts as absent.
    fn last_event_id(&self) -> Result<Option<FeedCursor>, Problem> {
        let Some(value) = self.last_event_id.as_ref().filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let place = value.to_str().ok().and_then(cursor::read_feed);
        place
            .map(Some)
            .ok_or_else(|| Problem::invalid_header("Last-Event-ID", "must be the id of an event of the feed"))
    }
}

impl<S: Sync> FromRequestParts<S> for StreamClient {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let network = peer.map(|ConnectInfo(peer)| client_network(peer));
        Ok(Self { network, last_event_id: last_event_id(&parts.headers) })
    }
}

fn last_event_id(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(LAST_EVENT_ID).cloned()
}

/// The headers of the request, for the description.
struct FeedHeaders;

impl IntoParams for FeedHeaders {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let prefer = "`wait=N`: at the end of the feed, wait up to N seconds (at most 25) for an event that passes the filter. \
            Other preferences are ignored. A stream waits without this header.";
        let last = "The `id` of the last event that a stream has sent. The stream continues after it, whatever the query \
            states. Pages ignore this header.";
        vec![
            header_parameter("Prefer", prefer, json!({ "type": "string" })),
            header_parameter("Last-Event-ID", last, json!({ "type": "string" })),
        ]
    }
}
