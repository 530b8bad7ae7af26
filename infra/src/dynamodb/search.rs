//! The search index, which lists the orders of all customers by creation time and by update time. [`read`](super::read)
//! searches it. The index costs additional writes, so it exists only where it is configured.
//!
//! The index has two lists, each in [`SHARDS`] partitions so that no partition takes all writes:
//!
//! | list | entries | sorted by | costs |
//! |---|---|---|---|
//! | `created` | each order's first log entry | creation time | one write per order |
//! | `updated` | each projection, with the order's status words | update time | one write for the first projection, two for each later one |
//!
//! An order with one event has no projection, so it is in the first list only. Its update time is its creation time,
//! so a search by update time reads both lists. An entry may be out of date. So readers read the order itself, and
//! skip the entry if the order no longer belongs at its place.

use anyhow::Context;
use api::ports::{MAX_ORDERS_SCANNED, OrderFilter, OrderList, OrderPosition, OrderSnapshot, OrderSort};
use domain::{Order, OrderId, Timestamp};

use crate::sdk::explain;

use super::Table;
use super::items::{
    Attributes, SHARDS, TableItem, listed_at, listed_position, listed_time, shard_of, string, text,
};
use super::list::AFTER_ALL;

pub(super) const SEARCH_INDEX: &str = "order-search";
/// The key attributes of the index, the hash key first.
pub(super) const SEARCH_KEYS: [&str; 2] = ["search_list", "search_at"];
/// The attributes that the index copies from projections.
pub(super) const SEARCH_WORDS: [&str; 3] = ["status", "payment_status", "fulfilment_status"];

/// The maximum number of entries that are read for one page.
const MAX_ENTRIES: usize = 10_000;
/// The limit for searches whose filter few orders may pass. One query reads at most this many entries of a partition,
/// and at most this many orders are read together.
const SELECTIVE: usize = 100;

/// One of the two lists of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SearchList {
    Created,
    Updated,
}

impl SearchList {
    /// The hash key of a list's entries in a shard. Stored entries contain this key, so the key must never change.
    fn partition(self, shard: u32) -> String {
        let name = match self {
            Self::Created => "created",
            Self::Updated => "updated",
        };
        format!("{name}#{shard}")
    }
}

/// The key attributes that place an order in a list of the index, at the time `at`.
pub(super) fn search_keys(list: SearchList, order_id: &OrderId, at: Timestamp) -> Attributes {
    let [hash, range] = SEARCH_KEYS;
    let place = listed_at(at.micros(), order_id);
    vec![(hash, text(list.partition(shard_of(order_id)))), (range, text(place))]
}

/// An entry of the index.
#[derive(Debug)]
struct Entry {
    place: String,
    /// The status words of the order. `None` in the list by creation time, whose entries never change.
    words: Option<[String; 3]>,
}

impl Entry {
    fn of_item(item: &TableItem) -> anyhow::Result<Self> {
        let [_, range] = SEARCH_KEYS;
        let word = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        let words = SEARCH_WORDS.map(word);
        let words = if let [Some(a), Some(b), Some(c)] = words { Some([a, b, c]) } else { None };
        Ok(Self { place: string(item, range)?.to_owned(), words })
    }

    /// Whether the order of this index entry may pass the filter. Compares only the status words in the entry,
    /// without reading the order.
    fn may_pass(&self, filter: &OrderFilter) -> bool {
        let Some(words) = &self.words else { return true };
        let wanted = [
            filter.status.map(|word| word.as_str()),
            filter.payment_status.map(|word| word.as_str()),
            filter.fulfilment_status.map(|word| word.as_str()),
        ];
        wanted.iter().zip(words).all(|(wanted, word)| wanted.is_none_or(|wanted| wanted == word))
    }
}

/// The entries that one query has read from a partition of the index.
struct Entries {
    entries: Vec<Entry>,
    /// Whether the partition may have entries after those that the query has read.
    has_more: bool,
}

