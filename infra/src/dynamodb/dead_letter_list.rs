//! The list of dead letters, newest first, and how many there are.

use api::operations::{LetterFilter, LetterPosition};
use aws_sdk_dynamodb::types::Select;
use domain::LetterState;

use crate::aws::explain;

use super::Table;
use super::items::{listed_time, text};
use super::letters::{DISCARDED, Indexed, OPEN};
use super::list::{BEHIND_ALL, INDEX};

/// How many letters are looked at for one page, whether they pass the filter or not.
const LOOKED_AT: usize = 1000;
/// How many pages of the index are counted: at 1 MiB each, far more letters than anybody can look after.
const COUNTED_PAGES: usize = 50;

/// A part of the list, without bodies.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) letters: Vec<Indexed>,
    pub(crate) next: Option<LetterPosition>,
}

impl Table {
    /// Up to `limit` letters that pass the filter, newest first, from behind `after` on.
    pub(crate) async fn list_letters(
        &self,
        filter: &LetterFilter,
        after: Option<&LetterPosition>,
        limit: usize,
    ) -> anyhow::Result<Listed> {
        let first = filter.parked_from.map_or_else(|| "0".to_owned(), |from| listed_time(from.micros()));
        let mut last = after.map_or(BEHIND_ALL.to_owned(), |after| after.key.clone());
        if let Some(before) = filter.parked_before {
            last = last.min(listed_time(before.micros()));
        }
        if let Some(order_id) =
            filter.order_id.as_ref().filter(|_| filter.state != Some(LetterState::Discarded))
        {
            let line = self.line(order_id).await?;
            return Ok(page_of(self.known_letters(&line).await?, filter, &last, limit));
        }
        let list = if filter.state == Some(LetterState::Discarded) { DISCARDED } else { OPEN };
        let (mut listed, mut looked_at) = (Listed::default(), 0);
        while first < last {
            // One more than asked for tells whether the list goes on. The bounds of a query are both inclusive, so the
            // place that it goes on behind comes once more.
            let mut places = self.places(list, &first, &last, limit + 2).await?;
            places.retain(|place| *place != last);
            let page = &places[..places.len().min(limit - listed.letters.len())];
            let ids: Vec<_> =
                page.iter().filter_map(|place| Some(place.split_once('#')?.1.to_owned())).collect();
            let letters = self.known_letters(&ids).await?.into_iter();
            listed.letters.extend(letters.filter(|indexed| filter.passes(&indexed.letter)));
            looked_at += page.len();
            let Some(latest) = page.last().filter(|_| places.len() > page.len()) else { break };
            if listed.letters.len() == limit || looked_at >= LOOKED_AT {
                listed.next = Some(LetterPosition { key: latest.clone() });
                break;
            }
            last = latest.clone();
        }
        Ok(listed)
    }

    /// How many letters are parked or on their way back. The index may lag.
    pub(crate) async fn count_letters(&self) -> anyhow::Result<u64> {
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

/// The same from letters that are at hand: those of an order, which are few.
fn page_of(mut letters: Vec<Indexed>, filter: &LetterFilter, last: &str, limit: usize) -> Listed {
    letters.retain(|indexed| filter.passes(&indexed.letter) && indexed.listed_at().as_str() < last);
    letters.sort_by_key(|indexed| std::cmp::Reverse(indexed.listed_at()));
    let goes_on = letters.len() > limit;
    letters.truncate(limit);
    let next = letters.last().filter(|_| goes_on).map(|latest| LetterPosition { key: latest.listed_at() });
    Listed { letters, next }
}
