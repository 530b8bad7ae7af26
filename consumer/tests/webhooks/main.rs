//! Tests the deliveries of webhooks: a dispatcher over a feed and a store in memory, and a receiver that fails in many ways.

#![allow(clippy::unwrap_used, reason = "a test may panic, because a panic makes the test fail")]

mod cases;
mod controls;
mod feed;
mod interruptions;
mod model;
mod receiver;
mod restarts;
mod setup;
mod store;
