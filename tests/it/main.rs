//! The integration tests, one binary. [`conformance`] holds every backend to the same behaviour; the others look at
//! the product from outside: over HTTP, at the real binary, at its data folder, and at how it is described.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unreachable_pub, reason = "nothing reaches a test binary from outside")]

mod archives;
mod article;
mod at_once;
mod auth;
#[cfg(feature = "aws")]
mod aws;
mod cli;
mod commands;
mod conformance;
mod contract;
mod crash;
mod damage;
mod dlq;
#[cfg(feature = "doctor")]
mod doctor;
mod documents;
mod emulator;
mod failures;
mod folder;
mod hostile;
mod keys;
mod limits;
#[cfg(feature = "load")]
mod load;
mod logs;
mod metrics;
mod pages;
mod pipeline;
mod power;
mod spec;
mod support;
mod terraform;
#[cfg(feature = "otlp")]
mod traces;
mod upgrade;
mod variables;
