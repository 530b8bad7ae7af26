//! Tests the relay with fake ports: shards and their leases ([`shards`](consumer::relay::shards)), outputs,
//! and the answers to batches of a Lambda function.

#![allow(clippy::unwrap_used, reason = "a test may panic, because a panic makes the test fail")]

mod answers;
mod fake_output;
mod feed;
mod leases;
mod outputs;
mod shards;
mod stream;
mod windows;
