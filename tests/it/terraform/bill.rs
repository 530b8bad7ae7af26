//! Tests what the deployment adds to the bill in `docs/aws.md`: the metrics that functions write and alarms read, and the bytes of
//! the access log.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use super::{document, plan, plan_with};
use crate::aws::bill::measured;

const NAMESPACE: &str = "OrderProcessing";

/// The metrics of the program that alarms and the dashboard read, with their dimensions.
fn looked_at(plan: &super::Plan) -> BTreeSet<(String, String)> {
    let mut metrics = BTreeSet::new();
    let mut add = |namespace: &Json, name: &Json, dimensions: String| {
        if namespace == NAMESPACE {
            metrics.insert((name.as_str().unwrap().to_owned(), dimensions));
        }
    };
    for (_, alarm) in plan.all("aws_cloudwatch_metric_alarm") {
        add(&alarm["namespace"], &alarm["metric_name"], alarm["dimensions"].to_string());
        for metric in alarm["metric_query"].as_array().into_iter().flatten() {
            for metric in metric["metric"].as_array().into_iter().flatten() {
                add(&metric["namespace"], &metric["metric_name"], metric["dimensions"]["Status"].to_string());
            }
        }
    }
    let dashboard = document(&plan.get("aws_cloudwatch_dashboard.orders")["dashboard_body"]);
    for widget in dashboard["widgets"].as_array().unwrap() {
        for metric in widget["properties"]["metrics"].as_array().unwrap() {
            add(&metric[0], &metric[1], metric[3].to_string());
        }
    }
    metrics
}

#[test]
fn functions_write_the_metrics_that_alarms_and_the_dashboard_read_and_no_others() {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/aws/emf.rs")).unwrap();
    let written: BTreeSet<_> = source
        .lines()
        .filter(|line| line.trim_start().starts_with("watched("))
        .map(|line| line.split('"').nth(3).unwrap().to_owned())
        .collect();
    let everything = plan_with(&[
        ("feed", serde_json::json!({})),
        ("webhooks", true.into()),
        (
            "event_bus",
            serde_json::json!({ "arn": "arn:aws:events:eu-central-1:123456789012:event-bus/shop" }),
        ),
    ]);
    let read: BTreeSet<_> = looked_at(&everything).into_iter().map(|(name, _)| name).collect();
    assert_eq!(written, read);
    let metrics = looked_at(&plan());
    assert_eq!(metrics.len() as f64, measured("watched_metrics"), "{metrics:?}");
}

#[test]
fn the_bill_counts_the_metrics_of_all_alarms() {
    let plan = plan();
    let metrics = plan.all("aws_cloudwatch_metric_alarm").map(|(_, alarm)| {
        let queries = alarm["metric_query"].as_array().into_iter().flatten();
        let read =
            queries.filter(|query| query["metric"].as_array().is_some_and(|metric| !metric.is_empty()));
        read.count().max(1)
    });
    assert_eq!(metrics.sum::<usize>() as f64, measured("alarm_metrics"));
}

#[test]
fn a_line_of_the_access_log_has_the_bytes_of_the_bill() {
    let plan = plan();
    let format = document(&plan.get("aws_apigatewayv2_stage.default")["access_log_settings"][0]["format"]);
    let mut line = serde_json::Map::new();
    for (name, variable) in format.as_object().unwrap() {
        let value = match variable.as_str().unwrap() {
            "$context.requestTimeEpoch" => "1795514400000",
            "$context.requestId" => "JKJaXmPLvHcESHA=",
            "$context.identity.sourceIp" => "203.0.113.117",
            "$context.authorizer.claims.sub" => "0199d3a0-7c3e-4b8a-9d2f-5e6a7b8c9d0e",
            "$context.routeKey" => "POST /v1/orders",
            "$context.path" => "/v1/orders",
            "$context.status" => "202",
            "$context.responseLatency" => "17",
            // Of an answer without an error.
            "$context.error.message" | "$context.authorizer.error" | "$context.integrationErrorMessage" => {
                "-"
            }
            other => panic!("a value for {other} is missing here"),
        };
        line.insert(name.clone(), value.into());
    }
    let bytes = Json::from(line).to_string().len() as f64;
    assert_eq!(bytes, measured("access_log_bytes"));
}
