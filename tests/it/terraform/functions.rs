//! Tests the Lambda functions and their event source mappings.

use serde_json::{Value as Json, json};

use super::{KEY, document, plan, plan_with, standard, try_plan};

const ROLES: [&str; 4] = ["api", "consumer", "dead-letters", "expiry"];

fn function(role: &str) -> String {
    format!("aws_lambda_function.function[{role}]")
}

#[test]
fn the_consumer_has_its_timeout_memory_and_concurrency() {
    let plan = plan();
    let consumer = plan.get(&function("consumer"));
    assert_eq!((&consumer["timeout"], &consumer["memory_size"]), (&json!(50), &json!(512)));
    assert_eq!(consumer["reserved_concurrent_executions"], -1, "a new account cannot reserve any");
    assert_eq!(consumer["tracing_config"], json!([{ "mode": "PassThrough" }]));
    let variables = &consumer["environment"][0]["variables"];
    assert_eq!(variables["TABLE_NAME"], "orders");
    assert_eq!(variables["QUEUE_URL"], "aws_sqs_queue.main.url");
    assert_eq!(variables["LOG_LEVEL"], "INFO");

    for plan in [plan, standard()] {
        let mapping = plan.get("aws_lambda_event_source_mapping.consumer");
        assert_eq!(mapping["event_source_arn"], "aws_sqs_queue.main.arn");
        assert_eq!(mapping["function_name"], format!("{}.arn", function("consumer")));
        assert_eq!(mapping["batch_size"], 10);
        assert_eq!(mapping["scaling_config"], json!([{ "maximum_concurrency": 4 }]));
    }
}

#[test]
fn one_package_serves_every_role() {
    for architecture in ["arm64", "x86_64"] {
        let plan = plan_with(&[("architecture", architecture.into())]);
        assert_eq!(plan.all("aws_lambda_function").count(), ROLES.len());
        for role in ROLES {
            let function = plan.get(&function(role));
            assert_eq!(function["function_name"], format!("orders-{role}"));
            assert_eq!(function["role"], format!("aws_iam_role.function[{role}].arn"));
            assert_eq!(
                (&function["handler"], &function["runtime"]),
                (&json!(role), &json!("provided.al2023"))
            );
            assert_eq!(function["architectures"], json!([architecture]));
            assert_eq!(function["filename"], "bootstrap.zip");
            assert_eq!(
                function["source_code_hash"], "filebase64sha256(bootstrap.zip)",
                "a new package triggers a deployment"
            );
            // A dead-letter configuration would apply only to asynchronous invocations.
            assert_eq!(function["dead_letter_config"], Json::Null);
        }
    }
    assert_eq!(
        try_plan(&[("architecture", "arm".into())]).err().unwrap(),
        ["architecture must be arm64 or x86_64."]
    );
}

#[test]
fn every_role_has_the_variables_that_it_reads() {
    let origins = json!(["https://shop.example", "https://app.example"]);
    let plan = plan_with(&[("api.cors_origins", origins), ("default_currency", "EUR".into())]);
    let (main, dlq) = ("aws_sqs_queue.main.url", "aws_sqs_queue.dlq.url");
    let bucket = "orders-dead-letters-123456789012-eu-central-1";
    let common = json!({ "QUEUE_URL": main, "TABLE_NAME": "orders", "LOG_LEVEL": "INFO", "ORDERS_DEFAULT_CURRENCY": "EUR",
        "ORDERS_DEPLOYMENT": "orders" });
    let own = [
        json!({ "DLQ_URL": dlq, "DLQ_BUCKET": bucket, "ORDERS_AUTH": "gateway",
                "ORDERS_CORS_ORIGINS": "https://shop.example,https://app.example" }),
        json!({ "DLQ_URL": dlq, "ORDERS_MAX_RECEIVES": 5 }),
        json!({ "DLQ_URL": dlq, "DLQ_BUCKET": bucket, "ALERTS_TOPIC": "aws_sns_topic.alerts.arn" }),
        json!({}),
    ];
    for (role, own) in ROLES.into_iter().zip(own) {
        let mut expected = common.as_object().unwrap().clone();
        expected.extend(own.as_object().unwrap().clone());
        assert_eq!(plan.get(&function(role))["environment"], json!([{ "variables": expected }]), "{role}");
    }
    // The program refuses an empty list of origins, so the variable must not be set.
    let closed = super::plan();
    let variables = &closed.get(&function("api"))["environment"][0]["variables"];
    assert_eq!(variables["ORDERS_CORS_ORIGINS"], Json::Null);
    assert_eq!(variables["ORDERS_JWT_SCOPE_PREFIX"], Json::Null);
}

