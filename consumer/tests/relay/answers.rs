//! Tests the answer to a batch of the change stream: which entries it reports as failed.

use std::sync::Arc;

use crate::feed::{Feed, entry, relay};

#[tokio::test]
async fn a_batch_fails_from_its_first_failed_entry_on() {
    let feed = Arc::new(Feed::default());
    *feed.refused.lock().unwrap() = Some("b".to_owned());
    let batch = || [entry("a", 1), entry("a", 2), entry("b", 1), entry("a", 3)].map(Ok).into();
    let failure = relay(&feed).relay(batch()).await.unwrap_err();
    assert_eq!((failure.first, failure.cause.to_string().as_str()), (2, "refused"));
    let unknown = relay(&feed).relay(vec![Ok(entry("a", 1)), Ok(entry("unknown", 2))]).await.unwrap_err();
    assert!(unknown.cause.to_string().contains("unknown"), "{unknown}");
}

#[cfg(feature = "lambda")]
mod lambda {
    use std::time::Duration;

    use consumer::relay::lambda::answer;
    use lambda_runtime::{Context, LambdaEvent};
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    use super::{Arc, Feed, relay};

    fn record(name: &str, order: &str, version: u64) -> Value {
        let sk = if name == "PROJECTION" { "METADATA".to_owned() } else { format!("EVENT#{version:010}") };
        json!({
            "eventID": "e", "eventName": if name == "PROJECTION" { "INSERT" } else { name }, "awsRegion": "eu-central-1",
            "eventSource": "aws:dynamodb", "eventVersion": "1.1",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_795_953_600, "SizeBytes": 1, "StreamViewType": "NEW_IMAGE",
                "SequenceNumber": format!("{order}{version}"),
                "Keys": { "pk": { "S": format!("ORDER#{order}") }, "sk": { "S": sk } },
                "NewImage": {
                    "pk": { "S": format!("ORDER#{order}") }, "sk": { "S": sk }, "type": { "S": "order_paid" },
                    "entry": { "S": "{\"version\":1,\"recorded_at\":\"2026-11-30T10:00:00Z\"}" },
                    "due_at": { "N": "1" },
                },
            },
        })
    }

    async fn invoke(feed: &Arc<Feed>, event: &Value) -> anyhow::Result<Value> {
        let payload = RawValue::from_string(event.to_string())?;
        let mut context = Context::default();
        let deadline = std::time::SystemTime::now() + Duration::from_secs(10);
        context.deadline = deadline.duration_since(std::time::SystemTime::UNIX_EPOCH)?.as_millis() as u64;
        let answer = answer(&relay(feed), LambdaEvent::new(payload, context), |event| event == "{}").await?;
        Ok(serde_json::to_value(answer)?)
    }

    #[tokio::test]
    async fn only_new_log_entries_are_relayed() {
        let feed = Arc::new(Feed::default());
        let records = [
            record("INSERT", "a", 1),
            record("MODIFY", "a", 1),
            record("REMOVE", "a", 1),
            record("PROJECTION", "a", 1),
            record("INSERT", "a", 2),
        ];
        let answer = invoke(&feed, &json!({ "Records": records })).await.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
        assert_eq!(feed.entries(), [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    }

    #[tokio::test]
    async fn the_first_failed_record_is_named() {
        let feed = Arc::new(Feed::default());
        *feed.refused.lock().unwrap() = Some("b".to_owned());
        let records = [record("INSERT", "a", 1), record("INSERT", "b", 1), record("INSERT", "a", 2)];
        let answer = invoke(&feed, &json!({ "Records": records })).await.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "b1" }] }));
        // A record without an image cannot be relayed. Such records come from a stream with the wrong view
        // type.
        let mut without = record("INSERT", "a", 3);
        without["dynamodb"]["NewImage"].take();
        let answer = invoke(&feed, &json!({ "Records": [without] })).await.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "a3" }] }));
        // The answer cannot name a record without a sequence number, so the invocation fails as a whole.
        let mut nameless = record("INSERT", "b", 1);
        nameless["dynamodb"]["SequenceNumber"].take();
        assert!(invoke(&feed, &json!({ "Records": [nameless] })).await.is_err());
    }

    #[tokio::test]
    async fn other_events_are_errors_and_pings_are_answered() {
        let feed = Arc::new(Feed::default());
        assert_eq!(invoke(&feed, &json!({})).await.unwrap(), json!({ "batchItemFailures": [] }));
        for event in [json!([]), json!({ "Records": [{ "body": "x" }] }), json!("text")] {
            assert!(invoke(&feed, &event).await.is_err(), "{event}");
        }
    }
}
