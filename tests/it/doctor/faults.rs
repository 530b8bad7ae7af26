//! The faults that the tests in `broken` examine. Each plan contains exactly one of them.

use serde_json::{Value, json};

use super::broken::{changed, policy, without};

const MAIN: &str = "aws_sqs_queue.main";
const DLQ: &str = "aws_sqs_queue.dlq";
const CONSUMER: &str = "aws_lambda_function.consumer";
const API: &str = "aws_lambda_function.api";
const MAPPING: &str = "aws_lambda_event_source_mapping.consumer";
const RELAY_MAPPING: &str = "aws_lambda_event_source_mapping.relay";
const TABLE: &str = "aws_dynamodb_table.orders";
const ALARM: &str = "aws_cloudwatch_metric_alarm.dead_letters";
const ARN: &str = "arn:aws:sqs:eu-central-1:123456789012:";

/// The good plan with the parts of the search index that the flags select. `table` adds the index to the
/// table, `permission` lets the API query the index, and `functions` are the functions that use it.
fn searching(table: bool, permission: bool, functions: &[&str]) -> Value {
    let mut plan = policy("aws_iam_role_policy.api", "/index/customer-orders", "/index/*");
    if !permission {
        plan = policy("aws_iam_role_policy.api", "/index/customer-orders", "/index/customer*");
    }
    let resources = plan["planned_values"]["root_module"]["resources"].as_array_mut().unwrap();
    for resource in resources {
        let address = resource["address"].as_str().unwrap().to_owned();
        if functions.contains(&address.as_str()) {
            resource["values"]["environment"][0]["variables"]["ORDERS_SEARCH_INDEX"] = json!("true");
        }
        if address == TABLE && table {
            let index =
                json!({ "name": "order-search", "hash_key": "search_list", "range_key": "search_at" });
            resource["values"]["global_secondary_index"].as_array_mut().unwrap().push(index);
        }
    }
    plan
}

