//! Parses where in the feed to start. The query of the feed and the bodies of webhooks call this module.

use domain::{InvalidValue, Timestamp};

use crate::ports::feed::FeedStart;

/// Parses `oldest`, `latest` or a time. The error says what the text must be. The caller supplies the parser `time`,
/// because a query reports additional errors of times.
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
