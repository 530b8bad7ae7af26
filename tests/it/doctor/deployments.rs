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

/// Asserts that the doctor checks everything in a folder, and finds nothing.
fn assert_clean(folder: &Path) {
    let report = Report::of(folder.to_str().unwrap());
    assert_eq!(report.findings(), Vec::<String>::new(), "{}: {}", folder.display(), report.json);
    let unchecked = &report.json["unchecked"];
    assert_eq!(
        report.json["summary"]["unchecked"],
        0,
        "{}: every rule must be checked: {unchecked}",
        folder.display()
    );
    assert_eq!(report.code, Some(0));
}

#[test]
fn our_examples_have_no_finding() {
    // An example as it is when it is applied: with the variables that have no default.
    let variables = r#"
jwt_issuer         = "https://id.example"
jwt_audience       = ["orders"]
jwks_url           = "https://id.example/keys"
image              = "registry.example/orders:1"
vpc_id             = "vpc-1"
public_subnet_ids  = ["subnet-1", "subnet-2"]
private_subnet_ids = ["subnet-3"]
certificate_arn    = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
"#;
    for example in ["functions", "functions-busy", "containers"] {
        let folder = TempDir::new().unwrap();
        symlink(here("infra/terraform/modules"), folder.path().join("modules")).unwrap();
        let place = folder.path().join("examples").join(example);
        fs::create_dir_all(&place).unwrap();
        let files = fs::read_dir(here(&format!("infra/terraform/examples/{example}"))).unwrap();
        for file in files.map(|file| file.unwrap()) {
            symlink(file.path(), place.join(file.file_name())).unwrap();
        }
        fs::write(place.join("terraform.tfvars"), variables).unwrap();
        assert_clean(&place);
    }
}

/// The findings for our module as functions with these further arguments.
fn findings(arguments: &str) -> Vec<String> {
    let folder = with_module(arguments);
    Report::of(folder.path().to_str().unwrap()).findings()
}

/// A configuration that uses our module with these further arguments.
fn with_module(arguments: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    symlink(here("infra/terraform/modules/orders"), folder.path().join("orders")).unwrap();
    let root = format!(
        r#"
module "orders" {{
  source  = "./orders"
  package = "bootstrap.zip"
{arguments}
}}
"#
    );
    fs::write(folder.path().join("main.tf"), root).unwrap();
    folder
}

const JWT: &str = r#"jwt = { issuer = "https://id.example", audience = ["orders"] }"#;

#[test]
fn our_own_deployment_with_webhooks_has_no_finding() {
    for feed in ["{}", "null"] {
        let folder = with_module(&format!("{JWT}\nfeed = {feed}\nwebhooks = {{}}"));
        assert_clean(folder.path());
    }
}

#[test]
fn attributes_that_are_null_have_their_defaults_and_groups_too() {
    // With `nullable = false`, null is the default of the variable. Terraform does the same.
    let folder = with_module(&format!(
        "{JWT}\nqueue = null\nconsumer = {{ timeout = null, provisioned_pollers = {{}} }}"
    ));
    assert_clean(folder.path());
}

#[test]
fn standard_queues_of_our_module_are_fair_unless_that_is_off() {
    let standard = "standard-queue module.orders.module.data.aws_sqs_queue.main fifo_queue".to_owned();
    assert_eq!(findings(&format!("{JWT}\nqueue = {{ fifo = false }}")), [standard.as_str()]);
    let off = |role: &str| {
        format!(
            "fair-queue-off module.orders.aws_lambda_function.function[\"{role}\"] environment.ORDERS_FAIR_QUEUE"
        )
    };
    assert_eq!(
        findings(&format!("{JWT}\nqueue = {{ fifo = false, fair = false }}")),
        [off("api"), off("expiry"), standard]
    );
}

#[test]
fn tokens_of_cognito_need_the_prefix_of_their_scopes() {
    let jwt = |prefix: &str| {
        format!(
            r#"jwt = {{ issuer = "https://cognito-idp.eusc-de-east-1.amazonaws.eu/eusc-de-east-1_AbCdEfGhI", audience = ["orders"]{prefix} }}"#
        )
    };
    let missing = "scope-prefix-missing module.orders.aws_lambda_function.function[\"api\"] environment.ORDERS_JWT_SCOPE_PREFIX";
    assert_eq!(findings(&jwt("")), [missing]);
    assert_eq!(findings(&jwt(r#", scope_prefix = "orders/""#)), Vec::<String>::new());
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
