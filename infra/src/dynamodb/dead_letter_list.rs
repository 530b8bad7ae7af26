//! Lists dead letters, newest first, and counts them, for the operators' store.

use api::operations::{DeadLetterFilter, DeadLetterPosition};
use aws_sdk_dynamodb::types::Select;
use domain::DeadLetterState;

use crate::sdk::explain;

use super::Table;
use super::dead_letter_index::{DISCARDED, IndexedDeadLetter, OPEN};
use super::items::{listed_time, text};
use super::list::{AFTER_ALL, INDEX};

/// The maximum number of dead letters read for one page, whether they pass the filter or not.
const MAX_READ: usize = 1000;
/// The maximum number of index pages that a count reads. At 1 MiB each, they hold far more dead letters than operators
/// can handle.
const COUNTED_PAGES: usize = 50;

/// A page of the list of dead letters, without their bodies.
#[derive(Debug, Default)]
pub(crate) struct DeadLetterPage {
    pub(crate) letters: Vec<IndexedDeadLetter>,
    pub(crate) next: Option<DeadLetterPosition>,
}

impl Table {
    /// Lists up to `limit` dead letters that pass the filter, newest first. The list begins after the position `after`.
    pub(crate) async fn list_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&DeadLetterPosition>,
        limit: usize,
    ) -> anyhow::Result<DeadLetterPage> {
        let first = filter.parked_from.map_or_else(|| "0".to_owned(), |from| listed_time(from.micros()));
        let mut last = after.map_or(AFTER_ALL.to_owned(), |after| after.key.clone());
        if let Some(before) = filter.parked_before {
            last = last.min(listed_time(before.micros()));
        }
        if let Some(order_id) =
            filter.order_id.as_ref().filter(|_| filter.state != Some(DeadLetterState::Discarded))
        {
            let sequence = self.parked_sequence(order_id).await?;
            return Ok(page_of(self.look_up_dead_letters(&sequence).await?, filter, &last, limit));
        }
        let list = if filter.state == Some(DeadLetterState::Discarded) { DISCARDED } else { OPEN };
        let (mut listed, mut read) = (DeadLetterPage::default(), 0);
        while first < last {
            // Reads two more sort keys than `limit`. One shows whether there is another page. The other makes up for
            // the last key of the previous page, which is read again because a query includes both bounds.
            let mut places = self.places(list, &first, &last, limit + 2).await?;
            places.retain(|place| *place != last);
            let page = &places[..places.len().min(limit - listed.letters.len())];
            let ids: Vec<_> =
                page.iter().filter_map(|place| Some(place.split_once('#')?.1.to_owned())).collect();
            let letters = self.look_up_dead_letters(&ids).await?.into_iter();
            listed.letters.extend(letters.filter(|indexed| filter.passes(&indexed.letter)));
            read += page.len();
            let Some(latest) = page.last().filter(|_| places.len() > page.len()) else { break };
            if listed.letters.len() == limit || read >= MAX_READ {
                listed.next = Some(DeadLetterPosition { key: latest.clone() });
                break;
            }
            last = latest.clone();
        }
        Ok(listed)
    }

    /// The number of dead letters that are parked or replaying. The index is eventually consistent, so the number may
    /// lag.
    pub(crate) async fn count_dead_letters(&self) -> anyhow::Result<u64> {
        let (mut count, mut start) = (0, None);
        for _ in 0..COUNTED_PAGES {
            let query = self
                .client
                .query()
                .table_name(&self.name)
                .index_name(INDEX)
                .select(Select::Count)
                .key_condition_expression("customer_id = :list")
                .expression_attribute_values(":list", text(OPEN))
                .set_exclusive_start_key(start);
            let page = query.send().await.map_err(explain)?;
            count += u64::try_from(page.count).unwrap_or(0);
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(count)
    }
}

/// Makes a page of the dead letters of one order that pass the filter. `letters` is the order's whole parked sequence.
fn page_of(
    mut letters: Vec<IndexedDeadLetter>,
    filter: &DeadLetterFilter,
    last: &str,
    limit: usize,
) -> DeadLetterPage {
    letters.retain(|indexed| filter.passes(&indexed.letter) && indexed.listed_at().as_str() < last);
    letters.sort_by_key(|indexed| std::cmp::Reverse(indexed.listed_at()));
    let has_next = letters.len() > limit;
    letters.truncate(limit);
    let next =
        letters.last().filter(|_| has_next).map(|latest| DeadLetterPosition { key: latest.listed_at() });
    DeadLetterPage { letters, next }
}
