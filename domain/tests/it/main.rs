//! Tests of the order model, by topic. Every rule is tested through the public functions of the crate.

#![allow(clippy::unwrap_used, reason = "a test may panic, because a panic makes the test fail")]

mod dead_letters;
mod decode;
mod derived;
mod derived_ids;
mod documents;
mod envelope;
mod event_kinds;
mod exhaustive;
mod fold;
mod given;
mod golden;
mod guards;
mod money;
mod outcome;
mod past;
mod personal_data;
mod properties;
mod subscription;
mod upcast_v0;
mod upcast_v0_refusals;
mod values;
mod version_1;
mod versions;
