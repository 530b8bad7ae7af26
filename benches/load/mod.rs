//! What the benches share: a client that costs little, and the processes that it is pointed at.

#![allow(dead_code, reason = "no bench needs all of it")]

pub(crate) mod client;
pub(crate) mod processes;

/// The least, the median and the most of what several rounds gave.
pub(crate) fn spread(values: &mut [f64]) -> String {
    values.sort_by(f64::total_cmp);
    let (least, median, most) = (values[0], values[values.len() / 2], values[values.len() - 1]);
    format!("min {least:.2}, median {median:.2}, max {most:.2}")
}
