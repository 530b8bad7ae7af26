//! Rebuilds the index of the queue from the store, when the engine opens.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::index::QueueIndex;
use crate::embedded::store::keys;
use crate::embedded::store::keyspaces::{self, Keyspaces};
use crate::embedded::store::records::{FirstReceives, MessageHeader, ReceiveCount, StoredMessage};
use crate::embedded::store::stage::Stage;
use crate::now;

/// Reads the stored messages into `index`. Messages that were in flight are visible again, because their receivers no
/// longer exist.
pub(crate) fn restore(keys: &Keyspaces, stage: &mut Stage, index: &mut QueueIndex) -> anyhow::Result<()> {
    let received = stored_receives(keys, stage)?;
    let (now, now_micros) = (Instant::now(), now().micros());
    for row in keys.queue.iter() {
        let (key, value) = row.into_inner()?;
        let seq = keys::seq_of(&key)?;
        let message = StoredMessage::decode(&value)?;
        let receives = received.get(&seq).copied();
        let visible_at = now + delay_left(&message.header, now_micros);
        index.restore(seq, &message.header.group, message.header.dedup, visible_at, receives);
    }
    if let Some(next) = keys.meta.get(keyspaces::NEXT_SEQ)? {
        index.advance_to(keys::seq_of(&next)?);
    }
    Ok(())
}

/// How long a delayed message still stays invisible. Even if the clock was set back, the result is at most the original
/// delay of the message.
fn delay_left(header: &MessageHeader, now_micros: i64) -> Duration {
    let sent_with = header.visible_at.saturating_sub(header.enqueued_at);
    let left = header.visible_at.saturating_sub(now_micros).min(sent_with);
    Duration::from_micros(u64::try_from(left).unwrap_or(0))
}

/// Reads the receive count of each message, and stages rows that replace the rows of earlier deliveries. The
/// replacement is necessary because every start numbers its deliveries from the beginning. Each new row counts one
/// message. Only messages that are still queued get a row.
fn stored_receives(keys: &Keyspaces, stage: &mut Stage) -> anyhow::Result<HashMap<u64, ReceiveCount>> {
    let mut received = HashMap::new();
    for row in keys.receives.iter() {
        let (key, value) = row.into_inner()?;
        received.insert(keys::seq_of(&key)?, ReceiveCount::decode(&value)?);
    }
    for row in keys.first_receives.iter() {
        let (key, value) = row.into_inner()?;
        let FirstReceives { at: first, seqs } = FirstReceives::decode(&value)?;
        for seq in seqs {
            if !received.contains_key(&seq) && keys.queue.contains_key(seq.to_be_bytes())? {
                let once = ReceiveCount { count: 1, first };
                stage.put(&keys.receives, seq.to_be_bytes(), once.encode());
                received.insert(seq, once);
            }
        }
        stage.remove(&keys.first_receives, key);
    }
    Ok(received)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_clock_that_was_set_back_makes_no_delay_longer() {
        const SECOND: i64 = 1_000_000;
        let sent = 1_000_000 * SECOND;
        let header = |delay: i64| MessageHeader {
            group: "g".to_owned(),
            dedup: Uuid::nil(),
            enqueued_at: sent,
            visible_at: sent + delay * SECOND,
            attributes: BTreeMap::new(),
        };
        let left = |delay, now: i64| delay_left(&header(delay), sent + now * SECOND).as_secs();
        assert_eq!((left(60, 0), left(60, 20), left(60, 100)), (60, 40, 0));
        let two_days_back = -2 * 86_400;
        assert_eq!((left(60, two_days_back), left(0, two_days_back)), (60, 0));
    }
}
