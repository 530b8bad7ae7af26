//! Tests the doctor on folders of Terraform configuration that the tests write: modules, loops, unknown values, other
//! programs, and invalid input.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::Report;
use crate::support::service::orders;

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

const MODULE: &str = r#"
variable "fifo" { default = true }
variable "timeout" { default = 30 }
variable "settings" {
  type = object({ receives = optional(number, 2), window = optional(number) })
}
variable "key" { default = null }
locals {
  suffix = var.fifo ? ".fifo" : ""
  queues = { orders = 6 * var.timeout - 1, returns = max(6 * var.timeout, 300) }
}
resource "aws_sqs_queue" "dlq" {
  count                     = 1
  name                      = "dlq${local.suffix}"
  fifo_queue                = var.fifo
  message_retention_seconds = 14 * 24 * 60 * 60
}
resource "aws_sqs_queue" "work" {
  for_each                   = local.queues
  name                       = format("%s%s", each.key, local.suffix)
  fifo_queue                 = var.fifo
  kms_master_key_id          = var.key
  visibility_timeout_seconds = each.value
  redrive_policy             = <<-JSON
    {"deadLetterTargetArn": "${one(aws_sqs_queue.dlq[*].arn)}", "maxReceiveCount": ${var.settings.receives}}
  JSON
}
resource "aws_lambda_function" "consumer" {
  function_name = "consumer"
  handler       = "consumer"
  timeout       = var.timeout
  role          = "arn:aws:iam::123456789012:role/elsewhere"
}
resource "aws_lambda_event_source_mapping" "work" {
  for_each                = { for name, queue in aws_sqs_queue.work : name => queue.arn }
  event_source_arn        = each.value
  function_name           = aws_lambda_function.consumer.arn
  function_response_types = ["ReportBatchItemFailures"]
  dynamic "filter_criteria" {
    for_each = each.key == "returns" ? [1] : []
    content {
      filter { pattern = jsonencode({ body = { type = ["order_returned"] } }) }
    }
  }
}
output "queue" { value = aws_sqs_queue.work["orders"].url }
"#;

#[test]
fn modules_variables_loops_and_arithmetic_are_evaluated() {
    let folder = TempDir::new().unwrap();
    let root = r#"
variable "timeout" {}
module "orders" {
  source   = "./modules/orders"
  timeout  = var.timeout
  settings = {}
}
"#;
    let files = [("main.tf", root), ("terraform.tfvars", "timeout = 60"), ("modules/orders/main.tf", MODULE)];
    write(folder.path(), &files);
    let report = Report::of(folder.path().to_str().unwrap());
    let visibility = report.found("visibility-too-short");
    assert_eq!(visibility.len(), 1, "only one of the two visibility timeouts is too short: {visibility:?}");
    assert!(visibility[0].contains("359 s") && visibility[0].contains("360 s are needed"), "{visibility:?}");
    assert_eq!(
        report.found("max-receives-low"),
        ["2", "2"],
        "the default comes from the type of the variable"
    );
    let findings = report.findings();
    let filters: Vec<_> = findings.iter().filter(|line| line.starts_with("filter-deletes")).collect();
    let returns =
        r#"filter-deletes module.orders.aws_lambda_event_source_mapping.work["returns"] filter_criteria"#;
    assert_eq!(filters, [returns]);
    assert!(
        report.found("dead-letter-queue-kind").is_empty() && report.found("no-dead-letter-queue").is_empty()
    );
    assert!(
        report.left_open("permission-missing"),
        "the role is defined in another configuration: {}",
        report.json["unchecked"]
    );
}

#[test]
fn unknown_values_are_neither_guessed_nor_passed() {
    let folder = TempDir::new().unwrap();
    let root = r#"
variable "seconds" {}
variable "many" {}
resource "aws_sqs_queue" "main" {
  name                       = "orders"
  visibility_timeout_seconds = var.seconds
  message_retention_seconds  = var.seconds == 5 ? 60 : 1209600
  max_message_size           = tonumber(file("size"))
}
resource "aws_sqs_queue" "other" {
  count = var.many
}
module "alarms" { source = "terraform-aws-modules/cloudwatch/aws" }
"#;
    write(folder.path(), &[("main.tf", root), ("more.tf.json", "{}")]);
    let report = Report::of(folder.path().to_str().unwrap());
    for rule in ["retention-short", "message-size-small"] {
        assert!(report.found(rule).is_empty() && report.left_open(rule), "{rule}: {}", report.json);
    }
    let unseen = report.json["unchecked"].to_string();
    for part in ["aws_sqs_queue.other", "module.alarms", "more.tf.json", "var.seconds has no default"] {
        assert!(unseen.contains(part), "{part}: {unseen}");
    }
    assert_eq!((report.code, &report.json["complete"]), (Some(1), &serde_json::json!(false)));
}

