//! Tests the webhooks of the deployment: the queue of deliveries, the webhook sender that it feeds, and their alarms.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::module::Plan;
use super::{KEY, document, plan, plan_with, try_plan};

const QUEUE: &str = "aws_sqs_queue.webhooks[0]";
const DLQ: &str = "aws_sqs_queue.webhooks_dlq[0]";
const SENDER: &str = "aws_lambda_function.function[webhook-sender]";
const MAPPING: &str = "aws_lambda_event_source_mapping.webhooks[0]";

fn with_webhooks(variables: &[(&'static str, Json)]) -> Arc<Plan> {
    plan_with(&[&[("webhooks", json!({}))], variables].concat())
}

fn variables_of<'a>(plan: &'a Plan, role: &str) -> &'a Json {
    &plan.get(&format!("aws_lambda_function.function[{role}]"))["environment"][0]["variables"]
}

#[test]
fn there_are_no_webhooks_by_default() {
    let plan = plan();
    // The routes of the API are declared in any case, because each endpoint has its scopes.
    let is_route = |address: &&str| address.starts_with("aws_apigatewayv2_route.");
    let addresses = plan.addresses().into_iter().filter(|address| !is_route(address));
    let of_webhooks: Vec<_> = addresses.filter(|address| address.contains("webhook")).collect();
    assert_eq!(of_webhooks, [] as [&str; 0]);
    assert_eq!(variables_of(&plan, "api")["WEBHOOK_QUEUE_URL"], Json::Null);
}

#[test]
fn the_queue_keeps_the_order_of_each_order_and_is_the_timer_of_failed_deliveries() {
    let plan = with_webhooks(&[]);
    let (queue, dlq) = (plan.get(QUEUE), plan.get(DLQ));
    assert_eq!(
        (&queue["name"], &dlq["name"]),
        (&json!("orders-webhooks.fifo"), &json!("orders-webhooks-dlq.fifo"))
    );
    for queue in [queue, dlq] {
        assert_eq!(
            (&queue["fifo_queue"], &queue["content_based_deduplication"]),
            (&json!(true), &json!(false))
        );
        assert_eq!(queue["message_retention_seconds"], 14 * 24 * 60 * 60, "14 days");
        assert_eq!(queue["receive_wait_time_seconds"], 20);
    }
    assert_eq!(queue["deduplication_scope"], "messageGroup");
    assert_eq!(queue["fifo_throughput_limit"], "perMessageGroupId");
    let redrive = document(&queue["redrive_policy"]);
    assert_eq!(redrive, json!({ "deadLetterTargetArn": format!("{DLQ}.arn"), "maxReceiveCount": 1000 }));
    // The code replaces a message before the queue gives it up, and half of the receives may fail.
    let renewed_after = consumer::webhooks::queued::MAX_RECEIVES;
    assert!(u64::from(2 * renewed_after) <= redrive["maxReceiveCount"].as_u64().unwrap());
    let allow = plan.get("aws_sqs_queue_redrive_allow_policy.webhooks_dlq[0]");
    let by_queue = json!({ "redrivePermission": "byQueue", "sourceQueueArns": [format!("{QUEUE}.arn")] });
    assert_eq!(
        (&allow["queue_url"], document(&allow["redrive_allow_policy"])),
        (&json!(format!("{DLQ}.url")), by_queue)
    );
}

#[test]
fn the_visibility_timeout_leaves_time_for_a_batch_and_its_retries() {
    for timeout in [20, 180, 900] {
        let plan = with_webhooks(&[("webhooks.timeout", timeout.into())]);
        assert_eq!(plan.get(SENDER)["timeout"], timeout);
        assert_eq!(plan.get(QUEUE)["visibility_timeout_seconds"], 6 * timeout);
    }
    for wrong in [19, 901] {
        assert!(try_plan(&[("webhooks.timeout", wrong.into())]).is_err(), "{wrong}");
    }
}

