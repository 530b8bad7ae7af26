//! What integrators rely on, asked of the real binary over HTTP: the same on every backend.

mod batches;
mod conditions;
mod keys;
mod lists;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::service::{Api, Service, order};

/// The embedded service, on a data folder of its own.
struct Embedded {
    service: Service,
    _folder: TempDir,
}

async fn embedded() -> Embedded {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--log-level", "warn,orders=info"]);
    Embedded { service, _folder: folder }
}

impl Embedded {
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

    /// API and consumer as containers, on the emulator.
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
            a_repeated_creation_happens_once,
            concurrent_requests_under_one_key_create_one_order,
            another_request_under_a_key_is_refused,
            a_key_that_cannot_be_read_is_refused,
            a_repeated_event_happens_once,
            a_refusal_under_a_key_is_of_one_moment,
        }
        conditions {
            an_order_is_read_again_only_if_it_changed,
            an_event_insists_on_the_version_that_was_read,
            a_repeated_event_is_no_failed_condition,
            an_outcome_can_be_waited_for,
        }
        batches {
            orders_of_a_batch_stand_alone,
            a_repeated_batch_happens_once,
            a_batch_and_a_single_request_under_like_keys_are_apart,
            a_batch_that_is_none_is_refused,
        }
        lists {
            a_list_goes_on_by_its_links,
            a_cursor_belongs_to_its_list,
            an_order_is_shown_as_it_was,
        }
    }
}

const WAIT: (&str, &str) = ("prefer", "wait=25");

/// Creates an order and waits until it is recorded; gives its id.
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
