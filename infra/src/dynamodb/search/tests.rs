//! Tests of the partitions of the search index.

use aws_sdk_dynamodb::types::AttributeValue;

use super::*;

#[test]
fn the_partition_of_an_order_never_changes() {
    let keys = |id: &str| {
        let at = Timestamp::parse("2026-11-23T10:00:00Z").unwrap();
        search_keys(SearchList::Updated, &OrderId::parse(id).unwrap(), at)
    };
    let place = |id: &str| AttributeValue::S(format!("09225167464854775808#{id}"));
    let list = |shard: u32| AttributeValue::S(format!("updated#{shard}"));
    assert_eq!(keys("a"), [("search_list", list(4)), ("search_at", place("a"))]);
    assert_eq!(keys("order-1"), [("search_list", list(5)), ("search_at", place("order-1"))]);
}

#[test]
fn orders_are_spread_over_all_partitions() {
    let mut counts = [0; SHARDS as usize];
    for number in 0..8000 {
        counts[shard_of(&OrderId::parse(&format!("019ab0c2-7d1e-7cc3-98c4-{number:012x}")).unwrap())
            as usize] += 1;
    }
    assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
}
