//! Tests amounts, quantities and the totals of lines: their limits, and that every overflow is an error.

use domain::{Amount, LineItem, LineItems, Quantity};

use crate::given::{amount, items, line};

const MAX: i64 = 9_007_199_254_740_991;
const TOO_MUCH: &str = "total must not exceed 9007199254740991 in minor units";

#[test]
fn amounts_are_0_to_the_largest_exact_json_integer() {
    assert_eq!(Amount::MAX, MAX);
    for minor in [0, 1, 2999, MAX] {
        assert_eq!(Amount::parse(minor).unwrap().minor(), minor);
    }
    for minor in [-1, i64::MIN, MAX + 1, i64::MAX] {
        let error = Amount::parse(minor).unwrap_err().to_string();
        assert_eq!(error, "amount must be 0–9007199254740991 in minor units", "{minor}");
    }
}

#[test]
fn quantities_are_1_to_a_million() {
    for quantity in [1, 2, 1_000_000] {
        assert_eq!(i64::from(Quantity::parse(quantity).unwrap().get()), quantity);
    }
    for quantity in [0, -1, 1_000_001, i64::MAX, i64::MIN, 1 << 32, (1 << 32) + 1] {
        assert_eq!(
            Quantity::parse(quantity).unwrap_err().to_string(),
            "quantity must be 1–1000000",
            "{quantity}"
        );
    }
}

#[test]
fn numbers_that_are_not_integers_are_refused_in_json() {
    for json in ["1.5", "1e-2", "\"1\"", "null", "true", "-1", "-1.0", "1e30", "99999999999999999999"] {
        serde_json::from_str::<Amount>(json).expect_err(json);
        serde_json::from_str::<Quantity>(json).expect_err(json);
    }
}

#[test]
fn an_integer_may_have_a_fraction_of_zero_or_an_exponent() {
    for (json, number) in [("1.0", 1), ("1e2", 100), ("1.5e1", 15), ("10e-1", 1)] {
        assert_eq!(serde_json::from_str::<Amount>(json).unwrap(), amount(number), "{json}");
        assert_eq!(i64::from(serde_json::from_str::<Quantity>(json).unwrap().get()), number, "{json}");
    }
}

#[test]
fn sums_and_products_beyond_the_largest_amount_are_refused() {
    let quantity = |n| Quantity::parse(n).unwrap();
    assert_eq!(amount(MAX - 1).plus(amount(1)), Ok(amount(MAX)));
    assert_eq!(amount(MAX).plus(amount(1)).unwrap_err().to_string(), TOO_MUCH);
    assert_eq!(amount(1250).times(quantity(2)), Ok(amount(2500)));
    assert_eq!(amount(MAX).times(quantity(1)), Ok(amount(MAX)));
    assert_eq!(amount(MAX).times(quantity(2)).unwrap_err().to_string(), TOO_MUCH);
    assert_eq!(amount(MAX).times(quantity(1_000_000)).unwrap_err().to_string(), TOO_MUCH);
}

#[test]
fn lines_are_1_to_1000_and_add_up() {
    let lines = |n: usize| -> Vec<LineItem> { (0..n).map(|_| line("mug", 2, Some(3))).collect() };
    assert_eq!(items().total(), amount(2999));
    assert_eq!(LineItems::parse(lines(1)).unwrap().total(), amount(6));
    assert_eq!(LineItems::parse(lines(1000)).unwrap().total(), amount(6000));
    for n in [0, 1001] {
        assert_eq!(LineItems::parse(lines(n)).unwrap_err().to_string(), "items must have 1–1000 lines");
    }
}

#[test]
fn a_total_beyond_the_largest_amount_is_refused_in_one_line_or_several() {
    let one_line = vec![line("yacht", 1_000_000, Some(MAX))];
    let by_sum = vec![line("yacht", 1, Some(MAX)), line("mug", 1, Some(1))];
    for lines in [one_line, by_sum] {
        assert_eq!(LineItems::parse(lines).unwrap_err().to_string(), TOO_MUCH);
    }
    let exactly = vec![line("yacht", 1, Some(MAX - 1)), line("mug", 1, Some(1))];
    assert_eq!(LineItems::parse(exactly).unwrap().total(), amount(MAX));
}

#[test]
fn lines_without_a_price_add_nothing_to_the_total_and_are_not_priced() {
    let items = LineItems::parse(vec![line("mug", 2, Some(1250)), line("tea", 1, None)]).unwrap();
    assert_eq!((items.total(), items.is_priced()), (amount(2500), false));
    assert!(self::items().is_priced());
}
