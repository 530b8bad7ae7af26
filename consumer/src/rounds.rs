//! Sends items to a service that may accept a part of a batch, so that the items of a group arrive in order. The outputs of the
//! relay and the queue of webhook deliveries send through [`send_in_rounds`].

use std::collections::HashSet;
use std::hash::Hash;

use anyhow::anyhow;
use futures_util::StreamExt;

/// The maximum number of concurrent calls.
const CONCURRENCY: usize = 8;

/// The indices of the items of a batch.
pub type Batch = Vec<usize>;

/// Sends items in rounds, and returns one result for each. `groups` contains the group of each item.
///
/// A round has at most one item of each group. The next round begins when all items of the current round have
/// a result. `split` makes batches of a round, and `send` sends a batch and returns a result for each of its
/// items. After a failure, no later item of the group is sent.
pub async fn send_in_rounds<G: Eq + Hash, F>(
    groups: &[G],
    split: impl Fn(Batch) -> Vec<Batch>,
    send: impl Fn(Batch) -> F,
) -> Vec<anyhow::Result<()>>
where
    F: Future<Output = Vec<(usize, anyhow::Result<()>)>>,
{
    let mut results: Vec<Option<anyhow::Result<()>>> = groups.iter().map(|_| None).collect();
    let mut failed = HashSet::new();
    let mut pending: Vec<usize> = (0..groups.len()).collect();
    while !pending.is_empty() {
        let mut in_round = HashSet::new();
        let is_first = |place: &usize| in_round.insert(&groups[*place]);
        let (round, later): (Vec<_>, Vec<_>) = pending.into_iter().partition(is_first);
        let calls: Vec<_> = split(round).into_iter().map(&send).collect();
        let sent: Vec<_> = futures_util::stream::iter(calls).buffer_unordered(CONCURRENCY).collect().await;
        for (place, result) in sent.into_iter().flatten() {
            if result.is_err() {
                failed.insert(&groups[place]);
            }
            results[place] = Some(result);
        }
        pending = later;
        pending.retain(|place| !failed.contains(&groups[*place]));
    }
    let blocked = || Err(anyhow!("an earlier one of the same group was not sent"));
    results.into_iter().map(|result| result.unwrap_or_else(blocked)).collect()
}

/// Splits items into batches of at most `max_items`, whose sizes together are at most `max_bytes`. An item that is larger has
/// a batch of its own.
pub fn batches_of<T>(
    items: Vec<T>,
    bytes: impl Fn(&T) -> usize,
    max_items: usize,
    max_bytes: usize,
) -> Vec<Vec<T>> {
    let (mut batches, mut room): (Vec<Vec<T>>, usize) = (Vec::new(), 0);
    for item in items {
        let bytes = bytes(&item);
        match batches.last_mut() {
            Some(batch) if batch.len() < max_items && bytes <= room => {
                room -= bytes;
                batch.push(item);
            }
            _ => {
                room = max_bytes.saturating_sub(bytes);
                batches.push(vec![item]);
            }
        }
    }
    batches
}