/// A search: its filter, the order of its results, and the range of places that it still has to read.
struct Search<'a> {
    filter: &'a OrderFilter,
    sort: OrderSort,
    first: String,
    last: String,
}

impl<'a> Search<'a> {
    fn new(filter: &'a OrderFilter, after: Option<&OrderPosition>) -> Self {
        let sort = filter.sort();
        let (from, before) = filter.sorted_times();
        // DynamoDB rejects an empty key, so `0` stands for the beginning of the list.
        let first = from.map_or_else(|| "0".to_owned(), |from| listed_time(from.micros()));
        let last = before.map_or_else(|| AFTER_ALL.to_owned(), |before| listed_time(before.micros()));
        let mut search = Self { filter, sort, first, last };
        if let Some(after) = after {
            search.continue_after(listed_at(after.at_micros, &after.order_id));
        }
        search
    }

    fn partitions(&self) -> Vec<String> {
        let lists: &[SearchList] = match self.sort {
            OrderSort::NewestFirst => &[SearchList::Created],
            OrderSort::LeastRecentlyUpdatedFirst => &[SearchList::Created, SearchList::Updated],
        };
        lists.iter().flat_map(|list| (0..SHARDS).map(|shard| list.partition(shard))).collect()
    }

    fn is_ascending(&self) -> bool {
        self.sort == OrderSort::LeastRecentlyUpdatedFirst
    }

    /// Moves the beginning of the search to this place, where the previous read ended.
    fn continue_after(&mut self, place: String) {
        if self.is_ascending() {
            self.first = place.max(std::mem::take(&mut self.first));
        } else {
            self.last = place.min(std::mem::take(&mut self.last));
        }
    }

    /// Whether the filter has conditions other than times. Few orders may pass such a filter.
    fn is_selective(&self) -> bool {
        let times = OrderFilter {
            created_from: self.filter.created_from,
            created_before: self.filter.created_before,
            updated_from: self.filter.updated_from,
            updated_before: self.filter.updated_before,
            ..OrderFilter::default()
        };
        *self.filter != times
    }

    /// Merges the entries that were read from all partitions into one list, with one entry for each place. Also
    /// returns whether the list has more entries. Unread entries of a partition come after the last entry that was
    /// read from it, but may precede entries of other partitions. So the merged list ends at the first of these last
    /// entries.
    fn merged(&self, read: Vec<Entries>) -> (Vec<Entry>, bool) {
        let ends = read.iter().filter(|read| read.has_more).filter_map(|read| read.entries.last());
        let ends = ends.map(|entry| entry.place.clone());
        let end = if self.is_ascending() { ends.min() } else { ends.max() };
        let is_known = |entry: &Entry| {
            end.as_ref().is_none_or(|end| match self.is_ascending() {
                true => entry.place <= *end,
                false => entry.place >= *end,
            })
        };
        let mut entries: Vec<_> = read.into_iter().flat_map(|read| read.entries).filter(is_known).collect();
        // If two entries have the same place, the entry without status words is kept, because its order is always read.
        entries.sort_by(|a, b| (&a.place, a.words.is_some()).cmp(&(&b.place, b.words.is_some())));
        entries.dedup_by(|b, a| a.place == b.place);
        if !self.is_ascending() {
            entries.reverse();
        }
        (entries, end.is_some())
    }

    /// Whether the order belongs at this place of the list and passes the filter.
    fn finds(&self, place: &str, order: &Order) -> bool {
        let at = match self.sort {
            OrderSort::NewestFirst => order.created_at,
            OrderSort::LeastRecentlyUpdatedFirst => order.updated_at,
        };
        listed_at(at.micros(), &order.order_id) == place && self.filter.passes(order)
    }
}

