//! Reads where in the feed to start, from text. The query of the feed and the bodies of webhooks contain it.

use domain::{InvalidValue, Timestamp};

use crate::ports::feed::FeedStart;

/// Reads `oldest`, `latest` or a time. The error says what the text must be. `time` reads a time, because times in a query
/// can have errors of their own.
pub(crate) fn feed_start(
    text: &str,
    time: impl FnOnce(&str) -> Result<Timestamp, InvalidValue>,
) -> Result<FeedStart, String> {
    match text {
        "oldest" => Ok(FeedStart::Oldest),
        "latest" => Ok(FeedStart::Latest),
        text => time(text)
            .map(FeedStart::At)
            .map_err(|invalid| format!("{}; or it must be oldest or latest", invalid.rule)),
    }
}