/// The expected findings, each with the plan that contains the fault.
#[expect(clippy::too_many_lines, reason = "a table")]
pub fn faults() -> Vec<(&'static str, Value)> {
    let redrive = |dlq: &str, count: u32| {
        json!(json!({ "deadLetterTargetArn": format!("{ARN}{dlq}"), "maxReceiveCount": count }).to_string())
    };
    let allow = |permission: &str, source: &str| {
        json!(
            json!({ "redrivePermission": permission, "sourceQueueArns": [format!("{ARN}{source}")] })
                .to_string()
        )
    };
    vec![
        (
            "no-dead-letter-queue aws_sqs_queue.main redrive_policy",
            changed(MAIN, "/redrive_policy", &json!("")),
        ),
        (
            "max-receives-low aws_sqs_queue.main redrive_policy.maxReceiveCount",
            changed(MAIN, "/redrive_policy", &redrive("orders-dlq.fifo", 2)),
        ),
        (
            "redrive-not-allowed aws_sqs_queue.dlq redrive_allow_policy",
            changed(DLQ, "/redrive_allow_policy", &allow("byQueue", "other.fifo")),
        ),
        (
            "redrive-not-allowed aws_sqs_queue.dlq redrive_allow_policy",
            changed(DLQ, "/redrive_allow_policy", &allow("denyAll", "orders.fifo")),
        ),
        (
            "redrive-open aws_sqs_queue.dlq redrive_allow_policy",
            changed(DLQ, "/redrive_allow_policy", &json!("")),
        ),
        (
            "dead-letters-expire-first aws_sqs_queue.dlq message_retention_seconds",
            changed(DLQ, "/message_retention_seconds", &json!(345_600)),
        ),
        (
            "retention-short aws_sqs_queue.main message_retention_seconds",
            changed(MAIN, "/message_retention_seconds", &json!(345_600)),
        ),
        (
            "message-size-small aws_sqs_queue.main max_message_size",
            changed(MAIN, "/max_message_size", &json!(262_144)),
        ),
        (
            "short-polling aws_sqs_queue.main receive_wait_time_seconds",
            changed(MAIN, "/receive_wait_time_seconds", &json!(0)),
        ),
        (
            "not-encrypted aws_sqs_queue.main sqs_managed_sse_enabled",
            changed(MAIN, "/sqs_managed_sse_enabled", &json!(false)),
        ),
        (
            "content-deduplication aws_sqs_queue.main content_based_deduplication",
            changed(MAIN, "/content_based_deduplication", &json!(true)),
        ),
        (
            "throughput-mode-contradicts aws_sqs_queue.main deduplication_scope",
            changed(MAIN, "/deduplication_scope", &json!("queue")),
        ),
        (
            "throughput-mode-off aws_sqs_queue.main fifo_throughput_limit",
            changed(MAIN, "/fifo_throughput_limit", &json!("perQueue")),
        ),
        (
            "dead-letter-queue-kind aws_sqs_queue.main redrive_policy",
            changed(DLQ, "/fifo_queue", &json!(false)),
        ),
        (
            "visibility-too-short aws_sqs_queue.main visibility_timeout_seconds",
            changed(MAIN, "/visibility_timeout_seconds", &json!(179)),
        ),
        (
            "visibility-too-short aws_sqs_queue.main visibility_timeout_seconds",
            changed(CONSUMER, "/timeout", &json!(31)),
        ),
        (
            "partial-responses-off aws_lambda_event_source_mapping.consumer function_response_types",
            changed(MAPPING, "/function_response_types", &json!([])),
        ),
        (
            "filter-deletes aws_lambda_event_source_mapping.consumer filter_criteria",
            changed(MAPPING, "/filter_criteria", &json!([{ "filter": [{ "pattern": "{}" }] }])),
        ),
        (
            "concurrency-range aws_lambda_event_source_mapping.consumer scaling_config.maximum_concurrency",
            changed(MAPPING, "/scaling_config/0/maximum_concurrency", &json!(1)),
        ),
        (
            "concurrency-over-reserved aws_lambda_event_source_mapping.consumer scaling_config.maximum_concurrency",
            changed(MAPPING, "/scaling_config/0/maximum_concurrency", &json!(21)),
        ),
        (
            "concurrency-unbounded aws_lambda_event_source_mapping.consumer scaling_config.maximum_concurrency",
            changed(MAPPING, "/scaling_config", &json!([])),
        ),
        (
            "fifo-batch-too-large aws_lambda_event_source_mapping.consumer batch_size",
            changed(MAPPING, "/batch_size", &json!(100)),
        ),
        (
            "fifo-batching-window aws_lambda_event_source_mapping.consumer maximum_batching_window_in_seconds",
            changed(MAPPING, "/maximum_batching_window_in_seconds", &json!(5)),
        ),
        (
            "dead-letters-on-function aws_lambda_function.consumer dead_letter_config",
            changed(
                CONSUMER,
                "/dead_letter_config",
                &json!([{ "target_arn": format!("{ARN}orders-dlq.fifo") }]),
            ),
        ),
        (
            "environment-missing aws_lambda_function.consumer environment.DLQ_URL",
            changed(CONSUMER, "/environment/0/variables/DLQ_URL", &json!(null)),
        ),
        (
            "environment-missing aws_lambda_function.api environment.ORDERS_AUTH",
            changed("aws_lambda_function.api", "/environment/0/variables/ORDERS_AUTH", &json!(null)),
        ),
        (
            "environment-missing aws_lambda_function.dead_letters environment.ALERTS_TOPIC",
            changed(
                "aws_lambda_function.dead_letters",
                "/environment/0/variables/ALERTS_TOPIC",
                &json!(null),
            ),
        ),
        (
            "environment-elsewhere aws_lambda_function.consumer environment.TABLE_NAME",
            changed(CONSUMER, "/environment/0/variables/TABLE_NAME", &json!("ordres")),
        ),
        (
            "environment-elsewhere aws_lambda_function.consumer environment.QUEUE_URL",
            changed(
                CONSUMER,
                "/environment/0/variables/QUEUE_URL",
                &json!("https://sqs.eu-central-1.amazonaws.com/123456789012/other.fifo"),
            ),
        ),
        (
            "everyone-let-in aws_lambda_function.api environment.ORDERS_INSECURE_NO_AUTH",
            changed(
                "aws_lambda_function.api",
                "/environment/0/variables",
                &json!({ "QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/orders.fifo", "TABLE_NAME": "orders", "OUTBOUND_TABLE": "orders-outbound", "ORDERS_FEED": "true", "WEBHOOK_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/orders-webhooks.fifo", "ORDERS_INSECURE_NO_AUTH": "true" }),
            ),
        ),
        (
            "metrics-dropped aws_lambda_function.consumer logging_config.application_log_level",
            changed(CONSUMER, "/logging_config/0/application_log_level", &json!("WARN")),
        ),
        (
            "function-switched-off aws_lambda_function.api reserved_concurrent_executions",
            changed("aws_lambda_function.api", "/reserved_concurrent_executions", &json!(0)),
        ),
        (
            "permission-missing aws_lambda_function.consumer role",
            policy("aws_iam_role_policy.consumer", "sqs:ChangeMessageVisibility", "sqs:GetQueueUrl"),
        ),
        (
            "permission-missing aws_lambda_function.consumer role",
            policy("aws_iam_role_policy.consumer", "orders-dlq.fifo", "other-dlq.fifo"),
        ),
        (
            "permission-missing aws_lambda_function.api role",
            policy("aws_iam_role_policy.api", "/index/customer-orders", "/stream/customer-orders"),
        ),
        (
            "permission-missing aws_lambda_function.dead_letters role",
            policy("aws_iam_role_policy.dead_letters", "s3:PutObject", "s3:GetObject"),
        ),
        (
            "permission-too-wide aws_iam_role_policy.consumer policy",
            policy("aws_iam_role_policy.consumer", "sqs:SendMessage", "sqs:*"),
        ),
        (
            "permission-too-wide aws_iam_role_policy.consumer policy",
            policy(
                "aws_iam_role_policy.consumer",
                "arn:aws:dynamodb:eu-central-1:123456789012:table/orders",
                "*",
            ),
        ),
        (
            "metrics-by-calls aws_iam_role_policy.consumer policy",
            policy(
                "aws_iam_role_policy.consumer",
                "\"xray:PutTraceSegments\"",
                "\"xray:PutTraceSegments\", \"cloudwatch:PutMetricData\"",
            ),
        ),
        ("table-keys aws_dynamodb_table.orders hash_key", changed(TABLE, "/range_key", &json!("sort"))),
        (
            "table-index aws_dynamodb_table.orders global_secondary_index",
            changed(TABLE, "/global_secondary_index/0/name", &json!("orders-of-customers")),
        ),
        (
            "table-search-index aws_dynamodb_table.orders global_secondary_index",
            searching(false, true, &[API, CONSUMER]),
        ),
        (
            "search-index-by-one-role aws_lambda_function.api environment.ORDERS_SEARCH_INDEX",
            searching(true, true, &[API]),
        ),
        (
            "search-index-by-one-role aws_lambda_function.consumer environment.ORDERS_SEARCH_INDEX",
            searching(true, true, &[CONSUMER]),
        ),
        ("permission-missing aws_lambda_function.api role", searching(true, false, &[API, CONSUMER])),
        (
            "permission-missing aws_lambda_function.consumer role",
            policy("aws_iam_role_policy.consumer", "dynamodb:DeleteItem", "dynamodb:DescribeTable"),
        ),
        (
            "table-not-recoverable aws_dynamodb_table.orders point_in_time_recovery",
            changed(TABLE, "/point_in_time_recovery/0/enabled", &json!(false)),
        ),
        (
            "table-not-protected aws_dynamodb_table.orders deletion_protection_enabled",
            changed(TABLE, "/deletion_protection_enabled", &json!(false)),
        ),
        (
            "expiry-index aws_dynamodb_table.orders global_secondary_index",
            changed(TABLE, "/global_secondary_index/1/range_key", &json!("due")),
        ),
        ("expiry-not-scheduled aws_lambda_function.expiry", without("aws_cloudwatch_event_target.expiry")),
        (
            "expiry-missing aws_lambda_function.consumer environment.ORDERS_EXPIRE_UNPAID",
            changed(CONSUMER, "/environment/0/variables/ORDERS_EXPIRE_UNPAID", &json!("24h")),
        ),
        (
            "permission-missing aws_lambda_function.expiry role",
            policy("aws_iam_role_policy.expiry", "dynamodb:UpdateItem", "dynamodb:PutItem"),
        ),
        ("relay-not-invoked aws_lambda_function.relay", without(RELAY_MAPPING)),
        (
            "relay-drops-events aws_lambda_event_source_mapping.relay function_response_types",
            changed(RELAY_MAPPING, "/function_response_types", &json!([])),
        ),
        (
            "relay-drops-events aws_lambda_event_source_mapping.relay starting_position",
            changed(RELAY_MAPPING, "/starting_position", &json!("LATEST")),
        ),
        (
            "relay-drops-events aws_lambda_event_source_mapping.relay maximum_retry_attempts",
            changed(RELAY_MAPPING, "/maximum_retry_attempts", &json!(5)),
        ),
        (
            "relay-drops-events aws_lambda_event_source_mapping.relay maximum_record_age_in_seconds",
            changed(RELAY_MAPPING, "/maximum_record_age_in_seconds", &json!(3600)),
        ),
        (
            "relay-out-of-order aws_lambda_event_source_mapping.relay parallelization_factor",
            changed(RELAY_MAPPING, "/parallelization_factor", &json!(2)),
        ),
        (
            "table-stream aws_dynamodb_table.orders stream_enabled",
            changed(TABLE, "/stream_enabled", &json!(false)),
        ),
        (
            "table-stream aws_dynamodb_table.orders stream_view_type",
            changed(TABLE, "/stream_view_type", &json!("KEYS_ONLY")),
        ),
        (
            "feed-by-one-role aws_lambda_function.relay environment.ORDERS_FEED",
            changed(API, "/environment/0/variables/ORDERS_FEED", &json!("false")),
        ),
        (
            "feed-by-one-role aws_lambda_function.api environment.ORDERS_FEED_PARTITIONS",
            changed(API, "/environment/0/variables/ORDERS_FEED_PARTITIONS", &json!("8")),
        ),
        ("alarm-relay-missing aws_lambda_function.relay", without("aws_cloudwatch_metric_alarm.relay")),
        (
            "environment-missing aws_lambda_function.relay environment.OUTBOUND_TABLE",
            changed("aws_lambda_function.relay", "/environment/0/variables/OUTBOUND_TABLE", &json!(null)),
        ),
        (
            "permission-missing aws_lambda_function.relay role",
            policy("aws_iam_role_policy.relay", "dynamodb:GetRecords", "dynamodb:GetItem"),
        ),
        (
            "permission-missing aws_lambda_function.relay role",
            policy("aws_iam_role_policy.relay", "table/orders-outbound", "table/orders-other"),
        ),
        (
            "permission-missing aws_lambda_function.relay role",
            changed("aws_lambda_function.relay", "/environment/0/variables/EVENT_BUS", &json!("shop")),
        ),
        (
            "permission-missing aws_lambda_function.relay role",
            changed(
                "aws_lambda_function.relay",
                "/environment/0/variables/EVENTS_TOPIC",
                &json!("arn:aws:sns:eu:1:shop"),
            ),
        ),
        (
            "permission-missing aws_lambda_function.api role",
            policy("aws_iam_role_policy.api", "table/orders-outbound", "table/orders-other"),
        ),
        ("alarm-dead-letters-missing aws_sqs_queue.dlq", without(ALARM)),
        (
            "alarm-dead-letters-deaf aws_cloudwatch_metric_alarm.dead_letters threshold",
            changed(ALARM, "/threshold", &json!(10)),
        ),
        (
            "alarm-dead-letters-deaf aws_cloudwatch_metric_alarm.dead_letters threshold",
            changed(ALARM, "/comparison_operator", &json!("LessThanThreshold")),
        ),
        (
            "alarm-dead-letters-deaf aws_cloudwatch_metric_alarm.dead_letters statistic",
            changed(ALARM, "/statistic", &json!("Minimum")),
        ),
        ("alarm-age-missing aws_sqs_queue.main", without("aws_cloudwatch_metric_alarm.age")),
        ("alarm-errors-missing aws_lambda_function.consumer", without("aws_cloudwatch_metric_alarm.errors")),
        (
            "alarm-throttles-missing aws_lambda_function.consumer",
            without("aws_cloudwatch_metric_alarm.throttles"),
        ),
        (
            "alarm-tells-nobody aws_cloudwatch_metric_alarm.dead_letters alarm_actions",
            changed(ALARM, "/alarm_actions", &json!([])),
        ),
        (
            "alarm-missing-data aws_cloudwatch_metric_alarm.dead_letters treat_missing_data",
            changed(ALARM, "/treat_missing_data", &json!(null)),
        ),
    ]
}
