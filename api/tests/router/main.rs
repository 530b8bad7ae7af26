//! Tests the API through its router, with in-memory implementations of its ports.

#[cfg(test)]
mod auth;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod connection_slots;
#[cfg(test)]
mod console;
#[cfg(test)]
mod cors;
#[cfg(test)]
mod dead_letters;
#[cfg(test)]
mod event_data;
#[cfg(test)]
mod export;
#[cfg(test)]
mod fakes;
#[cfg(test)]
mod feed;
#[cfg(test)]
mod fence;
#[cfg(test)]
mod finding;
#[cfg(test)]
mod forged_tokens;
#[cfg(test)]
mod generated_clients;
#[cfg(test)]
mod hosts;
#[cfg(test)]
mod input;
#[cfg(test)]
mod issuer;
#[cfg(test)]
mod key_rotation;
#[cfg(test)]
#[cfg(feature = "lambda")]
mod lambda;
#[cfg(test)]
#[cfg(feature = "lambda")]
mod lambda_events;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod long_sequences;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod outcome_unknown;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod prefer_wait;
#[cfg(test)]
mod principals;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod request_extensions;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod unread_bodies;
#[cfg(test)]
mod validation;
#[cfg(test)]
mod webhook_actions;
#[cfg(test)]
mod webhook_changes;
#[cfg(test)]
mod webhook_store;
#[cfg(test)]
mod webhooks;
#[cfg(test)]
mod writes;
