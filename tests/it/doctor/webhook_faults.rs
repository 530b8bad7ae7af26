//! The faults of webhooks for the tests in `broken`, one at a time.

use serde_json::{Value, json};

use super::broken::{changed, policy, set, without};

const QUEUE: &str = "aws_sqs_queue.webhooks";
const DLQ: &str = "aws_sqs_queue.webhooks_dlq";
const MAPPING: &str = "aws_lambda_event_source_mapping.webhooks";
const SENDER_POLICY: &str = "aws_iam_role_policy.webhook_sender";
const URL: &str = "/environment/0/variables/WEBHOOK_QUEUE_URL";

/// The expected findings, each with the plan that contains the fault.
pub fn webhook_faults() -> Vec<(&'static str, Value)> {
    let redrive = json!({ "deadLetterTargetArn": "arn:aws:sqs:eu-central-1:123456789012:orders-webhooks-dlq.fifo", "maxReceiveCount": 100 });
    let mut standard = changed(QUEUE, "/fifo_queue", &json!(false));
    set(&mut standard, DLQ, "/fifo_queue", &json!(false));
    vec![
        ("webhook-queue-standard aws_sqs_queue.webhooks fifo_queue", standard),
        (
            "webhook-receives-low aws_sqs_queue.webhooks redrive_policy.maxReceiveCount",
            changed(QUEUE, "/redrive_policy", &json!(redrive.to_string())),
        ),
        ("webhooks-not-delivered aws_sqs_queue.webhooks", without(MAPPING)),
        (
            "webhooks-by-one-role aws_lambda_function.relay environment.WEBHOOK_QUEUE_URL",
            changed("aws_lambda_function.relay", URL, &json!(null)),
        ),
        (
            "environment-missing aws_lambda_function.webhook_sender environment.ALERTS_TOPIC",
            changed(
                "aws_lambda_function.webhook_sender",
                "/environment/0/variables/ALERTS_TOPIC",
                &json!(null),
            ),
        ),
        (
            "visibility-too-short aws_sqs_queue.webhooks visibility_timeout_seconds",
            changed(QUEUE, "/visibility_timeout_seconds", &json!(1079)),
        ),
        (
            "throughput-mode-off aws_sqs_queue.webhooks fifo_throughput_limit",
            changed(QUEUE, "/fifo_throughput_limit", &json!("perQueue")),
        ),
        ("redrive-open aws_sqs_queue.webhooks_dlq redrive_allow_policy", {
            changed(DLQ, "/redrive_allow_policy", &json!(""))
        }),
        (
            "partial-responses-off aws_lambda_event_source_mapping.webhooks function_response_types",
            changed(MAPPING, "/function_response_types", &json!([])),
        ),
        (
            "permission-missing aws_lambda_function.webhook_sender role",
            policy(SENDER_POLICY, "sqs:ChangeMessageVisibility", "sqs:GetQueueUrl"),
        ),
        (
            "permission-missing aws_lambda_function.webhook_sender role",
            policy(SENDER_POLICY, "sns:Publish", "sns:Subscribe"),
        ),
        (
            "permission-missing aws_lambda_function.relay role",
            policy("aws_iam_role_policy.relay", "orders-webhooks.fifo", "orders-other.fifo"),
        ),
        (
            "permission-missing aws_lambda_function.api role",
            policy("aws_iam_role_policy.api", "dynamodb:BatchWriteItem", "dynamodb:DescribeTable"),
        ),
        ("alarm-age-missing aws_sqs_queue.webhooks", without("aws_cloudwatch_metric_alarm.webhooks_age")),
        (
            "alarm-dead-letters-missing aws_sqs_queue.webhooks_dlq",
            without("aws_cloudwatch_metric_alarm.webhooks_dlq"),
        ),
    ]
}
