//! Tests of the order model, by topic. Every rule is tested through the public functions of the crate.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input has failed")]

mod dead_letters;
mod decode;
mod derived_ids;
mod envelope;
mod event_kinds;
mod fold;
mod given;
mod golden;
mod lifecycle;
mod money;
mod outcome;
mod past;
mod properties;
mod upcast_v0;
mod upcast_v0_refusals;
mod values;
mod versions;
