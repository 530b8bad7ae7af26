//! The integration tests, in one binary. [`conformance`] tests that all backends behave alike. The other modules test
//! the product from outside: the HTTP API, the command line, the data folder and the descriptions.

#![allow(clippy::unwrap_used, reason = "a test may panic, because a panic makes the test fail")]
#![allow(unreachable_pub, reason = "no other crate uses a test binary")]

mod archives;
mod auth;
#[cfg(feature = "aws")]
mod aws;
mod backups;
mod browser;
mod cli;
mod command_line;
mod commands;
mod config_file;
mod conformance;
mod console;
mod contract;
mod crash;
mod credentials;
mod cross_origin;
mod damage;
mod deadlines;
mod deliveries;
mod dlq;
#[cfg(feature = "doctor")]
mod doctor;
mod documents;
mod emulator;
mod event_streams;
mod failures;
mod feed_readers;
mod folder;
mod hostile;
mod inline_commit;
mod inspect;
mod keys;
mod limits;
#[cfg(feature = "load")]
mod load;
mod logs;
mod metrics;
mod monitoring;
#[cfg(all(feature = "aws", feature = "dlq"))]
mod moving;
mod pages;
mod personal_data;
mod pipeline;
mod power;
mod reminders;
mod restore;
mod service_manager;
mod shop_week;
mod spec;
mod subscriptions;
mod support;
mod tail;
#[cfg(feature = "doctor")]
mod terraform;
#[cfg(feature = "otlp")]
mod traces;
mod transfer;
mod upgrade;
mod v0_producer;
mod variables;
