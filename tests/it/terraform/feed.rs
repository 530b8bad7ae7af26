//! Tests the feed of the deployment: its table, the change stream, the mapping of the relay, and their alarms.

use serde_json::{Value as Json, json};

use super::{KEY, document, plan, plan_with, try_plan};

#[test]
fn there_is_no_feed_by_default() {
    let plan = plan();
    assert_eq!(plan.get("aws_dynamodb_table.orders")["stream_enabled"], false);
    let of_feed: Vec<_> =
        plan.addresses().into_iter().filter(|it| it.contains("relay") || it.contains("outbound")).collect();
    assert_eq!(of_feed, [] as [&str; 0]);
    let variables = &plan.get("aws_lambda_function.function[api]")["environment"][0]["variables"];
    assert_eq!(variables["ORDERS_FEED"], Json::Null);
}

#[test]
fn the_relay_gets_every_new_log_entry_in_order_until_it_succeeds() {
    let plan = plan_with(&[("feed", json!({})), ("relay.batching_window", 2.into())]);
    let table = plan.get("aws_dynamodb_table.orders");
    assert_eq!((&table["stream_enabled"], &table["stream_view_type"]), (&json!(true), &json!("NEW_IMAGE")));
    let mapping = plan.get("aws_lambda_event_source_mapping.relay[0]");
    assert_eq!(mapping["event_source_arn"], "aws_dynamodb_table.orders.stream_arn");
    assert_eq!(mapping["function_name"], "aws_lambda_function.function[relay].arn");
    assert_eq!(mapping["function_response_types"], json!(["ReportBatchItemFailures"]));
    assert_eq!(
        (&mapping["starting_position"], &mapping["batch_size"]),
        (&json!("TRIM_HORIZON"), &json!(1000))
    );
    assert_eq!(mapping["maximum_batching_window_in_seconds"], 2);
    for limit in ["maximum_retry_attempts", "maximum_record_age_in_seconds", "parallelization_factor"] {
        assert_eq!(mapping[limit], Json::Null, "{limit}");
    }
    let pattern = document(&mapping["filter_criteria"][0]["filter"][0]["pattern"]);
    let entries = json!({ "eventName": ["INSERT"], "dynamodb": { "Keys": { "sk": { "S": [{ "prefix": "EVENT#" }] } } } });
    assert_eq!(pattern, entries);
}

#[test]
fn the_api_and_the_relay_agree_on_the_feed() {
    let plan =
        plan_with(&[("feed", json!({})), ("feed.partitions", 8.into()), ("feed.retention_days", 7.into())]);
    for role in ["api", "relay"] {
        let variables =
            &plan.get(&format!("aws_lambda_function.function[{role}]"))["environment"][0]["variables"];
        assert_eq!(variables["ORDERS_FEED"], "true");
        assert_eq!(variables["ORDERS_FEED_PARTITIONS"], 8);
        assert_eq!(variables["OUTBOUND_TABLE"], "orders-outbound");
        assert_eq!(variables["TABLE_NAME"], "orders");
    }
    let relay = &plan.get("aws_lambda_function.function[relay]")["environment"][0]["variables"];
    assert_eq!(relay["ORDERS_FEED_RETENTION"], "7d");
    for (name, wrong) in [("feed.partitions", 65), ("feed.partitions", 0), ("feed.retention_days", 0)] {
        assert!(try_plan(&[(name, wrong.into())]).is_err(), "{name} = {wrong}");
    }
}

#[test]
fn the_outbound_table_is_as_the_program_makes_it() {
    let plan = plan_with(&[("feed", json!({})), ("kms_key_arn", KEY.into())]);
    let table = plan.get("aws_dynamodb_table.outbound[0]");
    assert_eq!((&table["hash_key"], &table["range_key"]), (&json!("pk"), &json!("sk")));
    assert_eq!(table["billing_mode"], "PAY_PER_REQUEST");
    assert_eq!(table["ttl"], json!([{ "attribute_name": "expires_at", "enabled": true }]));
    assert_eq!(table["server_side_encryption"], json!([{ "enabled": true, "kms_key_arn": KEY }]));
}

#[test]
fn alarms_watch_the_relay() {
    let plan = plan_with(&[("feed", json!({})), ("alarms.relay_age", 300.into())]);
    let age = plan.get("aws_cloudwatch_metric_alarm.relay_age[0]");
    let dimensions = json!({ "FunctionName": "orders-relay" });
    assert_eq!((&age["metric_name"], &age["dimensions"]), (&json!("IteratorAge"), &dimensions));
    assert_eq!(
        (&age["statistic"], &age["threshold"]),
        (&json!("Maximum"), &json!(300_000)),
        "in milliseconds"
    );
    let lag = plan.get("aws_cloudwatch_metric_alarm.relay_lag[0]");
    assert_eq!((&lag["namespace"], &lag["metric_name"]), (&json!("OrderProcessing"), &json!("RelayLag")));
    let throttled = plan.get("aws_cloudwatch_metric_alarm.throttles[relay]");
    assert_eq!(throttled["dimensions"], dimensions);
    for alarm in [age, lag, throttled] {
        assert_eq!(alarm["alarm_actions"], json!(["aws_sns_topic.alerts.arn"]));
        assert_eq!(alarm["treat_missing_data"], "notBreaching");
    }
    assert!(
        try_plan(&[("alarms.relay_age", 86_400.into())]).is_err(),
        "after a day, the records have already expired"
    );
}

#[test]
fn the_relay_publishes_to_the_outputs_and_an_alarm_watches_it() {
    let (bus, topic) = (
        "arn:aws:events:eu-central-1:123456789012:event-bus/shop",
        "arn:aws:sns:eu-central-1:123456789012:shop.fifo",
    );
    let variables = |plan: &super::Plan, role: &str| {
        plan.get(&format!("aws_lambda_function.function[{role}]"))["environment"][0]["variables"].clone()
    };
    let plan = plan_with(&[
        ("event_bus", json!({ "arn": bus })),
        ("events_topic", json!({ "arn": topic })),
        ("event_source", "/shop".into()),
    ]);
    let relay = variables(&plan, "relay");
    assert_eq!((&relay["EVENT_BUS"], &relay["EVENTS_TOPIC"]), (&json!(bus), &json!(topic)));
    assert_eq!((&relay["ORDERS_WEBHOOKS_SOURCE"], &relay["ORDERS_FEED"]), (&json!("/shop"), &Json::Null));
    assert_eq!(variables(&plan, "api")["EVENT_BUS"], Json::Null);
    assert_eq!(plan.get("aws_dynamodb_table.orders")["stream_enabled"], true);
    let alarm = plan.get("aws_cloudwatch_metric_alarm.publishing_failures[0]");
    assert_eq!(
        (&alarm["metric_name"], &alarm["dimensions"]),
        (&json!("OutputEvents"), &json!({ "Result": "Failed" }))
    );
    assert_eq!(alarm["alarm_actions"], json!(["aws_sns_topic.alerts.arn"]));
    assert_eq!(alarm["treat_missing_data"], "notBreaching");
    let only_topic = plan_with(&[("events_topic", json!({ "arn": topic }))]);
    assert_eq!(variables(&only_topic, "relay")["EVENT_BUS"], Json::Null);
    for (name, wrong) in [("event_bus", topic), ("events_topic", bus)] {
        assert!(try_plan(&[(name, json!({ "arn": wrong }))]).is_err(), "{name}");
    }
}
