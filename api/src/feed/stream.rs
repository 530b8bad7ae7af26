//! Sends the feed as a live stream of server-sent events (the HTML standard, section 9.2). The handler in the parent calls
//! [`answer`].
//!
//! The client's connection pulls each chunk, so a client that does not read occupies only the memory of one chunk and
//! of the socket's buffers. If a client reads nothing until the server's write timeout has passed, the server closes the
//! connection. A stream that has reached the end of the feed costs only one waiter of the feed and one timer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use metrics::counter;
use tokio::time::{Instant, sleep_until};

use super::items::write_item;
use super::reader::{CursorOrigin, FeedReader, refused};
use crate::auth::Principal;
use crate::http::StreamSlot;
use crate::input::cursor;
use crate::ports::feed::{FeedCursor, FeedPage};
use crate::problem::Problem;
use crate::state::{AppState, SharedState};

/// How many events one call to the feed reads. An event has up to 150 KiB, so this limit bounds the memory of a stream.
const READ_AT_ONCE: usize = 50;
/// The longest time without a byte on a stream. Proxies close connections that are silent for a minute or less.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The shortest time between two reads at the end of the feed. Without this pause, thousands of streams would read
/// after each commit.
const PAUSE: Duration = Duration::from_millis(20);
/// How long the client should wait before it reconnects, in milliseconds.
const RETRY_MS: u64 = 2000;
/// This header prevents nginx from collecting the events in a buffer.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The beginning of a stream, as an example for the OpenAPI description.
pub(super) const EXAMPLE: &str = "retry: 2000\nid: 5XyTB0N5bE1mNDE\n\nid: sKezPaSRX2JmNDI\nevent: order_confirmed\n\
    data: {\"position\":\"42\",\"cursor\":\"sKezPaSRX2JmNDI\",\"version\":2,…}\n\n: heartbeat\n\n";

/// Answers with a stream of the events after `start`. Reads the first events before it answers, so that a cursor that
/// the feed refuses is answered with a problem.
pub(super) async fn answer(
    reader: FeedReader,
    start: FeedCursor,
    origin: CursorOrigin,
    principal: &Principal,
    state: &SharedState,
    slot: StreamSlot,
) -> Result<Response, Problem> {
    let first = reader.read(&start, READ_AT_ONCE).await.map_err(|error| refused(error, origin))?;
    let opening = format!("retry: {RETRY_MS}\nid: {}\n\n", cursor::after_event(&start));
    let stream = EventStream {
        reader,
        state: Arc::clone(state),
        opening: Some((opening, first)),
        place: start.clone(),
        sent: start,
        is_at_end: false,
        next_read_at: Instant::now(),
        ends_at: end_of_token(principal, state),
        _slot: slot,
    };
    let chunks = futures_util::stream::unfold(stream, |mut stream| async move {
        let chunk = stream.chunk().await?;
        Some((Ok::<_, Infallible>(chunk), stream))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (X_ACCEL_BUFFERING, HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// The time at which the principal's token expires, on the clock of tokio's timers.
fn end_of_token(principal: &Principal, state: &AppState) -> Option<Instant> {
    let left = principal.valid_until?.micros().saturating_sub((state.clock)().micros());
    Instant::now().checked_add(Duration::from_micros(u64::try_from(left).unwrap_or(0)))
}

struct EventStream {
    reader: FeedReader,
    state: SharedState,
    /// The first lines of the stream and the first page of events. `None` once they are sent.
    opening: Option<(String, FeedPage)>,
    /// The place up to which all events were sent, or skipped because of the filter.
    place: FeedCursor,
    /// The last `id` that was sent. A client that reconnects resumes after this `id`.
    sent: FeedCursor,
    /// Whether `place` is the end of the feed, so that the stream must wait before it reads again.
    is_at_end: bool,
    /// The earliest time of the next read. New events that arrive before this time are read later.
    next_read_at: Instant,
    /// When the stream must end.
    ends_at: Option<Instant>,
    _slot: StreamSlot,
}

impl EventStream {
    /// The next bytes of the stream. `None` ends the stream.
    async fn chunk(&mut self) -> Option<Bytes> {
        if let Some((opening, first)) = self.opening.take() {
            return Some(self.events(opening.into_bytes(), first));
        }
        let heartbeat_at = Instant::now() + HEARTBEAT;
        loop {
            let now = Instant::now();
            if self.ends_at.is_some_and(|end| end <= now) || self.state.is_stopping() {
                return None;
            }
            if heartbeat_at <= now {
                return Some(self.heartbeat());
            }
            if self.is_at_end {
                self.wait(self.ends_at.map_or(heartbeat_at, |end| end.min(heartbeat_at))).await;
                continue;
            }
            let page = self.read().await?;
            if !page.events.is_empty() {
                return Some(self.events(Vec::new(), page));
            }
            self.advance(page);
        }
    }

    /// Waits until the feed may have further events, the service stops, or the time `until` is reached.
    async fn wait(&mut self, until: Instant) {
        tokio::select! {
            () = self.state.stopped() => {}
            place = self.reader.wait(&self.place, until) => {
                self.place = place;
                if Instant::now() < until {
                    sleep_until(self.next_read_at.min(until)).await;
                    self.is_at_end = false;
                }
            }
        }
    }

    /// Reads the next events. If the feed fails or no longer keeps them, the stream ends, and the client gets the
    /// reason when it reconnects.
    async fn read(&self) -> Option<FeedPage> {
        let page = self.reader.read(&self.place, READ_AT_ONCE).await;
        page.inspect_err(
            |error| tracing::warn!(%error, "a stream of events ends, because the feed cannot be read"),
        )
        .ok()
    }

    /// Appends the events of a page to a chunk of the stream.
    fn events(&mut self, mut chunk: Vec<u8>, mut page: FeedPage) -> Bytes {
        let events = std::mem::take(&mut page.events);
        counter!("orders_feed_events_sent_total", "to" => "stream").increment(events.len() as u64);
        for event in events {
            let id = cursor::after_event(&event.cursor);
            let event_type = event.event.envelope.event.event_type();
            self.sent = event.cursor.clone();
            chunk.extend_from_slice(format!("id: {id}\nevent: {event_type}\ndata: ").as_bytes());
            write_item(&mut chunk, event, &id, self.reader.operates);
            chunk.extend_from_slice(b"\n\n");
        }
        self.advance(page);
        chunk.into()
    }

    fn advance(&mut self, page: FeedPage) {
        self.place = page.next;
        self.is_at_end = page.is_last;
        if self.is_at_end {
            self.next_read_at = Instant::now() + PAUSE;
        }
    }

    /// A heartbeat, which is a comment. If the filter excluded events since the last `id`, the heartbeat has a new
    /// `id`. So when the client resumes, the service does not examine these events again.
    fn heartbeat(&mut self) -> Bytes {
        if self.place == self.sent {
            return Bytes::from_static(b": heartbeat\n\n");
        }
        self.sent = self.place.clone();
        format!(": heartbeat\nid: {}\n\n", cursor::after_event(&self.sent)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_the_example_are_cursors() {
        let ids: Vec<_> = EXAMPLE.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
        let places: Vec<_> = ids.iter().map(|id| cursor::read_feed(id)).collect();
        assert_eq!(places, [41, 42].map(|position| Some(FeedCursor(vec![position]))));
        assert!(EXAMPLE.starts_with(&format!("retry: {RETRY_MS}\n")));
    }
}