impl Table {
    /// Up to `limit` orders of all customers that pass the filter, sorted as the filter demands, starting after `after`.
    pub(super) async fn search(
        &self,
        filter: &OrderFilter,
        after: Option<&OrderPosition>,
        limit: usize,
    ) -> anyhow::Result<OrderList> {
        let mut search = Search::new(filter, after);
        let partitions = search.partitions();
        let (mut list, mut entries_read, mut orders_read) = (OrderList::default(), 0, 0);
        while search.first < search.last {
            let at_a_time = if search.is_selective() { SELECTIVE } else { limit / 4 + 2 };
            let read = self.each(&partitions, |partition| self.entries(&search, partition, at_a_time)).await;
            let read = read.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
            entries_read += read.iter().map(|read| read.entries.len()).sum::<usize>();
            let (entries, has_more) = search.merged(read);
            let mut left = entries.as_slice();
            while let Some(latest) =
                self.read_some(&search, &mut left, &mut list.orders, limit, &mut orders_read).await?
            {
                let is_full = list.orders.len() == limit || orders_read >= MAX_ORDERS_SCANNED;
                if is_full && (has_more || !left.is_empty()) {
                    list.next = Some(listed_position(&latest)?);
                    return Ok(list);
                }
                search.continue_after(latest);
            }
            if !has_more {
                break;
            }
            if entries_read >= MAX_ENTRIES {
                let end = entries.last().context("the search has read no entries")?;
                list.next = Some(listed_position(&end.place)?);
                break;
            }
        }
        Ok(list)
    }

    /// Reads the orders of the next entries in `left`, but no more than the page may need. Adds the orders that pass
    /// the filter to `orders`, and removes the used entries from `left`. Returns the place of the last used entry, or
    /// `None` if `left` was empty.
    async fn read_some(
        &self,
        search: &Search<'_>,
        left: &mut &[Entry],
        orders: &mut Vec<OrderSnapshot>,
        limit: usize,
        orders_read: &mut usize,
    ) -> anyhow::Result<Option<String>> {
        let most = if search.is_selective() { SELECTIVE } else { limit - orders.len() };
        let candidates =
            left.iter().enumerate().filter(|(_, entry)| entry.may_pass(search.filter)).take(most);
        let (indexes, places): (Vec<_>, Vec<_>) =
            candidates.map(|(index, entry)| (index, entry.place.clone())).unzip();
        *orders_read += places.len();
        for ((index, place), snapshot) in indexes.iter().zip(&places).zip(self.snapshots(&places).await?) {
            orders.extend(snapshot.filter(|snapshot| search.finds(place, &snapshot.order)));
            if orders.len() == limit {
                *left = &left[index + 1..];
                return Ok(Some(place.clone()));
            }
        }
        // If there were fewer than `most` candidates, all entries in `left` are used.
        let used = if places.len() == most { indexes.last().map_or(0, |last| last + 1) } else { left.len() };
        let (these, others) = left.split_at(used);
        *left = others;
        Ok(these.last().map(|entry| entry.place.clone()))
    }

    /// Reads the first entries of a partition that the search has not used yet, in the direction of the search.
    async fn entries(&self, search: &Search<'_>, partition: &str, limit: usize) -> anyhow::Result<Entries> {
        let [hash, range] = SEARCH_KEYS;
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(SEARCH_INDEX)
            .scan_index_forward(search.is_ascending())
            // A query includes both bounds, so it also returns the entry at which the previous query ended.
            .limit(i32::try_from(limit + 1)?)
            .key_condition_expression(format!("{hash} = :list AND {range} BETWEEN :first AND :last"))
            .expression_attribute_values(":list", text(partition))
            .expression_attribute_values(":first", text(&search.first))
            .expression_attribute_values(":last", text(&search.last));
        let page = Box::pin(query.send()).await.map_err(explain).context("searching orders")?;
        let entries = page.items.unwrap_or_default();
        let entries = entries.iter().map(Entry::of_item).collect::<anyhow::Result<Vec<_>>>()?;
        let bound = if search.is_ascending() { &search.first } else { &search.last };
        let has_more = page.last_evaluated_key.is_some();
        Ok(Entries { entries: entries.into_iter().filter(|entry| entry.place != *bound).collect(), has_more })
    }
}

#[cfg(test)]
mod tests;
