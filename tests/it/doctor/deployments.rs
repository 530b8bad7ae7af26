//! Tests the doctor on complete deployments: a flawed deployment, both as configuration and as plan, and the real
//! deployment. Also tests the text output.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::{Report, here};
use crate::support::service::orders;

/// The findings that the doctor reports both for the configuration and for the plan of the flawed deployment.
const FLAWS: [&str; 21] = [
    "alarm-age-missing aws_sqs_queue.main",
    "alarm-throttles-missing aws_lambda_function.processor",
    "dead-letters-expire-first aws_sqs_queue.fifo_dlq message_retention_seconds",
    "dead-letters-on-function aws_lambda_function.processor dead_letter_config",
    "dead-letters-unattended aws_sqs_queue.dlq",
    "dead-letters-unattended aws_sqs_queue.fifo_dlq",
    "environment-missing aws_lambda_function.processor environment.DLQ_URL",
    "filter-deletes aws_lambda_event_source_mapping.sqs filter_criteria",
    "message-size-small aws_sqs_queue.dlq max_message_size",
    "message-size-small aws_sqs_queue.fifo max_message_size",
    "message-size-small aws_sqs_queue.fifo_dlq max_message_size",
    "message-size-small aws_sqs_queue.main max_message_size",
    "redrive-open aws_sqs_queue.dlq redrive_allow_policy",
    "redrive-open aws_sqs_queue.fifo_dlq redrive_allow_policy",
    "short-polling aws_sqs_queue.dlq receive_wait_time_seconds",
    "short-polling aws_sqs_queue.fifo receive_wait_time_seconds",
    "short-polling aws_sqs_queue.fifo_dlq receive_wait_time_seconds",
    "standard-queue aws_sqs_queue.main fifo_queue",
    "table-index aws_dynamodb_table.orders global_secondary_index",
    "table-not-protected aws_dynamodb_table.orders deletion_protection_enabled",
    "table-not-recoverable aws_dynamodb_table.orders point_in_time_recovery",
];

#[test]
fn every_flaw_of_a_configuration_is_found_and_nothing_else() {
    let report = Report::of(&here("tests/fixtures/doctor/flawed"));
    assert_eq!(report.code, Some(1));
    let mut expected: Vec<String> = FLAWS.map(str::to_owned).into();
    // In a plan, `missing_data` has its default value. A policy that contains the name of a new resource is unknown.
    for alarm in ["dlq_not_empty", "processing_errors", "queue_depth"] {
        let at = format!("aws_cloudwatch_metric_alarm.{alarm}");
        expected.push(format!("alarm-missing-data {at} treat_missing_data"));
    }
    for _ in ["logs", "traces", "the table"] {
        expected.push("permission-missing aws_lambda_function.processor role".to_owned());
    }
    expected.sort();
    assert_eq!(report.findings(), expected);
    assert_eq!(report.json["summary"]["unchecked"], 0, "{}", report.json["unchecked"]);
    let missing = report.found("permission-missing").join("; ");
    assert!(
        missing.contains("dynamodb:PutItem") && missing.contains("aws_dynamodb_table.orders"),
        "{missing}"
    );
    assert!(missing.contains("xray:PutTraceSegments") && missing.contains("logs:PutLogEvents"), "{missing}");
    assert!(!missing.contains("sqs:"), "granted permissions are not reported as missing: {missing}");
}

#[test]
fn a_plan_has_the_same_findings_and_lists_what_is_unknown() {
    let report = Report::of(&here("tests/fixtures/doctor/flawed-plan.json"));
    assert_eq!(report.code, Some(1));
    assert_eq!(report.findings(), FLAWS);
    for open in ["permission-missing", "max-receives-low", "environment-elsewhere"] {
        assert!(report.left_open(open), "{open} must be reported as unchecked: {}", report.json["unchecked"]);
    }
    assert_eq!(report.json["summary"]["unchecked"], 4, "{}", report.json["unchecked"]);
}

#[test]
fn our_own_deployment_has_no_finding() {
    let folder = here("infra/terraform");
    assert!(Path::new(&folder).is_dir(), "the deployment is missing: {folder} is not a folder");
    let report = Report::of(&folder);
    assert_eq!(report.findings(), Vec::<String>::new(), "{}", report.json);
    assert_eq!(
        report.json["summary"]["unchecked"], 0,
        "every rule must be checked: {}",
        report.json["unchecked"]
    );
    assert_eq!(report.code, Some(0));
}

#[test]
fn our_own_deployment_with_webhooks_has_no_finding() {
    for feed in [true, false] {
        let folder = TempDir::new().unwrap();
        symlink(here("infra/terraform/modules/orders"), folder.path().join("orders")).unwrap();
        let root = format!(
            r#"
module "orders" {{
  source       = "./orders"
  package      = "bootstrap.zip"
  jwt_issuer   = "https://id.example"
  jwt_audience = ["orders"]
  feed         = {feed}
  webhooks     = true
}}
"#
        );
        fs::write(folder.path().join("main.tf"), root).unwrap();
        let report = Report::of(folder.path().to_str().unwrap());
        assert_eq!(report.findings(), Vec::<String>::new(), "{}", report.json);
        assert_eq!(report.json["summary"]["unchecked"], 0, "{}", report.json["unchecked"]);
        assert_eq!(report.code, Some(0));
    }
}

#[test]
fn the_text_has_place_value_harm_and_remedy() {
    let output = orders(&["doctor", &here("tests/fixtures/doctor/flawed")]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "error filter-deletes: aws_lambda_event_source_mapping.sqs, filter_criteria",
        "found:     {body = {type = [\"order_created\", \"order_updated\"]}}",
        "harm:      Lambda deletes messages that do not match",
        "remedy:    Remove filter_criteria",
        "7 errors, 13 warnings, 7 notices; 0 not checked",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(String::from_utf8_lossy(&output.stderr).contains("7 errors were found"));
}

#[test]
fn the_page_of_rules_is_what_the_program_prints() {
    let printed = orders(&["doctor", "--rules"]).output().unwrap().stdout;
    let checked_in = fs::read(here("docs/doctor.md")).unwrap();
    assert!(printed == checked_in, "update it: cargo run -- doctor --rules > docs/doctor.md");
}
