//! Decodes the files and objects of an archive of dead letters. `orders dlq import` uses this module.

use anyhow::{Context, bail};
use domain::{Currency, DeadLetter, Envelope, ParkReason, Timestamp, identify};
use infra::embedded::Incoming;
use serde_json::Value;

use super::ids::checked_id;

/// Decodes one dead letter. There are three forms: the archive's own JSON, the record `{message, attributes}` of a v0
/// producer's archive, and a bare message, whose id is the file `name`. `from` is the place where the dead letter was
/// read, for error messages.
pub(super) fn decode(
    from: String,
    name: &str,
    bytes: Vec<u8>,
    default_currency: Currency,
) -> anyhow::Result<Incoming> {
    let json: Option<Value> = serde_json::from_slice(&bytes).ok();
    let has = |member: &str| json.as_ref().is_some_and(|json| json.get(member).is_some());
    if has("id") && has("parked_at") {
        let letter: DeadLetter =
            serde_json::from_slice(&bytes).context("the entry is not a valid dead letter")?;
        return Ok(Incoming { letter: with_identity_of_body(letter)?, from, names_itself: true });
    }
    if has("message") && has("attributes") {
        let json = json.unwrap_or_default();
        let letter = decode_v0_record(checked_id(name)?, &json);
        return Ok(Incoming { letter, from, names_itself: false });
    }
    let (reason, detail) = match Envelope::decode(&bytes, default_currency) {
        Err(error) => (error.reason(), error.to_string()),
        Ok(_) => {
            (ParkReason::TriesExhausted, "the archive contains only the message, without a reason".to_owned())
        }
    };
    let letter = DeadLetter::new(checked_id(name)?, bytes, reason, detail, infra::now());
    Ok(Incoming { letter, from, names_itself: false })
}

/// Replaces the ids and the type of a dead letter with those in its body, because an operator may have edited the body
/// in the archive. The order id must not change.
fn with_identity_of_body(letter: DeadLetter) -> anyhow::Result<DeadLetter> {
    checked_id(&letter.id)?;
    let body = identify(&letter.body.0);
    if let (Some(ours), Some(theirs)) = (&letter.order_id, &body.order_id)
        && ours != theirs
    {
        bail!("the order id of the dead letter is {ours}, but the body contains the order id {theirs}");
    }
    Ok(DeadLetter {
        order_id: body.order_id.or(letter.order_id),
        event_id: body.event_id.or(letter.event_id),
        event_type: body.event_type.or(letter.event_type),
        ..letter
    })
}

/// Decodes `{message, attributes, original_queue, processed_at}` from a file that is named after the message's id.
fn decode_v0_record(name: &str, json: &Value) -> DeadLetter {
    let time = json["processed_at"].as_str().and_then(|time| Timestamp::parse(time).ok());
    let body = match &json["message"] {
        Value::String(text) => text.clone().into_bytes(),
        message => message.to_string().into_bytes(),
    };
    let detail = "the archive does not contain the reason".to_owned();
    let at = time.unwrap_or_else(infra::now);
    let mut letter = DeadLetter::new(name, body, ParkReason::TriesExhausted, detail, at);
    let text = |name: &str| json["attributes"][name].as_str();
    let millis = |name: &str| Timestamp::from_millis(text(name)?.parse().ok()?);
    letter.origin = json["original_queue"].as_str().unwrap_or_default().to_owned();
    letter.group = text("MessageGroupId").map(str::to_owned);
    letter.receive_count = text("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(0);
    letter.sent_at = millis("SentTimestamp");
    letter.first_received_at = millis("ApproximateFirstReceiveTimestamp");
    letter
}

#[cfg(test)]
mod tests {
    use domain::MessageBody;
    use serde_json::json;

    use super::*;

    fn letter(name: &str, bytes: Vec<u8>) -> anyhow::Result<DeadLetter> {
        incoming(name, bytes).map(|incoming| incoming.letter)
    }

    fn incoming(name: &str, bytes: Vec<u8>) -> anyhow::Result<Incoming> {
        super::decode("somewhere".to_owned(), name, bytes, Currency::parse("EUR").unwrap())
    }

    #[test]
    fn all_three_forms_of_an_archived_dead_letter_are_decoded() {
        let at = Timestamp::parse("2026-11-23T10:00:00Z").unwrap();
        let ours = DeadLetter::new("a", vec![0xff], ParkReason::Invalid, "x".to_owned(), at);
        assert_eq!(letter("other", serde_json::to_vec(&ours).unwrap()).unwrap(), ours);

        let v0_record = json!({
            "message": { "type": "order_updated", "data": { "order_id": "A-1", "status": "paid" } },
            "attributes": { "ApproximateReceiveCount": "4", "SentTimestamp": "1763892000000" },
            "original_queue": "arn:aws:sqs:eu-central-1:1:orders", "processed_at": "2026-11-23T10:00:00.123456",
        });
        let read = letter("m-1", v0_record.to_string().into_bytes()).unwrap();
        assert_eq!(
            (read.id.as_str(), read.order_id.unwrap().as_str(), read.receive_count),
            ("m-1", "A-1", 4)
        );
        assert_eq!(read.origin, "arn:aws:sqs:eu-central-1:1:orders");
        assert_eq!(read.body, MessageBody(v0_record["message"].to_string().into_bytes()));

        let bare = letter("m-2", b"{ noise".to_vec()).unwrap();
        assert_eq!((bare.reason, bare.body), (ParkReason::Malformed, MessageBody(b"{ noise".to_vec())));
        assert!(letter("m 3", b"noise".to_vec()).unwrap_err().to_string().contains("m 3"));
        let broken = br#"{"id":"a","parked_at":"yesterday","body":"x"}"#.to_vec();
        assert!(format!("{:#}", letter("a", broken).unwrap_err()).contains("RFC 3339"));
    }

    #[test]
    fn only_the_archives_own_form_contains_its_id() {
        let ours = json!({ "id": "a", "parked_at": "2026-11-23T10:00:00Z", "reason": "invalid", "detail": "", "body": "x" });
        assert!(incoming("other", ours.to_string().into_bytes()).unwrap().names_itself);
        for other in ["junk", r#"{"message":"x","attributes":{}}"#, r#"{"id":"a"}"#] {
            assert!(!incoming("a", other.as_bytes().to_vec()).unwrap().names_itself, "{other}");
        }
    }

    #[test]
    fn ids_and_type_come_from_the_body_and_another_order_is_refused() {
        let id = "0199d3a0-0000-7000-8000-00000000beef";
        let body = format!(r#"{{"event_id":"{id}","type":"order_paid","data":{{"order_id":"o-1"}}}}"#);
        let with = |order: &str| {
            json!({ "id": "a", "parked_at": "2026-11-23T10:00:00Z", "reason": "invalid", "detail": "", "body": body,
                    "order_id": order, "event_type": "order_shipped" })
        };
        let right = letter("a", with("o-1").to_string().into_bytes()).unwrap();
        assert_eq!(
            (right.event_type.as_deref(), right.event_id.unwrap().to_string().as_str()),
            (Some("order_paid"), id)
        );
        let wrong = letter("a", with("o-2").to_string().into_bytes()).unwrap_err().to_string();
        assert_eq!(wrong, "the order id of the dead letter is o-2, but the body contains the order id o-1");
        for id in ["../escaped", "", "a b"] {
            let mut json = with("o-1");
            json["id"] = id.into();
            assert!(
                letter("a", json.to_string().into_bytes())
                    .unwrap_err()
                    .to_string()
                    .contains("is not a valid dead-letter id")
            );
        }
    }
}