#[test]
fn both_mappings_report_failed_messages() {
    for plan in [plan(), standard()] {
        let mappings: Vec<_> = plan.all("aws_lambda_event_source_mapping").collect();
        assert_eq!(mappings.len(), 2);
        for (address, mapping) in mappings {
            assert_eq!(mapping["function_response_types"], json!(["ReportBatchItemFailures"]), "{address}");
            assert_eq!(mapping["filter_criteria"], Json::Null, "a filter in {address} would delete messages");
            assert!(mapping["batch_size"].as_u64().unwrap() <= 10, "{address}");
            assert_eq!(mapping["metrics_config"], json!([{ "metrics": ["EventCount"] }]));
        }
        let dead_letters = plan.get("aws_lambda_event_source_mapping.dead_letters");
        assert_eq!(dead_letters["event_source_arn"], "aws_sqs_queue.dlq.arn");
        assert_eq!(dead_letters["function_name"], format!("{}.arn", function("dead-letters")));
    }
}

#[test]
fn a_filter_is_made_only_if_event_types_are_given() {
    let types = json!(["order_created", "order_updated"]);
    let plan = plan_with(&[("consumer.delete_all_but_event_types", types)]);
    let mapping = plan.get("aws_lambda_event_source_mapping.consumer");
    let pattern = document(&mapping["filter_criteria"][0]["filter"][0]["pattern"]);
    let expected = json!({ "body": { "type": ["order_created", "order_updated"] } });
    assert_eq!(pattern, expected);
    assert_eq!(plan.get("aws_lambda_event_source_mapping.dead_letters")["filter_criteria"], Json::Null);
}

#[test]
fn lambda_receives_no_more_than_it_can_run() {
    let reserved = [
        ("consumer.maximum_concurrency", 100.into()),
        ("consumer.reserved_concurrency", 100.into()),
        ("dead_letters.reserved_concurrency", 2.into()),
    ];
    let plan = plan_with(&reserved);
    for (mapping, role) in [("consumer", "consumer"), ("dead_letters", "dead-letters")] {
        let mapping = plan.get(&format!("aws_lambda_event_source_mapping.{mapping}"));
        let most = mapping["scaling_config"][0]["maximum_concurrency"].as_u64().unwrap();
        let reserved = plan.get(&function(role))["reserved_concurrent_executions"].as_u64().unwrap();
        assert!(
            (2..=1000).contains(&most) && most <= reserved,
            "{role}: the maximum is {most}, and {reserved} are reserved"
        );
    }
    for (name, value) in [
        ("consumer.maximum_concurrency", 1),
        ("consumer.maximum_concurrency", 1001),
        ("consumer.reserved_concurrency", 3),
        ("consumer.reserved_concurrency", 0),
        ("dead_letters.reserved_concurrency", 1),
        ("api.reserved_concurrency", 0),
    ] {
        assert!(try_plan(&[(name, value.into())]).is_err(), "{name} = {value}");
    }
}

#[test]
fn the_first_apply_reserves_nothing_and_leaves_executions_for_the_api() {
    // A new account has ten concurrent executions, and Lambda refuses every reservation there.
    let plan = plan();
    for (address, function) in plan.all("aws_lambda_function") {
        assert_eq!(function["reserved_concurrent_executions"], -1, "{address}");
    }
    let mappings = plan.all("aws_lambda_event_source_mapping");
    let most: u64 =
        mappings.map(|(_, it)| it["scaling_config"][0]["maximum_concurrency"].as_u64().unwrap()).sum();
    let scheduled = plan.all("aws_cloudwatch_event_target").count() as u64;
    assert!(
        most + scheduled <= 7,
        "{most} for mappings and {scheduled} for schedules leave less than three for the API"
    );
}

