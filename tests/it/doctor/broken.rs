//! A right deployment with one fault at a time: each is found, and nothing else is.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Report, here};
use crate::support::service::orders;

fn good() -> Value {
    serde_json::from_slice(&fs::read(here("tests/fixtures/doctor/good-plan.json")).unwrap()).unwrap()
}

/// The plan with an attribute of a resource, by its JSON pointer, set to something else.
fn changed(address: &str, pointer: &str, value: &Value) -> Value {
    let mut plan = good();
    let resources = plan["planned_values"]["root_module"]["resources"].as_array_mut().unwrap();
    let resource = resources.iter_mut().find(|resource| resource["address"] == address).unwrap();
    let attribute = resource["values"].pointer_mut(pointer);
    *attribute.unwrap_or_else(|| panic!("{address} has no {pointer}")) = value.clone();
    plan
}

fn without(address: &str) -> Value {
    let mut plan = good();
    let resources = plan["planned_values"]["root_module"]["resources"].as_array_mut().unwrap();
    let before = resources.len();
    resources.retain(|resource| resource["address"] != address);
    assert_eq!(resources.len(), before - 1, "{address}");
    plan
}

fn report(plan: &Value) -> Report {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("plan.json");
    fs::write(&file, plan.to_string()).unwrap();
    Report::of(file.to_str().unwrap())
}

/// The policy of a role with one word in it replaced.
fn policy(address: &str, from: &str, to: &str) -> Value {
    let plan = good();
    let resources = plan["planned_values"]["root_module"]["resources"].as_array().unwrap();
    let resource = resources.iter().find(|resource| resource["address"] == address).unwrap();
    let text = resource["values"]["policy"].as_str().unwrap();
    assert!(text.contains(from), "{text}");
    changed(address, "/policy", &json!(text.replace(from, to)))
}

const MAIN: &str = "aws_sqs_queue.main";
const DLQ: &str = "aws_sqs_queue.dlq";
const CONSUMER: &str = "aws_lambda_function.consumer";
const MAPPING: &str = "aws_lambda_event_source_mapping.consumer";
const TABLE: &str = "aws_dynamodb_table.orders";
const ALARM: &str = "aws_cloudwatch_metric_alarm.dead_letters";
const ARN: &str = "arn:aws:sqs:eu-central-1:123456789012:";

/// One fault each: the finding, and the plan that has it.
fn faults() -> Vec<(&'static str, Value)> {
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
                &json!({ "QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/orders.fifo", "TABLE_NAME": "orders", "ORDERS_INSECURE_NO_AUTH": "true" }),
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
            changed(TABLE, "/global_secondary_index", &json!([])),
        ),
        (
            "table-not-recoverable aws_dynamodb_table.orders point_in_time_recovery",
            changed(TABLE, "/point_in_time_recovery/0/enabled", &json!(false)),
        ),
        (
            "table-not-protected aws_dynamodb_table.orders deletion_protection_enabled",
            changed(TABLE, "/deletion_protection_enabled", &json!(false)),
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

#[test]
fn a_right_deployment_has_no_finding() {
    let report = report(&good());
    assert_eq!(report.findings(), Vec::<String>::new());
    assert_eq!((report.code, &report.json["summary"]["unchecked"]), (Some(0), &json!(0)), "{}", report.json);
}

#[test]
fn each_fault_is_found_and_nothing_else() {
    for (expected, plan) in faults() {
        let report = report(&plan);
        // What is judged only by what is missing now has its own test.
        let mut findings = report.findings();
        if expected.starts_with("no-dead-letter-queue") {
            findings.retain(|line| line != "standard-queue aws_sqs_queue.dlq fifo_queue");
        }
        assert_eq!(findings, [expected], "{}", report.json);
        let severity = report.json["findings"][0]["severity"].as_str().unwrap();
        assert_eq!(report.code, Some(i32::from(severity == "error")), "{expected} is {severity}");
    }
}

#[test]
fn a_standard_deployment_has_rules_of_its_own() {
    let text =
        good().to_string().replace("orders-dlq.fifo", "orders-dlq").replace("orders.fifo", "orders-main");
    let mut plan: Value =
        serde_json::from_str(&text.replace("\"fifo_queue\":true", "\"fifo_queue\":false")).unwrap();
    let standard = "standard-queue aws_sqs_queue.main fifo_queue";
    let right = report(&plan);
    assert_eq!(
        (right.findings(), right.code),
        (vec![standard.to_owned()], Some(0)),
        "a notice is no failure"
    );
    let resources = plan["planned_values"]["root_module"]["resources"].as_array_mut().unwrap();
    let mapping = resources.iter_mut().find(|resource| resource["address"] == MAPPING).unwrap();
    mapping["values"]["batch_size"] = json!(100);
    let batch = "large-batch-without-window aws_lambda_event_source_mapping.consumer batch_size";
    assert_eq!(report(&plan).findings(), [batch, standard]);
}

#[test]
fn every_rule_is_shown_to_find_something() {
    let page = String::from_utf8(orders(&["doctor", "--rules"]).output().unwrap().stdout).unwrap();
    let rules: BTreeSet<_> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let faults = faults();
    let mut shown: BTreeSet<_> = faults.iter().filter_map(|(finding, _)| finding.split(' ').next()).collect();
    // In the other tests of this module.
    shown.extend([
        "standard-queue",
        "large-batch-without-window",
        "dead-letters-unattended",
        "table-missing",
    ]);
    shown.extend(["service-not-ready", "service-open", "service-metrics-public", "service-in-the-clear"]);
    shown.extend(["environment-wrong", "environment-open", "environment-receives-low"]);
    assert_eq!(rules, shown);
}

#[test]
fn what_is_missing_altogether_is_found() {
    let table = report(&without(TABLE));
    let expected =
        |function: &str| format!("table-missing aws_lambda_function.{function} environment.TABLE_NAME");
    assert_eq!(table.findings(), ["api", "consumer", "dead_letters"].map(expected));
    let unattended = report(&without("aws_lambda_event_source_mapping.dead_letters"));
    assert_eq!(unattended.findings(), ["dead-letters-unattended aws_sqs_queue.dlq"]);
}