#[test]
fn the_mapping_reports_the_messages_that_come_back() {
    let plan = with_webhooks(&[("webhooks.maximum_concurrency", 7.into())]);
    let mapping = plan.get(MAPPING);
    assert_eq!(mapping["event_source_arn"], format!("{QUEUE}.arn"));
    assert_eq!(mapping["function_name"], format!("{SENDER}.arn"));
    assert_eq!(mapping["function_response_types"], json!(["ReportBatchItemFailures"]));
    assert_eq!(
        (&mapping["batch_size"], &mapping["maximum_batching_window_in_seconds"]),
        (&json!(10), &Json::Null)
    );
    assert_eq!(mapping["scaling_config"], json!([{ "maximum_concurrency": 7 }]));
    assert_eq!(mapping["filter_criteria"], Json::Null);
    assert!(try_plan(&[("webhooks.maximum_concurrency", 1.into())]).is_err());
}

#[test]
fn the_roles_of_webhooks_have_the_variables_that_they_read() {
    for feed in [true, false] {
        let plan = with_webhooks(&[("feed", if feed { json!({}) } else { Json::Null })]);
        for role in ["api", "relay", "webhook-sender"] {
            let variables = variables_of(&plan, role);
            assert_eq!(variables["WEBHOOK_QUEUE_URL"], format!("{QUEUE}.url"), "{role}");
            assert_eq!(variables["OUTBOUND_TABLE"], "orders-outbound", "{role}");
            assert_eq!(variables["TABLE_NAME"], "orders", "{role}");
        }
        assert_eq!(variables_of(&plan, "webhook-sender")["ALERTS_TOPIC"], "aws_sns_topic.alerts.arn");
        assert_eq!(variables_of(&plan, "consumer")["WEBHOOK_QUEUE_URL"], Json::Null);
        assert_eq!(
            variables_of(&plan, "relay")["ORDERS_FEED"],
            if feed { json!("true") } else { Json::Null }
        );
        let table = plan.get("aws_dynamodb_table.orders");
        assert_eq!(
            (&table["stream_enabled"], &table["stream_view_type"]),
            (&json!(true), &json!("NEW_IMAGE"))
        );
        assert_eq!(plan.get(SENDER)["handler"], "webhook-sender");
    }
}

#[test]
fn the_queues_are_encrypted_by_sqs_or_with_a_key() {
    for (plan, managed, key) in [
        (with_webhooks(&[]), json!(true), Json::Null),
        (with_webhooks(&[("kms_key_arn", KEY.into())]), Json::Null, json!(KEY)),
    ] {
        for queue in [QUEUE, DLQ].map(|queue| plan.get(queue)) {
            assert_eq!((&queue["sqs_managed_sse_enabled"], &queue["kms_master_key_id"]), (&managed, &key));
        }
    }
}

#[test]
fn alarms_watch_late_jobs_and_jobs_that_cannot_be_handled() {
    let plan = with_webhooks(&[("alarms.webhook_age", 300.into())]);
    let alarm = |name: &str| plan.get(&format!("aws_cloudwatch_metric_alarm.{name}"));
    for (name, metric, queue, threshold) in [
        ("webhooks_age[0]", "ApproximateAgeOfOldestMessage", "orders-webhooks.fifo", 300),
        ("webhooks_dlq[0]", "ApproximateNumberOfMessagesVisible", "orders-webhooks-dlq.fifo", 0),
    ] {
        let alarm = alarm(name);
        assert_eq!((&alarm["namespace"], &alarm["metric_name"]), (&json!("AWS/SQS"), &json!(metric)));
        assert_eq!(alarm["dimensions"], json!({ "QueueName": queue }));
        assert_eq!((&alarm["statistic"], &alarm["threshold"]), (&json!("Maximum"), &json!(threshold)));
        assert_eq!(alarm["comparison_operator"], "GreaterThanThreshold");
    }
    let throttled = alarm("throttles[webhook-sender]");
    assert_eq!(throttled["dimensions"], json!({ "FunctionName": "orders-webhook-sender" }));
    for (address, alarm) in plan.all("aws_cloudwatch_metric_alarm") {
        assert_eq!(alarm["alarm_actions"], json!(["aws_sns_topic.alerts.arn"]), "{address}");
        assert_eq!(alarm["treat_missing_data"], "notBreaching", "{address}");
    }
}
