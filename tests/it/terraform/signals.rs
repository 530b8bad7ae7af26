//! Tests the alarms and the dashboard.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::module::Plan;
use super::{document, plan, plan_with};

fn alarm<'a>(plan: &'a Plan, name: &str) -> &'a Json {
    plan.get(&format!("aws_cloudwatch_metric_alarm.{name}"))
}

/// The metric of the alarm's query with this id: its namespace, name, statistic and period.
fn metric<'a>(alarm: &'a Json, id: &str) -> &'a Json {
    let queries = alarm["metric_query"].as_array().unwrap();
    &queries.iter().find(|query| query["id"] == id).unwrap_or_else(|| panic!("no {id}"))["metric"][0]
}

fn expression<'a>(alarm: &'a Json, id: &str) -> &'a str {
    let queries = alarm["metric_query"].as_array().unwrap();
    queries.iter().find(|query| query["id"] == id).unwrap()["expression"].as_str().unwrap()
}

/// Asserts that the alarm has these attributes.
fn assert_has(alarm: &Json, expected: &Json) {
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(alarm[name], *value, "{name} of {}", alarm["alarm_name"]);
    }
}

#[test]
fn alarms_watch_depth_errors_and_dead_letters() {
    let plan = plan();
    let depth = json!({
        "alarm_name": "orders-queue-depth", "comparison_operator": "GreaterThanThreshold", "evaluation_periods": 2,
        "metric_name": "ApproximateNumberOfMessagesVisible", "namespace": "AWS/SQS", "period": 300,
        "statistic": "Average", "threshold": 1000, "dimensions": { "QueueName": "orders-queue.fifo" },
        "alarm_actions": ["aws_sns_topic.alerts.arn"],
    });
    assert_has(alarm(&plan, "queue_depth"), &depth);

    let errors = json!({
        "comparison_operator": "GreaterThanThreshold", "evaluation_periods": 2, "metric_name": "Errors",
        "namespace": "AWS/Lambda", "period": 300, "statistic": "Sum", "threshold": 10,
        "dimensions": { "FunctionName": "orders-consumer" }, "alarm_actions": ["aws_sns_topic.alerts.arn"],
    });
    assert_has(alarm(&plan, "consumer_errors"), &errors);

    let dlq = alarm(&plan, "dlq_not_empty");
    let not_empty = json!({
        "alarm_name": "orders-dlq-not-empty", "comparison_operator": "GreaterThanThreshold", "threshold": 0,
        "alarm_actions": ["aws_sns_topic.alerts.arn"],
    });
    assert_has(dlq, &not_empty);
    let visible = json!({
        "namespace": "AWS/SQS", "metric_name": "ApproximateNumberOfMessagesVisible", "period": 60, "stat": "Sum",
        "dimensions": { "QueueName": "orders-queue-dlq.fifo" },
    });
    assert_eq!(*metric(dlq, "visible"), visible);
}

#[test]
fn dead_letters_alarm_when_they_stay_longer_than_a_retry_takes() {
    for timeout in [50, 7, 900] {
        let plan = plan_with(&[("dead_letters.timeout", timeout.into())]);
        let dlq = alarm(&plan, "dlq_not_empty");
        let seconds = dlq["evaluation_periods"].as_i64().unwrap() * 60;
        assert!(
            seconds > 6 * timeout && seconds <= 24 * 60 * 60,
            "the window is {seconds} s with a timeout of {timeout} s"
        );
        // The alarm also counts messages that are being handled. They are not visible on the queue, but they are not
        // archived yet either.
        assert_eq!(expression(dlq, "left"), "FILL(visible, 0) + FILL(tried, 0)");
        assert_eq!(metric(dlq, "tried")["metric_name"], "ApproximateNumberOfMessagesNotVisible");
    }
}

