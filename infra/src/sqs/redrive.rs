//! Sends dead letters back to the queue of events, for the operators' store.

use anyhow::{Context, bail};
use consumer::ports::{DEAD_LETTER, REPAIRED, REPLAYS};
use domain::DeadLetter;

use crate::repaired::repaired;
use crate::sdk::explain;

use super::publisher::text_attribute;
use super::{Queue, printable};

impl Queue {
    /// Sends a dead letter back to the queue, with its id and its number of redrives as attributes. Each redrive of a
    /// dead letter needs a different number in `sends`, which becomes part of the deduplication id. With an equal
    /// number, a FIFO queue would drop the second of two redrives within 5 minutes.
    pub(crate) async fn redrive(&self, letter: &DeadLetter, sends: u32) -> anyhow::Result<()> {
        let mut call = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(sendable(&letter.body.0)?)
            .message_attributes(DEAD_LETTER, text_attribute(&letter.id))
            .message_attributes(REPLAYS, text_attribute(&letter.replays.to_string()));
        if let Some(repaired) = repair_record(letter)? {
            call = call.message_attributes(REPAIRED, text_attribute(&repaired));
        }
        if let Some(correlation_id) = &letter.correlation_id {
            call = call.message_attributes("correlation_id", text_attribute(correlation_id.as_str()));
        }
        if self.fifo {
            let order = letter.order_id.as_ref().map(|order_id| order_id.as_str());
            let group = order.or(letter.group.as_deref()).unwrap_or(&letter.id);
            call = call.message_group_id(group).message_deduplication_id(format!("{}.{sends}", letter.id));
        }
        call.send().await.map_err(explain).with_context(|| format!("sending to {}", self.url))?;
        Ok(())
    }
}

/// The repair record as an attribute value. If the original body has characters that SQS does not accept, the record
/// contains only the hash of the body. The archive contains the original body.
fn repair_record(letter: &DeadLetter) -> anyhow::Result<Option<String>> {
    let Some(mut repaired) = repaired(letter) else { return Ok(None) };
    let mut text = serde_json::to_string(&repaired)?;
    if text.chars().any(|character| printable(character) != character) {
        repaired.original = None;
        text = serde_json::to_string(&repaired)?.chars().map(printable).collect();
    }
    Ok(Some(text))
}

/// Returns the body as text, or the reason why SQS would not accept the body.
fn sendable(body: &[u8]) -> anyhow::Result<&str> {
    let text = match std::str::from_utf8(body) {
        Ok("") => {
            bail!("the body of the dead letter is empty, and the queue accepts only text; repair it first")
        }
        Ok(text) => text,
        Err(error) => bail!(
            "the body of the dead letter is not UTF-8 (byte {} is wrong), and the queue accepts only text; repair it first",
            error.valid_up_to()
        ),
    };
    if let Some((at, character)) =
        text.char_indices().find(|(_, character)| printable(*character) != *character)
    {
        let code = u32::from(character);
        bail!(
            "the body of the dead letter has the character U+{code:04X} at byte {at}, which the queue does not accept; repair it first"
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::sendable;

    #[test]
    fn the_error_names_the_place_of_a_byte_that_sqs_refuses() {
        assert_eq!(sendable("{\n\t\"tee\": \"🫖\"}".as_bytes()).unwrap(), "{\n\t\"tee\": \"🫖\"}");
        let error = |body: &[u8]| sendable(body).unwrap_err().to_string();
        assert!(error(b"").contains("empty"));
        assert!(error(b"ab\xff").contains("byte 2 is wrong"));
        assert!(error("a\u{0}".as_bytes()).contains("U+0000 at byte 1"));
        assert!(error("\u{ffff}".as_bytes()).contains("U+FFFF at byte 0"));
    }
}
