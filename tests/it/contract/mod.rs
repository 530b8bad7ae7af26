//! Tests the behaviour on which integrators rely, over HTTP with the real binary on every backend.

mod batches;
mod conditions;
mod keys;
mod lists;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::service::{Api, Service, order};

/// The embedded service with a separate data folder.
struct EmbeddedService {
    service: Service,
    _folder: TempDir,
}

async fn embedded() -> EmbeddedService {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--log-level", "warn,orders=info"]);
    EmbeddedService { service, _folder: folder }
}

impl EmbeddedService {
    fn api(&self) -> &Api {
        &self.service
    }
}

#[cfg(feature = "aws")]
mod on_aws {
    use super::*;
    use crate::conformance::QueueOptions;
    use crate::conformance::aws::AwsBackend;
    use crate::support::emulator::Emulator;

    /// The API and the consumer as separate processes, on the AWS emulator.
    pub struct Containers {
        service: Service,
        _consumer: Service,
    }

    pub async fn containers() -> Containers {
        let backend = AwsBackend::open(true, QueueOptions::default()).await;
        let endpoint = &Emulator::shared().endpoint;
        Containers { service: backend.start_api(endpoint), _consumer: backend.start_consumer(endpoint) }
    }

    impl Containers {
        pub fn api(&self) -> &Api {
            &self.service
        }
    }
}

/// Runs every case on every backend.
macro_rules! contract {
    ($($module:ident { $($case:ident),* $(,)? })*) => {
        $(mod $module {
            mod embedded {
                $(#[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    let backend = $crate::contract::embedded().await;
                    $crate::contract::$module::$case(backend.api()).await;
                })*
            }
            #[cfg(feature = "aws")]
            mod aws {
                $(#[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    let backend = $crate::contract::on_aws::containers().await;
                    $crate::contract::$module::$case(backend.api()).await;
                })*
            }
        })*
    };
}

mod tests {
    contract! {
        keys {
            a_repeated_creation_creates_one_order,
            concurrent_requests_under_one_key_create_one_order,
            a_key_is_refused_for_a_different_request,
            an_invalid_key_is_refused,
            a_repeated_event_is_recorded_once,
            a_replayed_refusal_shows_the_order_as_it_was,
        }
        conditions {
            an_unchanged_order_is_not_sent_again,
            if_match_requires_the_current_version,
            a_replayed_event_does_not_fail_its_condition,
            prefer_wait_waits_for_the_outcome,
        }
        batches {
            orders_of_a_batch_are_independent,
            a_repeated_batch_creates_its_orders_once,
            a_batch_and_a_single_request_with_similar_keys_are_independent,
            an_invalid_batch_is_refused,
        }
        lists {
            a_list_is_paged_by_its_links,
            a_cursor_belongs_to_its_list,
            an_order_is_shown_at_an_earlier_version_or_time,
        }
    }
}

const WAIT: (&str, &str) = ("prefer", "wait=25");

/// Creates an order, waits until it is recorded, and returns its id.
async fn recorded(api: &Api, customer: &str) -> String {
    let answer = api.ask(Method::POST, "/v1/orders", &[WAIT], Some(&order(customer))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body["order_id"].as_str().unwrap().to_owned()
}

async fn propose(
    api: &Api,
    order_id: &str,
    headers: &[(&str, &str)],
    kind: &str,
    data: Value,
) -> super::support::service::Answer {
    let path = format!("/v1/orders/{order_id}/events");
    api.ask(Method::POST, &path, headers, Some(&json!({ "type": kind, "data": data }))).await
}