#[test]
fn every_alarm_has_actions_and_treats_missing_data() {
    let plan = plan();
    let names: BTreeSet<_> = plan
        .all("aws_cloudwatch_metric_alarm")
        .map(|(_, alarm)| alarm["alarm_name"].as_str().unwrap())
        .collect();
    let expected = [
        "api-5xx",
        "api-latency",
        "api-throttles",
        "consumer-errors",
        "consumer-throttles",
        "dead-letters-errors",
        "dead-letters-throttles",
        "dlq-not-empty",
        "expiry-errors",
        "expiry-late",
        "expiry-throttles",
        "ledger-imbalance",
        "message-age",
        "parked-rate",
        "queue-depth",
        "rejected-rate",
    ];
    assert_eq!(
        names,
        expected
            .iter()
            .map(|name| format!("orders-{name}"))
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str)
            .collect()
    );
    for (address, alarm) in plan.all("aws_cloudwatch_metric_alarm") {
        assert_eq!(
            alarm["treat_missing_data"], "notBreaching",
            "{address}: an idle pipeline must not raise an alarm"
        );
        for actions in ["alarm_actions", "ok_actions"] {
            assert_eq!(alarm[actions], json!(["aws_sns_topic.alerts.arn"]), "{address}");
        }
        assert!(alarm["alarm_description"].as_str().is_some_and(|text| text.ends_with('.')), "{address}");
        if let Some(queries) = alarm["metric_query"].as_array() {
            assert_eq!(queries.iter().filter(|query| query["return_data"] == true).count(), 1, "{address}");
            let periods: BTreeSet<_> =
                queries.iter().filter_map(|it| it["metric"][0]["period"].as_u64()).collect();
            assert_eq!(periods.len(), 1, "{address}: all metrics of an expression need the same period");
            assert_eq!(alarm["metric_name"], Json::Null, "{address}");
        }
    }
}

#[test]
fn rates_count_all_outcomes_and_need_enough_events() {
    let plan = plan_with(&[("alarms.rate_minimum_events", 7.into()), ("alarms.parked_percent", 2.into())]);
    for (id, threshold) in [("rejected", 10), ("parked", 2)] {
        let alarm = alarm(&plan, &format!("rate[{id}]"));
        assert_eq!(alarm["threshold"], threshold);
        assert_eq!(expression(alarm, "percent"), format!("IF(ended >= 7, 100 * FILL({id}, 0) / ended, 0)"));
        assert_ended(alarm, expression(alarm, "ended"));
    }
}

/// Asserts that the expression counts each final state exactly once, and no other state.
fn assert_ended(alarm: &Json, expression: &str) {
    let mut terms: Vec<_> = expression.split(" + ").collect();
    terms.sort_unstable();
    let statuses = [
        ("duplicate", "Duplicate"),
        ("parked", "Parked"),
        ("recorded", "Recorded"),
        ("rejected", "Rejected"),
    ];
    assert_eq!(terms, statuses.map(|(id, _)| format!("FILL({id}, 0)")));
    for (id, status) in statuses {
        let metric = metric(alarm, id);
        assert_eq!(
            (&metric["namespace"], &metric["metric_name"]),
            (&json!("OrderProcessing"), &json!("MessagesProcessed"))
        );
        assert_eq!((&metric["dimensions"], &metric["stat"]), (&json!({ "Status": status }), &json!("Sum")));
    }
}

#[test]
fn the_ledger_alarm_compares_accepted_events_with_their_outcomes() {
    let plan = plan();
    let alarm = alarm(&plan, "ledger_imbalance");
    let difference = expression(alarm, "imbalance");
    let ended = difference.strip_prefix("ABS(FILL(accepted, 0) - (").and_then(|rest| rest.strip_suffix("))"));
    assert_ended(alarm, ended.unwrap_or_else(|| panic!("{difference}")));
    let accepted = metric(alarm, "accepted");
    assert_eq!(accepted["metric_name"], "NumberOfMessagesSent");
    assert_eq!(accepted["dimensions"], json!({ "QueueName": "orders-queue.fifo" }));
    let window = accepted["period"].as_u64().unwrap();
    let retries: u64 = 5 * plan.get("aws_sqs_queue.main")["visibility_timeout_seconds"].as_u64().unwrap();
    assert!(
        window > 4 * retries && window <= 24 * 60 * 60,
        "a message that is received five times is finished within the window"
    );
}