const REGISTRY: &str = r#"
module "orders" {
  source     = "terraform-aws-modules/sqs/aws"
  version    = "5.0.0"
  name       = "orders"
  visibility = 30
}
"#;
const QUEUE: &str = r#"
variable "name" {}
variable "visibility" {}
module "inner" {
  source = "git::https://example.com/inner.git"
  name   = var.name
}
resource "aws_sqs_queue" "this" {
  name                       = var.name
  visibility_timeout_seconds = var.visibility
}
"#;
const INNER: &str =
    "variable \"name\" {}\nresource \"aws_sqs_queue\" \"this\" { name = \"${var.name}-inner\" }\n";
const INSTALLED: &str = r#"{"Modules":[{"Key":"","Source":"","Dir":"."},
  {"Key":"orders","Source":"registry.terraform.io/terraform-aws-modules/sqs/aws","Dir":".terraform/modules/orders"},
  {"Key":"orders.inner","Source":"git::https://example.com/inner.git","Dir":".terraform/modules/orders.inner"}]}"#;

#[test]
fn modules_of_a_registry_are_read_once_they_are_installed() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), &[("main.tf", REGISTRY)]);
    let target = folder.path().to_str().unwrap();
    let output = orders(&["doctor", target]).output().unwrap();
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{printed}");
    for part in ["module.orders", "terraform init", "the check is incomplete", "1 part of the deployment"] {
        assert!(printed.contains(part), "{part}: {printed}");
    }

    let installed = [
        (".terraform/modules/modules.json", INSTALLED),
        (".terraform/modules/orders/main.tf", QUEUE),
        (".terraform/modules/orders.inner/main.tf", INNER),
    ];
    write(folder.path(), &installed);
    let report = Report::of(target);
    assert_eq!(
        (&report.json["complete"], report.code),
        (&serde_json::json!(true), Some(1)),
        "{}",
        report.json
    );
    let findings = report.findings();
    for queue in ["module.orders.aws_sqs_queue.this", "module.orders.module.inner.aws_sqs_queue.this"] {
        let missing = format!("no-dead-letter-queue {queue} redrive_policy");
        assert!(findings.contains(&missing), "{missing}: {findings:?}");
    }

    fs::remove_dir_all(folder.path().join(".terraform/modules/orders.inner")).unwrap();
    let report = Report::of(target);
    assert_eq!(report.json["complete"], false);
    assert!(report.json["unchecked"].to_string().contains("terraform init` again"), "{}", report.json);
}

