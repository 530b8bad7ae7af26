//! Tests a good deployment with one fault at a time. The doctor must find exactly that fault.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::capacity_faults::capacity_faults;
use super::faults::faults;
use super::webhook_faults::webhook_faults;
use super::{Report, here};
use crate::support::service::orders;

fn good() -> Value {
    serde_json::from_slice(&fs::read(here("tests/fixtures/doctor/good-plan.json")).unwrap()).unwrap()
}

/// The good plan, in which one attribute of a resource is changed. `pointer` is a JSON pointer to the attribute. A variable
/// of a function's environment is added if the function does not have it.
pub fn changed(address: &str, pointer: &str, value: &Value) -> Value {
    let mut plan = good();
    set(&mut plan, address, pointer, value);
    plan
}

/// Changes an attribute of a resource of a plan.
pub fn set(plan: &mut Value, address: &str, pointer: &str, value: &Value) {
    let resources = plan["planned_values"]["root_module"]["resources"].as_array_mut().unwrap();
    let resource = resources.iter_mut().find(|resource| resource["address"] == address).unwrap();
    if let Some((variables, name)) = pointer.rsplit_once('/')
        && variables.ends_with("/variables")
    {
        let variables = resource["values"].pointer_mut(variables).and_then(Value::as_object_mut);
        variables.unwrap().entry(name).or_insert(Value::Null);
    }
    let attribute = resource["values"].pointer_mut(pointer);
    *attribute.unwrap_or_else(|| panic!("{address} has no {pointer}")) = value.clone();
}

/// The good plan, in which these attributes of a resource have these values. The resource need not have them before.
pub fn given(address: &str, attributes: &[(&str, Value)]) -> Value {
    let mut plan = good();
    let resources = plan["planned_values"]["root_module"]["resources"].as_array_mut().unwrap();
    let resource = resources.iter_mut().find(|resource| resource["address"] == address).unwrap();
    for (name, value) in attributes {
        resource["values"][*name] = value.clone();
    }
    plan
}

/// The good plan, with a further resource.
pub fn with(kind: &str, name: &str, values: &Value) -> Value {
    let mut plan = good();
    let resources = plan["planned_values"]["root_module"]["resources"].as_array_mut().unwrap();
    let address = format!("{kind}.{name}");
    resources
        .push(json!({ "address": address, "mode": "managed", "type": kind, "name": name, "values": values }));
    plan
}

pub fn without(address: &str) -> Value {
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

/// The good plan, in which a text in a policy is replaced.
pub fn policy(address: &str, from: &str, to: &str) -> Value {
    let plan = good();
    let resources = plan["planned_values"]["root_module"]["resources"].as_array().unwrap();
    let resource = resources.iter().find(|resource| resource["address"] == address).unwrap();
    let text = resource["values"]["policy"].as_str().unwrap();
    assert!(text.contains(from), "{text}");
    changed(address, "/policy", &json!(text.replace(from, to)))
}

const MAPPING: &str = "aws_lambda_event_source_mapping.consumer";
const TABLE: &str = "aws_dynamodb_table.orders";

#[test]
fn a_good_deployment_has_no_finding() {
    let report = report(&good());
    assert_eq!(report.findings(), Vec::<String>::new());
    assert_eq!((report.code, &report.json["summary"]["unchecked"]), (Some(0), &json!(0)), "{}", report.json);
}

#[test]
fn each_fault_is_found_and_nothing_else() {
    for (expected, plan) in faults().into_iter().chain(capacity_faults()).chain(webhook_faults()) {
        let report = report(&plan);
        assert_eq!(report.findings(), [expected], "{}", report.json);
        let severity = report.json["findings"][0]["severity"].as_str().unwrap();
        assert_eq!(report.code, Some(i32::from(severity == "error")), "{expected} is {severity}");
    }
}

#[test]
fn a_deployment_with_standard_queues_has_its_own_rules() {
    let text =
        good().to_string().replace("orders-dlq.fifo", "orders-dlq").replace("orders.fifo", "orders-main");
    let mut plan: Value = serde_json::from_str(&text).unwrap();
    for address in ["aws_sqs_queue.main", "aws_sqs_queue.dlq"] {
        set(&mut plan, address, "/fifo_queue", &json!(false));
    }
    let standard = "standard-queue aws_sqs_queue.main fifo_queue";
    let senders = ["aws_lambda_function.api", "aws_lambda_function.expiry"];
    let unfair = senders.map(|sender| format!("fair-queue-off {sender} environment.ORDERS_FAIR_QUEUE"));
    let right = report(&plan);
    assert_eq!(
        (right.findings(), right.code),
        ([&unfair[..], &[standard.to_owned()]].concat(), Some(0)),
        "a notice does not make the command fail"
    );
    for sender in senders {
        set(&mut plan, sender, "/environment/0/variables/ORDERS_FAIR_QUEUE", &json!("true"));
    }
    assert_eq!(report(&plan).findings(), [standard]);
    let resources = plan["planned_values"]["root_module"]["resources"].as_array_mut().unwrap();
    let mapping = resources.iter_mut().find(|resource| resource["address"] == MAPPING).unwrap();
    mapping["values"]["batch_size"] = json!(100);
    let batch = "large-batch-without-window aws_lambda_event_source_mapping.consumer batch_size";
    assert_eq!(report(&plan).findings(), [batch, standard]);
}

#[test]
fn every_rule_has_a_test_in_which_it_finds_something() {
    let page = String::from_utf8(orders(&["doctor", "--rules"]).output().unwrap().stdout).unwrap();
    let rules: BTreeSet<_> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let faults: Vec<_> = faults().into_iter().chain(capacity_faults()).chain(webhook_faults()).collect();
    let mut shown: BTreeSet<_> = faults.iter().filter_map(|(finding, _)| finding.split(' ').next()).collect();
    // The following rules have no fault in this test, because other tests cover these rules.
    shown.extend([
        "standard-queue",
        "large-batch-without-window",
        "fair-queue-off",
        "dead-letters-unattended",
        "table-missing",
    ]);
    shown.extend(["service-not-ready", "service-open", "service-metrics-public", "service-in-the-clear"]);
    shown.extend(["environment-wrong", "environment-open", "environment-receives-low"]);
    assert_eq!(rules, shown);
}

#[test]
fn missing_resources_are_found() {
    let table = report(&without(TABLE));
    let expected =
        |function: &str| format!("table-missing aws_lambda_function.{function} environment.TABLE_NAME");
    assert_eq!(
        table.findings(),
        ["api", "consumer", "dead_letters", "expiry", "relay", "webhook_sender"].map(expected)
    );
    let unattended = report(&without("aws_lambda_event_source_mapping.dead_letters"));
    assert_eq!(unattended.findings(), ["dead-letters-unattended aws_sqs_queue.dlq"]);
}
