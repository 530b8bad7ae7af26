//! Tests of the order model, by what they are about: every rule is tested through the crate's public functions.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input has failed")]

mod upcast_v0;
mod upcast_v0_refusals;
mod decode;
mod envelope;
mod fold;
mod given;
mod golden;
mod ids;
mod dead_letters;
mod lifecycle;
mod money;
mod outcome;
mod past;
mod properties;
mod values;
mod versions;