#[test]
fn alarms_watch_the_api_and_all_functions() {
    let plan = plan();
    let of_api = json!({ "ApiId": "aws_apigatewayv2_api.orders.id" });
    let failing = json!({ "namespace": "AWS/ApiGateway", "metric_name": "5xx", "statistic": "Average", "threshold": 0.01 });
    assert_has(alarm(&plan, "api_5xx"), &failing);
    let slow = json!({ "namespace": "AWS/ApiGateway", "metric_name": "Latency", "extended_statistic": "p99", "threshold": 2000 });
    assert_has(alarm(&plan, "api_latency"), &slow);
    for name in ["api_5xx", "api_latency"] {
        assert_eq!(alarm(&plan, name)["dimensions"], of_api);
    }
    for role in ["api", "consumer", "dead-letters", "expiry"] {
        let throttled = json!({ "metric_name": "Throttles", "statistic": "Sum", "threshold": 0,
                                "dimensions": { "FunctionName": format!("orders-{role}") } });
        assert_has(alarm(&plan, &format!("throttles[{role}]")), &throttled);
    }
    let archive = json!({ "metric_name": "Errors", "threshold": 0, "dimensions": { "FunctionName": "orders-dead-letters" } });
    assert_has(alarm(&plan, "dead_letters_errors"), &archive);
    let failing = json!({ "metric_name": "Errors", "threshold": 0, "evaluation_periods": 5,
                          "dimensions": { "FunctionName": "orders-expiry" } });
    assert_has(alarm(&plan, "expiry_errors"), &failing);
    // The metric is in milliseconds.
    let late = json!({ "namespace": "OrderProcessing", "metric_name": "DueLateness", "statistic": "Maximum", "threshold": 900_000 });
    assert_has(alarm(&plan, "expiry_late"), &late);
    let stuck =
        json!({ "metric_name": "ApproximateAgeOfOldestMessage", "statistic": "Maximum", "threshold": 900 });
    assert_has(alarm(&plan, "message_age"), &stuck);
}

#[test]
fn the_dashboard_shows_the_pipeline() {
    let plan = plan();
    let dashboard = document(&plan.get("aws_cloudwatch_dashboard.orders")["dashboard_body"]);
    let widgets = dashboard["widgets"].as_array().unwrap();
    let mut places = BTreeSet::new();
    let mut metrics = BTreeSet::new();
    for widget in widgets {
        let place = ["x", "y"].map(|axis| widget[axis].as_u64().unwrap());
        assert!(place[0] + widget["width"].as_u64().unwrap() <= 24, "{widget}");
        assert!(places.insert(place), "two widgets overlap at {place:?}");
        assert_eq!(widget["properties"]["region"], "eu-central-1");
        for metric in widget["properties"]["metrics"].as_array().unwrap() {
            metrics.insert((metric[0].as_str().unwrap(), metric[1].as_str().unwrap()));
            // Each metric consists of the namespace, the name, pairs of dimensions, and options at the end.
            let dimensions =
                metric.as_array().unwrap().iter().skip(2).take_while(|it| it.is_string()).count();
            assert_eq!(dimensions % 2, 0, "{metric}");
        }
    }
    for metric in [
        ("AWS/ApiGateway", "Count"),
        ("AWS/ApiGateway", "Latency"),
        ("AWS/Lambda", "Errors"),
        ("AWS/Lambda", "FilteredOutEventCount"),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage"),
        ("AWS/SQS", "NumberOfMessagesSent"),
        ("OrderProcessing", "MessagesProcessed"),
    ] {
        assert!(metrics.contains(&metric), "{metric:?}");
    }
}

#[test]
fn alarms_watch_deliveries_that_were_given_up_and_subscriptions_that_were_stopped() {
    let webhooks = plan_with(&[("webhooks", json!({}))]);
    for (name, metric) in
        [("given-up", "WebhookDeliveriesGivenUp"), ("stopped", "WebhookSubscriptionsStopped")]
    {
        let expected = json!({
            "alarm_name": format!("orders-webhooks-{name}"), "namespace": "OrderProcessing", "metric_name": metric,
            "statistic": "Sum", "threshold": 0, "comparison_operator": "GreaterThanThreshold", "evaluation_periods": 1,
            "treat_missing_data": "notBreaching", "alarm_actions": ["aws_sns_topic.alerts.arn"],
        });
        assert_has(alarm(&webhooks, &format!("webhooks_stopped[{name}]")), &expected);
    }
}
