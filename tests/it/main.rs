//! The integration tests, in one binary. [`conformance`] tests that all backends behave alike. The others test the product
//! from outside: the HTTP API, the command line, the data folder and the descriptions.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(unreachable_pub, reason = "a test binary has no users")]

mod archives;
mod auth;
#[cfg(feature = "aws")]
mod aws;
mod cli;
mod command_line;
mod commands;
mod config_file;
mod conformance;
mod contract;
mod crash;
mod credentials;
mod damage;
mod deadlines;
mod dlq;
#[cfg(feature = "doctor")]
mod doctor;
mod documents;
mod emulator;
mod failures;
mod folder;
mod hostile;
mod inline_commit;
mod keys;
mod limits;
#[cfg(feature = "load")]
mod load;
mod logs;
mod metrics;
mod pages;
mod personal_data;
mod pipeline;
mod power;
mod shop_week;
mod spec;
mod support;
#[cfg(feature = "doctor")]
mod terraform;
#[cfg(feature = "otlp")]
mod traces;
mod upgrade;
mod v0_producer;
mod variables;