const FOREIGN: &str = r#"
resource "aws_kinesis_stream" "clicks" { name = "clicks" }
resource "aws_dynamodb_table" "sessions" {
  name             = "sessions"
  hash_key         = "session"
  stream_enabled   = true
  deletion_protection_enabled = true
  point_in_time_recovery { enabled = true }
}
resource "aws_sqs_queue" "dlq" {
  name                      = "mails-dlq"
  message_retention_seconds = 1209600
  max_message_size          = 1048576
  receive_wait_time_seconds = 20
  redrive_allow_policy      = jsonencode({ redrivePermission = "byQueue", sourceQueueArns = [aws_sqs_queue.mails.arn] })
}
resource "aws_sqs_queue" "mails" {
  name                       = "mails"
  visibility_timeout_seconds = 60
  message_retention_seconds  = 1209600
  max_message_size           = 1048576
  receive_wait_time_seconds  = 20
  redrive_policy             = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dlq.arn, maxReceiveCount = 5 })
}
resource "aws_iam_role" "mailer" {
  name = "mailer"
  inline_policy {
    policy = jsonencode({ Statement = [
      { Effect = "Allow", Action = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], Resource = aws_sqs_queue.mails.arn },
      { Effect = "Allow", Action = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], Resource = "arn:aws:logs:*:*:*" },
    ] })
  }
}
resource "aws_lambda_function" "mailer" {
  function_name = "mailer"
  handler       = "index.handler"
  runtime       = "nodejs22.x"
  timeout       = 10
  role          = aws_iam_role.mailer.arn
  environment { variables = { QUEUE_URL = aws_sqs_queue.dlq.url } }
  logging_config {
    log_format            = "JSON"
    application_log_level = "ERROR"
  }
}
resource "aws_lambda_event_source_mapping" "mails" {
  event_source_arn        = aws_sqs_queue.mails.arn
  function_name           = aws_lambda_function.mailer.arn
  function_response_types = ["ReportBatchItemFailures"]
}
resource "aws_lambda_event_source_mapping" "clicks" {
  event_source_arn  = aws_kinesis_stream.clicks.arn
  function_name     = aws_lambda_function.mailer.arn
  starting_position = "LATEST"
  batch_size        = 500
  filter_criteria {
    filter { pattern = jsonencode({ data = { type = ["click"] } }) }
  }
}
resource "aws_lambda_event_source_mapping" "sessions" {
  event_source_arn  = aws_dynamodb_table.sessions.stream_arn
  function_name     = aws_lambda_function.mailer.arn
  starting_position = "LATEST"
}
resource "aws_lambda_event_source_mapping" "broker" {
  event_source_arn = "arn:aws:mq:eu-central-1:123456789012:broker:mails:b-1"
  function_name    = aws_lambda_function.mailer.arn
  queues           = ["mails"]
}
resource "aws_lambda_event_source_mapping" "kafka" {
  function_name = aws_lambda_function.mailer.arn
  topics        = ["mails"]
  self_managed_event_source { endpoints = { KAFKA_BOOTSTRAP_SERVERS = "kafka:9092" } }
}
"#;

#[test]
fn streams_and_functions_of_other_programs_are_not_checked_as_ours() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), &[("main.tf", FOREIGN)]);
    let report = Report::of(folder.path().to_str().unwrap());
    // The rules below apply to any function that a queue invokes. None of the findings is an error.
    let expected = [
        "alarm-age-missing aws_sqs_queue.mails",
        "alarm-dead-letters-missing aws_sqs_queue.dlq",
        "alarm-errors-missing aws_lambda_function.mailer",
        "alarm-throttles-missing aws_lambda_function.mailer",
        "dead-letters-unattended aws_sqs_queue.dlq",
    ];
    assert_eq!(report.findings(), expected, "{}", report.json);
    assert_eq!((report.code, &report.json["summary"]["unchecked"]), (Some(0), &serde_json::json!(0)));
}

#[test]
fn input_that_cannot_be_read_is_explained() {
    let folder = TempDir::new().unwrap();
    write(
        folder.path(),
        &[
            ("empty/readme.txt", ""),
            ("broken/main.tf", "resource \"aws_sqs_queue\" \"main\" {\n  name = = 1\n}\n"),
            ("other/main.tf", "resource \"aws_s3_bucket\" \"b\" {}\n"),
            ("gone/main.tf", "module \"m\" { source = \"./missing\" }\n"),
            (
                "itself/main.tf",
                "locals {\n a = local.b\n b = local.a\n}\nresource \"aws_sqs_queue\" \"q\" { name = local.a }\nmodule \"me\" { source = \"./\" }\n",
            ),
            ("not.json", "{"),
            ("other.json", "{\"a\": 1}"),
            ("later.json", "{\"format_version\": \"2.0\"}"),
        ],
    );
    for (target, expected) in [
        ("empty", "has no Terraform configuration"),
        ("broken", "main.tf:2:"),
        ("other", "has no queue"),
        ("gone", "missing"),
        ("not.json", "is not valid JSON"),
        ("other.json", "format_version"),
        ("later.json", "2.0"),
        ("nowhere", "nowhere"),
        ("broken/main.tf", "check its folder instead"),
    ] {
        let output = orders(&["doctor", folder.path().join(target).to_str().unwrap()]).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{target}: {printed}");
        assert!(printed.contains(expected), "{target}: {printed}");
    }
    let circular = Report::of(folder.path().join("itself").to_str().unwrap());
    assert!(circular.json["unchecked"].to_string().contains("deep"), "{}", circular.json["unchecked"]);
}
