use super::super::Options;
use super::*;

fn event(number: u128) -> Envelope {
    let id = Uuid::from_u128(number);
    let text = format!(
        r#"{{"type":"order_confirmed","event_id":"{id}","schema_version":1,"timestamp":"2026-11-23T10:00:00Z",
            "correlation_id":"r","data":{{"order_id":"o"}}}}"#
    );
    Envelope::decode(text.as_bytes(), domain::Currency::parse("EUR").unwrap()).unwrap()
}

#[tokio::test]
async fn events_are_refused_while_the_queue_is_too_deep() {
    let folder = tempfile::TempDir::new().unwrap();
    let options = |max_queue_depth| Options {
        max_queue_depth,
        min_free_bytes: 0,
        ..Options::new(domain::Currency::parse("EUR").unwrap())
    };
    let engine = Embedded::open(folder.path(), options(2)).unwrap();
    for number in 1..=2 {
        assert!(engine.publish(&[event(number)]).await[0].is_ok());
    }
    for _ in 0..2 {
        let results = engine.publish(&[event(3), event(4)]).await;
        assert!(matches!(results.as_slice(), [Err(PublishError::Full(_)), Err(PublishError::Full(_))]));
    }
    assert_eq!(engine.queue_depth(), 2);

    drop(engine);
    let engine = Embedded::open(folder.path(), options(usize::MAX)).unwrap();
    assert!(engine.publish(&[event(3)]).await[0].is_ok(), "without a bound it takes more");
}
