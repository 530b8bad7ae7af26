//! Negative controls: the checks of the model must notice a dispatcher that breaks a guarantee.

use crate::model::{delay_rows, is_noticed, split_orders};

#[test]
fn a_cursor_that_passes_before_the_row_is_durable_is_noticed() {
    assert!(is_noticed(delay_rows, |world| !world.receiver.received().inversions.is_empty()));
}

#[test]
fn two_events_of_an_order_in_flight_are_noticed() {
    assert!(is_noticed(split_orders, |world| !world.receiver.received().concurrent.is_empty()));
}

#[test]
fn without_a_fault_nothing_is_noticed() {
    let notices = |world: &crate::setup::World| {
        let received = world.receiver.received();
        !received.inversions.is_empty() || !received.concurrent.is_empty()
    };
    assert!(!is_noticed(|_| {}, notices));
}
