//! Counts the messages of a batch in the ledger, before they are acknowledged. [`execute`](crate::execute) calls this
//! module.

use crate::disposition::Disposition;
use crate::handler::HandledMessage;
use crate::ports::LedgerStore;

/// Counts the messages to be acknowledged. A message that cannot be counted is retried: it comes back with the same
/// disposition, and is counted then.
pub(crate) async fn count(store: &dyn LedgerStore, handled: &mut [HandledMessage]) {
    let is_done = |place: &usize| handled[*place].disposition.is_acknowledged();
    let done: Vec<usize> = (0..handled.len()).filter(is_done).collect();
    if done.is_empty() {
        return;
    }
    let messages: Vec<_> =
        done.iter().map(|place| (&handled[*place].message, &handled[*place].disposition)).collect();
    let counted = store.count(&messages).await;
    for (place, counted) in done.into_iter().zip(counted) {
        if let Err(error) = counted {
            tracing::warn!("cannot count a message in the ledger: {error:#}");
            handled[place].disposition =
                Disposition::Retry(format!("the message is not counted in the ledger: {error:#}"));
        }
    }
}
