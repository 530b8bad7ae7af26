//! Tests that times are printed and read correctly, with any offset or none.

use chrono::{FixedOffset, SecondsFormat};
use domain::Timestamp;
use proptest::prelude::*;

use super::arbitrary;

/// A text in the format of a time, which may contain invalid numbers.
const LOOKS_LIKE_A_TIME: &str = concat!(
    "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]",
    "(\\.[0-9]{1,9})?(Z|[+-][01][0-9]:[0-5][0-9])?",
);

proptest! {
    #[test]
    fn a_printed_time_is_read_as_the_same_time(time in arbitrary::timestamp()) {
        let printed = time.to_string();
        prop_assert!(printed.ends_with('Z'));
        prop_assert_eq!(Timestamp::parse(&printed), Ok(time));
        prop_assert_eq!(Timestamp::parse(printed.trim_end_matches('Z')), Ok(time), "without an offset");
    }

    #[test]
    fn a_time_is_written_as_chrono_writes_it(time in arbitrary::timestamp()) {
        prop_assert_eq!(time.to_string(), time.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true));
    }

    #[test]
    fn a_time_is_the_same_at_every_offset(time in arbitrary::timestamp(), minutes in -23 * 60..=23 * 60) {
        let local = time.to_utc().with_timezone(&FixedOffset::east_opt(minutes * 60).unwrap());
        let printed = local.to_rfc3339_opts(SecondsFormat::Micros, false);
        // Near the edges of the years 0 to 9999, the local year can have five digits or a sign, which RFC 3339 does
        // not allow.
        if printed.as_bytes()[4] == b'-' && !printed.starts_with('-') {
            prop_assert_eq!(Timestamp::parse(&printed), Ok(time));
        }
    }

    #[test]
    fn a_time_that_can_be_read_can_be_printed_and_read_again(text in LOOKS_LIKE_A_TIME) {
        if let Ok(time) = Timestamp::parse(&text) {
            prop_assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
        }
    }

    #[test]
    fn no_text_makes_reading_a_time_panic(text in ".{0,40}") {
        let _ = Timestamp::parse(&text);
    }

    #[test]
    fn later_times_are_greater(a in arbitrary::timestamp(), b in arbitrary::timestamp()) {
        prop_assert_eq!(a.cmp(&b), a.micros().cmp(&b.micros()));
    }
}
