//! Answers with a page of the feed, and waits for events at its end. The handler in the parent calls [`read`].

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use domain::RecordedEvent;
use metrics::counter;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::items::write_item;
use super::reader::{CursorOrigin, FeedReader, refused};
use crate::describe::schemas;
use crate::http::{LinkBuilder, with_next_link};
use crate::input::{FeedQuery, cursor};
use crate::ports::feed::{FeedCursor, FeedError, FeedEvent};
use crate::problem::Problem;
use crate::state::AppState;

/// How many events one call to the feed reads. An event has up to 150 KiB, so this limit bounds the memory of a call.
const READ_AT_ONCE: usize = 100;
/// The size of a full page, in bytes. A page of this size gets no further events.
const FULL_PAGE: usize = 4 << 20;

/// A page of the feed, with the oldest event first.
// This type exists for the OpenAPI description. `FeedPageDraft` writes the actual pages.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FeedPage)]
pub(crate) struct FeedPageBody {
    #[schema(schema_with = schemas::list_object)]
    object: &'static str,
    /// The events. Each has its `position` and its `cursor`.
    #[schema(schema_with = schemas::recorded_events)]
    items: Vec<RecordedEvent>,
    /// The cursor of the next page: send it as `after`. Every page contains this cursor. At the end of the feed, it leads
    /// to later events.
    next_cursor: String,
    /// Whether the feed had further events when the page was read. The filter may exclude all of these events.
    has_more: bool,
}

impl FeedPageBody {
    /// A page with the events of `log`, as an example for the descriptions.
    pub(crate) fn example(log: Vec<RecordedEvent>) -> serde_json::Value {
        let next = FeedCursor(vec![log.len() as u64]);
        let mut draft = FeedPageDraft { items: Vec::new(), count: 0, next, has_more: false };
        for (position, event) in (1..).zip(log) {
            let (position, cursor) = (position.to_string(), FeedCursor(vec![position]));
            draft.push(FeedEvent { position, cursor, event }, false);
        }
        serde_json::from_slice(&draft.into_json()).expect("a page is JSON")
    }
}

/// A page that is still being filled.
pub(super) struct FeedPageDraft {
    /// The items as JSON, separated by commas.
    items: Vec<u8>,
    count: usize,
    next: FeedCursor,
    has_more: bool,
}

/// Reads up to `limit` events after `start`. If there are none, waits until the first events arrive, the time `until`
/// is reached or the service stops.
pub(super) async fn read(
    reader: &FeedReader,
    start: FeedCursor,
    limit: usize,
    until: Option<Instant>,
    state: &AppState,
) -> Result<FeedPageDraft, Problem> {
    let mut page = FeedPageDraft { items: Vec::new(), count: 0, next: start, has_more: true };
    loop {
        page.fill(reader, limit).await.map_err(|error| refused(error, CursorOrigin::Query))?;
        let Some(until) = until.filter(|until| page.count == 0 && Instant::now() < *until) else {
            return Ok(page);
        };
        if page.has_more {
            continue;
        }
        tokio::select! {
            next = reader.wait(&page.next, until) => page.next = next,
            () = state.stopped() => return Ok(page),
        }
    }
}

impl FeedPageDraft {
    /// Fills the page: reads events until the page is full, the feed has no more events, or a call returns fewer events
    /// than requested.
    async fn fill(&mut self, reader: &FeedReader, limit: usize) -> Result<(), FeedError> {
        while self.count < limit && self.items.len() < FULL_PAGE {
            let asked = READ_AT_ONCE.min(limit - self.count);
            let page = reader.read(&self.next, asked).await?;
            let found = page.events.len();
            page.events.into_iter().for_each(|event| self.push(event, reader.operates));
            (self.next, self.has_more) = (page.next, !page.is_last);
            if page.is_last || found < asked {
                break;
            }
        }
        Ok(())
    }

    fn push(&mut self, event: FeedEvent, operates: bool) {
        if self.count > 0 {
            self.items.push(b',');
        }
        let cursor = cursor::after_event(&event.cursor);
        write_item(&mut self.items, event, &cursor, operates);
        self.count += 1;
    }

    /// Encodes the page as JSON. The items are encoded already, so the text is concatenated.
    fn into_json(self) -> Vec<u8> {
        let Self { items, next, has_more, .. } = self;
        let mut json = Vec::with_capacity(items.len() + 256);
        json.extend_from_slice(br#"{"object":"list","items":["#);
        json.extend_from_slice(&items);
        json.extend_from_slice(br#"],"next_cursor":""#);
        json.extend_from_slice(cursor::after_event(&next).as_bytes());
        json.extend_from_slice(br#"","has_more":"#);
        json.extend_from_slice(if has_more { b"true}" } else { b"false}" });
        json
    }

    /// The response with the page. If the feed has more events, the response has a link to the next page.
    pub(super) fn into_response(self, query: &FeedQuery, links: &LinkBuilder) -> Result<Response, Problem> {
        counter!("orders_feed_events_sent_total", "to" => "page").increment(self.count as u64);
        let link = self.has_more.then(|| links.next_feed(&query.next(&cursor::after_event(&self.next))));
        let json = HeaderValue::from_static("application/json");
        let response = ([(header::CONTENT_TYPE, json)], Body::from(self.into_json())).into_response();
        with_next_link(response, link)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_concatenated_page_equals_the_one_of_serde() {
        for has_more in [true, false] {
            let next = FeedCursor(vec![7]);
            let body = FeedPageBody {
                object: schemas::LIST,
                items: Vec::new(),
                next_cursor: cursor::after_event(&next),
                has_more,
            };
            let draft = FeedPageDraft { items: Vec::new(), count: 0, next, has_more };
            assert_eq!(draft.into_json(), serde_json::to_vec(&body).unwrap());
        }
        let items = br#"{"a":1},{"a":2}"#.to_vec();
        let draft = FeedPageDraft { items, count: 2, next: FeedCursor(vec![7]), has_more: false };
        let json: Value = serde_json::from_slice(&draft.into_json()).unwrap();
        assert_eq!(json["items"][1]["a"], 2);
    }
}
