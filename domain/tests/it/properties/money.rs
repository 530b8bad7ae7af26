//! Tests totals against the same sum in wider arithmetic.

use domain::{Amount, LineItem, LineItems, Quantity};
use proptest::collection::vec;
use proptest::prelude::*;

/// Prices from the whole range, with enough small prices that sums fall on both sides of the limit.
fn price() -> impl Strategy<Value = Option<i64>> + Clone {
    let price = prop_oneof![
        0..=Amount::MAX,
        0..=Amount::MAX / 1_000_000,
        0..=Amount::MAX / 100_000_000,
        Just(Amount::MAX),
        0..=3_i64,
    ];
    proptest::option::weighted(0.9, price)
}

fn lines() -> impl Strategy<Value = Vec<(i64, Option<i64>)>> {
    let quantity = prop_oneof![Just(1_i64), 1..=1000_i64, 1..=i64::from(Quantity::MAX)];
    let line = (quantity, price());
    prop_oneof![8 => vec(line.clone(), 0..6), 1 => vec(line, 0..=LineItems::MAX + 2)]
}

fn line((quantity, unit_price): (i64, Option<i64>)) -> LineItem {
    crate::given::line("mug", quantity, unit_price)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn lines_are_accepted_exactly_if_their_number_and_true_total_fit(lines in lines()) {
        let total: i128 = lines.iter().map(|(n, price)| i128::from(*n) * i128::from(price.unwrap_or(0))).sum();
        let fits = (1..=LineItems::MAX).contains(&lines.len()) && total <= i128::from(Amount::MAX);

        let parsed = LineItems::parse(lines.into_iter().map(line).collect());
        prop_assert_eq!(parsed.is_ok(), fits, "true total {}", total);
        if let Ok(items) = parsed {
            prop_assert_eq!(i128::from(items.total().minor()), total);
        }
    }

    #[test]
    fn sums_and_products_are_exact_or_refused(a in 0..=Amount::MAX, b in 0..=Amount::MAX, n in 1..=1_000_000_i64) {
        let amount = |minor| Amount::parse(minor).unwrap();
        let check = |result: Option<Amount>, truth: i128| {
            let expected = (truth <= i128::from(Amount::MAX)).then_some(truth);
            assert_eq!(result.map(|amount| i128::from(amount.minor())), expected);
        };
        check(amount(a).plus(amount(b)).ok(), i128::from(a) + i128::from(b));
        check(amount(a).times(Quantity::parse(n).unwrap()).ok(), i128::from(a) * i128::from(n));
        check(amount(a / n).times(Quantity::parse(n).unwrap()).ok(), i128::from(a / n) * i128::from(n));
    }
}
