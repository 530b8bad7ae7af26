//! Recognises events that only keep a Lambda function warm. The roles in [`super::lambda`] answer such an event and do
//! nothing else.

use serde_json::Value;

/// The names of members by which common tools mark their pings.
const MARKS: [&str; 4] = ["ping", "warmup", "warmer", "#warmer"];
/// The senders of pings: EventBridge rules and schedules, and the warm-up plugin of the Serverless Framework.
const SENDERS: [&str; 3] = ["aws.events", "aws.scheduler", "serverless-plugin-warmup"];

/// Whether an event is a ping: the event is empty (`{}` or `null`) or marked as a ping. The caller has already checked
/// that the event is neither a request nor a batch.
pub(super) fn is_ping(event: &str) -> bool {
    match serde_json::from_str(event) {
        Ok(Value::Null) => true,
        Ok(Value::Object(event)) => {
            let sender = event.get("source").and_then(Value::as_str);
            event.is_empty()
                || sender.is_some_and(|sender| SENDERS.contains(&sender))
                || MARKS.iter().any(|mark| event.contains_key(*mark))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_are_recognised_among_other_events() {
        for ping in [
            "{}",
            " { } ",
            "null",
            r#"{"warmer":true,"concurrency":3}"#,
            r#"{"ping":1}"#,
            r#"{"source":"serverless-plugin-warmup"}"#,
            r#"{"version":"0","detail-type":"Scheduled Event","source":"aws.events","resources":[],"detail":{}}"#,
        ] {
            assert!(is_ping(ping), "{ping}");
        }
        for other in [
            "[]",
            "7",
            r#""ping""#,
            "{",
            r#"{"Records":[]}"#,
            r#"{"source":"aws.s3","detail":{}}"#,
            r#"{"requestContext":{}}"#,
        ] {
            assert!(!is_ping(other), "{other}");
        }
    }
}