#[test]
fn provisioned_pollers_replace_the_maximum_and_need_ten_executions_each() {
    let mapping = "aws_lambda_event_source_mapping.consumer";
    let pollers = |value: Json| ("consumer.provisioned_pollers", value);
    let plan = plan_with(&[pollers(json!({ "minimum": 3 }))]);
    let mapping = plan.get(mapping);
    assert_eq!(
        mapping["provisioned_poller_config"],
        json!([{ "minimum_pollers": 3, "maximum_pollers": 10 }])
    );
    assert_eq!(mapping["scaling_config"], Json::Null, "Lambda refuses both");
    let default = super::plan();
    let default = default.get("aws_lambda_event_source_mapping.consumer");
    assert_eq!(default["provisioned_poller_config"], Json::Null);
    let reserved = |count: i64| ("consumer.reserved_concurrency", count.into());
    plan_with(&[pollers(json!({})), reserved(100)]);
    assert!(try_plan(&[pollers(json!({})), reserved(99)]).err().unwrap()[0].contains("ten for each"));
    for wrong in [
        json!({ "minimum": 1 }),
        json!({ "minimum": 201, "maximum": 300 }),
        json!({ "minimum": 5, "maximum": 4 }),
    ] {
        assert!(try_plan(&[pollers(wrong.clone())]).is_err(), "{wrong}");
    }
}

#[test]
fn logs_are_json_lines_without_a_level_filter_and_expire() {
    let plan = plan_with(&[("kms_key_arn", KEY.into()), ("logs.retention_days", 30.into())]);
    for role in ROLES {
        let (function, group) = (plan.get(&function(role)), format!("/aws/lambda/orders-{role}"));
        let logging = json!([{ "log_format": "JSON", "application_log_level": "TRACE",
                               "system_log_level": "WARN", "log_group": group }]);
        assert_eq!(function["logging_config"], logging);
        assert_eq!(function["kms_key_arn"], KEY);
        assert_eq!(plan.get(&format!("aws_cloudwatch_log_group.function[{role}]"))["name"], group);
    }
    for (address, group) in plan.all("aws_cloudwatch_log_group") {
        assert_eq!(
            (&group["retention_in_days"], &group["kms_key_id"]),
            (&json!(30), &json!(KEY)),
            "{address}"
        );
    }
}

#[test]
fn the_expiry_function_runs_every_minute_and_is_not_repeated() {
    let plan = plan_with(&[("expiry.unpaid_after", "48h".into())]);
    let rule = plan.get("aws_cloudwatch_event_rule.expiry");
    assert_eq!(rule["schedule_expression"], "rate(1 minute)");
    let target = plan.get("aws_cloudwatch_event_target.expiry");
    assert_eq!(
        (&target["rule"], &target["arn"]),
        (&rule["name"], &json!(format!("{}.arn", function("expiry"))))
    );
    let permission = plan.get("aws_lambda_permission.expiry");
    assert_eq!(permission["principal"], "events.amazonaws.com");
    assert_eq!(permission["source_arn"], "aws_cloudwatch_event_rule.expiry.arn");
    let asynchronous = plan.get("aws_lambda_function_event_invoke_config.expiry");
    assert_eq!(asynchronous["maximum_retry_attempts"], 0);
    assert_eq!(plan.get(&function("expiry"))["timeout"], 60, "an invocation ends before the next one starts");
    for role in ["consumer", "expiry"] {
        assert_eq!(plan.get(&function(role))["environment"][0]["variables"]["ORDERS_EXPIRE_UNPAID"], "48h");
    }
    assert!(try_plan(&[("expiry.unpaid_after", "soon".into())]).is_err());
}
