//! The numbers that a writer of the ledger has counted. [`ledger_writer`](super::ledger_writer) stores this set with the
//! writer's totals, so that each number is counted once.

use anyhow::Context;

/// A set of numbers from 1 up: all numbers up to `to`, except those in `open`. The set is small to store, because a
/// writer counts nearly all of its numbers in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NumberSet {
    /// The greatest number in the set, or 0.
    to: u64,
    /// The numbers below `to` that are not in the set, as ranges in ascending order, each with its last number.
    open: Vec<(u64, u64)>,
}

impl NumberSet {
    /// Reads what [`NumberSet::to`] and [`NumberSet::open`] returned.
    pub(super) fn parse(to: u64, open: &str) -> anyhow::Result<Self> {
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let range = first.parse().ok().zip(last.parse().ok());
            range.with_context(|| format!("{text:?} is not a range of numbers"))
        };
        let open =
            open.split(',').filter(|text| !text.is_empty()).map(range).collect::<anyhow::Result<_>>()?;
        Ok(Self { to, open })
    }

    pub(super) fn to(&self) -> u64 {
        self.to
    }

    /// The missing numbers as text, such as `3-5,9`.
    pub(super) fn open(&self) -> String {
        let range = |&(first, last): &(u64, u64)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        self.open.iter().map(range).collect::<Vec<_>>().join(",")
    }

    /// The number of ranges that are missing.
    pub(super) fn gaps(&self) -> usize {
        self.open.len()
    }

    /// Adds a number. Returns `false` if the set contains it already.
    pub(super) fn insert(&mut self, number: u64) -> bool {
        if number > self.to {
            if number > self.to + 1 {
                self.open.push((self.to + 1, number - 1));
            }
            self.to = number;
            return true;
        }
        let Some(place) = self.open.iter().position(|(first, last)| (*first..=*last).contains(&number))
        else {
            return false;
        };
        let (first, last) = self.open[place];
        let left =
            [(first, number - 1), (number + 1, last)].into_iter().filter(|(first, last)| first <= last);
        self.open.splice(place..=place, left);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_number_is_added_once_in_whatever_order() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut set, mut expected) = (NumberSet::default(), BTreeSet::new());
            for _ in 0..60 {
                let number = random.u64(1..=40);
                assert_eq!(set.insert(number), expected.insert(number), "seed {seed}: {number} into {set:?}");
                let read = NumberSet::parse(set.to(), &set.open()).unwrap();
                assert_eq!(read, set, "seed {seed}");
            }
        }
    }

    #[test]
    fn the_number_of_outcomes_that_other_totals_include_is_in_every_set() {
        assert!(!NumberSet::default().insert(0));
        assert!(!NumberSet::parse(9, "1-3").unwrap().insert(0));
    }

    #[test]
    fn numbers_in_order_take_no_space() {
        let mut set = NumberSet::default();
        assert!((1..=1000).rev().all(|number| set.insert(number)));
        assert_eq!((set.to(), set.open()), (1000, String::new()));
        assert!(set.insert(1010) && set.insert(1005));
        assert_eq!((set.open().as_str(), set.gaps()), ("1001-1004,1006-1009", 2));
    }

    #[test]
    fn what_is_no_range_is_an_error() {
        for text in ["x", "1-", "1-2-3", "-"] {
            assert!(NumberSet::parse(9, text).is_err(), "{text}");
        }
    }
}
