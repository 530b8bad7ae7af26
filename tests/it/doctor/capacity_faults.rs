//! Faults of pollers, warm throughput, scopes and fair queues that the tests in `broken` examine. Each plan contains exactly one
//! of them.

use serde_json::{Value, json};

use super::broken::{changed, given, with};

const API: &str = "aws_lambda_function.api";
const MAPPING: &str = "aws_lambda_event_source_mapping.consumer";
const TABLE: &str = "aws_dynamodb_table.orders";

/// The good plan, in which the consumer's mapping has provisioned pollers and no maximum concurrency. Its function reserves 20.
fn pollers(minimum: u32, maximum: u32) -> Value {
    let pollers = json!([{ "minimum_pollers": minimum, "maximum_pollers": maximum }]);
    given(MAPPING, &[("provisioned_poller_config", pollers), ("scaling_config", json!([]))])
}

fn warm(writes: u32) -> Value {
    let warm = json!([{ "read_units_per_second": 12_000, "write_units_per_second": writes }]);
    given(TABLE, &[("warm_throughput", warm)])
}

/// The expected findings, each with the plan that contains the fault.
pub fn capacity_faults() -> Vec<(&'static str, Value)> {
    let cognito = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI";
    vec![
        (
            "pollers-and-concurrency aws_lambda_event_source_mapping.consumer scaling_config.maximum_concurrency",
            given(
                MAPPING,
                &[("provisioned_poller_config", json!([{ "minimum_pollers": 2, "maximum_pollers": 2 }]))],
            ),
        ),
        (
            "pollers-range aws_lambda_event_source_mapping.consumer provisioned_poller_config.minimum_pollers",
            pollers(1, 2),
        ),
        (
            "pollers-range aws_lambda_event_source_mapping.consumer provisioned_poller_config.maximum_pollers",
            pollers(2, 1),
        ),
        (
            "pollers-over-reserved aws_lambda_event_source_mapping.consumer provisioned_poller_config.maximum_pollers",
            pollers(2, 3),
        ),
        ("warm-throughput-low aws_dynamodb_table.orders warm_throughput.write_units_per_second", warm(3999)),
        (
            "warm-throughput-index aws_dynamodb_table.orders global_secondary_index.customer-orders.warm_throughput",
            warm(4001),
        ),
        (
            "scope-prefix-missing aws_lambda_function.api environment.ORDERS_JWT_SCOPE_PREFIX",
            with(
                "aws_apigatewayv2_authorizer",
                "jwt",
                &json!({ "jwt_configuration": [{ "issuer": cognito }] }),
            ),
        ),
        (
            "scope-prefix-differs aws_apigatewayv2_route.list authorization_scopes",
            with(
                "aws_apigatewayv2_route",
                "list",
                &json!({ "authorization_scopes": ["orders/orders.read"] }),
            ),
        ),
        (
            "fair-queue-is-fifo aws_lambda_function.api environment.ORDERS_FAIR_QUEUE",
            changed(API, "/environment/0/variables/ORDERS_FAIR_QUEUE", &json!("true")),
        ),
    ]
}
