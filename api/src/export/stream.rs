//! Sends an export as lines of JSON. The handler in the parent calls [`answer`].
//!
//! The client's connection pulls each chunk, so a slow client holds one chunk in memory. The server closes the connection
//! of a client that reads nothing for its write timeout.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use domain::RecordedEvent;
use tokio::sync::OwnedSemaphorePermit;

use super::format::ExportWriter;
use crate::ports::export::ExportReader;
use crate::problem::Problem;
use crate::state::SharedState;

/// The last lines of an export, as an example for the description.
pub(super) const EXAMPLE: &str = "{\"version\":1,\"recorded_at\":\"2026-11-23T10:00:00.000000Z\",…}\n\
    {\"version\":2,\"recorded_at\":\"2026-11-23T10:00:05.000000Z\",…}\n\
    {\"object\":\"export_end\",\"orders\":1,\"events\":2,\"sha256\":\"5c3f…\"}\n";

/// Answers with the whole export. Reads the first events before it answers, so that a failed read is answered with a
/// problem.
pub(super) async fn answer(
    mut reader: Box<dyn ExportReader>,
    state: &SharedState,
    slot: OwnedSemaphorePermit,
) -> Result<Response, Problem> {
    let first = reader.next().await?;
    let stream = ExportStream {
        state: Arc::clone(state),
        reader,
        writer: Some(ExportWriter::default()),
        first: Some(first),
        _slot: slot,
    };
    let chunks = futures_util::stream::unfold(stream, |mut stream| async move {
        let chunk = stream.chunk().await?;
        Some((chunk, stream))
    });
    let content_type = HeaderValue::from_static("application/x-ndjson");
    Ok(([(header::CONTENT_TYPE, content_type)], Body::from_stream(chunks)).into_response())
}

/// An export that is being sent.
struct ExportStream {
    state: SharedState,
    reader: Box<dyn ExportReader>,
    /// `None` once the last line was sent, or the export has failed.
    writer: Option<ExportWriter>,
    /// The first events, which were read before the answer began. `None` once they are sent.
    first: Option<Option<Vec<RecordedEvent>>>,
    _slot: OwnedSemaphorePermit,
}

impl ExportStream {
    /// The next lines. `None` ends the answer. An error breaks the connection, so that every client notices that the
    /// export is not whole.
    async fn chunk(&mut self) -> Option<io::Result<Bytes>> {
        let mut writer = self.writer.take()?;
        let mut lines = Vec::new();
        while lines.is_empty() {
            match self.read().await {
                Ok(Some(events)) => events.iter().for_each(|event| writer.add(&mut lines, event)),
                Ok(None) => return Some(Ok(writer.end().into())),
                Err(error) => {
                    tracing::warn!("an export ends early: {error:#}");
                    return Some(Err(io::Error::other("the export ends early")));
                }
            }
        }
        self.writer = Some(writer);
        Some(Ok(lines.into()))
    }

    async fn read(&mut self) -> anyhow::Result<Option<Vec<RecordedEvent>>> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        tokio::select! {
            biased;
            () = self.state.stopped() => anyhow::bail!("the service is stopping"),
            events = self.reader.next() => events,
        }
    }
}
