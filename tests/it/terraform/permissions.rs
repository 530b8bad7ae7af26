//! Tests that each role has exactly the permissions for the calls that its code makes.
//!
//! [`calls`] finds the calls in the sources of the adapters, with the function around each. [`REACHES`] lists the calls
//! that each role makes. A call that is not listed fails a test, and so does a call without known actions.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;
use serde_json::Value as Json;

use super::{KEY, Plan, document, plan, plan_with};

/// The actions that the operations of the SDK and the statements of PartiQL need
/// ([actions](https://docs.aws.amazon.com/service-authorization/latest/reference/)).
const ACTIONS: [(&str, &[&str]); 28] = [
    ("sqs/send_message", &["sqs:SendMessage"]),
    ("sqs/send_message_batch", &["sqs:SendMessage"]),
    ("sqs/receive_message", &["sqs:ReceiveMessage"]),
    ("sqs/delete_message_batch", &["sqs:DeleteMessage"]),
    ("sqs/change_message_visibility_batch", &["sqs:ChangeMessageVisibility"]),
    ("sqs/get_queue_attributes", &["sqs:GetQueueAttributes"]),
    ("dynamodb/put_item", &["dynamodb:PutItem"]),
    ("dynamodb/update_item", &["dynamodb:UpdateItem"]),
    ("dynamodb/delete_item", &["dynamodb:DeleteItem"]),
    ("dynamodb/get_item", &["dynamodb:GetItem"]),
    ("dynamodb/batch_get_item", &["dynamodb:BatchGetItem"]),
    ("dynamodb/query", &["dynamodb:Query"]),
    // A transaction needs the actions of its writes, which are puts and updates.
    ("dynamodb/transact_write_items", &["dynamodb:PutItem", "dynamodb:UpdateItem"]),
    // A batch needs the actions of its statements, listed below.
    ("dynamodb/batch_execute_statement", &[]),
    ("dynamodb/INSERT INTO", &["dynamodb:PartiQLInsert"]),
    ("dynamodb/UPDATE", &["dynamodb:PartiQLUpdate"]),
    ("dynamodb/DELETE FROM", &["dynamodb:PartiQLDelete"]),
    ("dynamodb/SELECT", &["dynamodb:PartiQLSelect"]),
    ("dynamodb/create_table", &["dynamodb:CreateTable"]),
    ("dynamodb/describe_table", &["dynamodb:DescribeTable"]),
    ("dynamodb/wait_until_table_exists", &["dynamodb:DescribeTable"]),
    ("dynamodb/describe_continuous_backups", &["dynamodb:DescribeContinuousBackups"]),
    ("s3/put_object", &["s3:PutObject"]),
    ("s3/get_object", &["s3:GetObject"]),
    ("s3/list_objects_v2", &["s3:ListBucket"]),
    ("s3/head_bucket", &["s3:ListBucket"]),
    ("sns/publish", &["sns:Publish"]),
    ("sns/get_topic_attributes", &["sns:GetTopicAttributes"]),
];

const MAIN: &str = "aws_sqs_queue.main.arn";
const DLQ: &str = "aws_sqs_queue.dlq.arn";
const TABLE: &str = "aws_dynamodb_table.orders.arn";
const INDEX: &str = "aws_dynamodb_table.orders.arn/index/customer-orders";
const DUE_INDEX: &str = "aws_dynamodb_table.orders.arn/index/due-orders";
const SEARCH_INDEX: &str = "aws_dynamodb_table.orders.arn/index/order-search";
const ARCHIVE: &str = "aws_s3_bucket.archive.arn/failed/*";
const REPAIRED: &str = "aws_s3_bucket.archive.arn/repaired/*";
const TOPIC: &str = "aws_sns_topic.alerts.arn";
const TOPIC_KEY: &str = "aws_kms_key.alerts[0].arn";

/// The calls that a role makes: role, resource, file, and the functions in it. An empty list means all functions.
type Reach = (&'static str, &'static str, &'static str, &'static [&'static str]);

const REACHES: [Reach; 38] = [
    ("api", MAIN, "sqs/publisher.rs", &[]),
    ("api", MAIN, "sqs/redrive.rs", &[]),
    ("api", MAIN, "sqs/mod.rs", &["some_attributes"]),
    ("api", DLQ, "sqs/mod.rs", &["some_attributes"]),
    ("api", TABLE, "dynamodb/read.rs", &["query", "ready"]),
    ("api", TABLE, "dynamodb/list.rs", &["get_some"]),
    ("api", TABLE, "dynamodb/parked_sequence.rs", &[]),
    ("api", TABLE, "dynamodb/ledger.rs", &["transact"]),
    ("api", TABLE, "dynamodb/outcomes.rs", &[]),
    ("api", INDEX, "dynamodb/list.rs", &["places"]),
    ("api", TABLE, "dynamodb/reference_lookup.rs", &[]),
    ("api", SEARCH_INDEX, "dynamodb/search.rs", &["entries"]),
    ("api", INDEX, "dynamodb/dead_letter_list.rs", &["count_dead_letters"]),
    ("api", ARCHIVE, "s3.rs", &["letter"]),
    ("api", REPAIRED, "s3.rs", &["letter", "keep_repaired"]),
    ("consumer", MAIN, "sqs/inbox.rs", &["retry"]),
    ("consumer", DLQ, "sqs/park.rs", &[]),
    ("consumer", TABLE, "dynamodb/append.rs", &[]),
    ("consumer", TABLE, "dynamodb/references.rs", &[]),
    ("consumer", TABLE, "dynamodb/reference_lookup.rs", &[]),
    ("consumer", TABLE, "dynamodb/outcomes.rs", &[]),
    ("consumer", TABLE, "dynamodb/read.rs", &["query"]),
    ("consumer", TABLE, "dynamodb/write_batcher.rs", &[]),
    ("consumer", TABLE, "dynamodb/parked_sequence.rs", &[]),
    ("consumer", TABLE, "dynamodb/ledger.rs", &["add", "addition", "transact"]),
    ("consumer", TABLE, "dynamodb/list.rs", &["get_some"]),
    ("dead-letters", DLQ, "sqs/inbox.rs", &["retry"]),
    ("dead-letters", TABLE, "dynamodb/read.rs", &["query"]),
    ("dead-letters", TABLE, "dynamodb/list.rs", &["get_some"]),
    ("dead-letters", TABLE, "dynamodb/parked_sequence.rs", &[]),
    ("dead-letters", TABLE, "dynamodb/ledger.rs", &["transact"]),
    ("dead-letters", TABLE, "dynamodb/outcomes.rs", &[]),
    ("dead-letters", ARCHIVE, "s3.rs", &["keep"]),
    ("dead-letters", TOPIC, "sns.rs", &["raise"]),
    ("expiry", MAIN, "sqs/publisher.rs", &[]),
    ("expiry", TABLE, "dynamodb/read.rs", &["query"]),
    ("expiry", TABLE, "dynamodb/due.rs", &["report_one"]),
    ("expiry", DUE_INDEX, "dynamodb/due.rs", &["due"]),
];

/// Calls that no Lambda function makes.
const NOT_IN_FUNCTIONS: [(&str, &[&str]); 7] = [
    // Containers make these calls to receive and delete messages. For functions, Lambda receives and deletes them.
    ("sqs/inbox.rs", &["receive", "ack"]),
    // These calls are for local use. In production, the deployment creates the table.
    ("dynamodb/create.rs", &[]),
    // Operators make these calls with their own permissions: `orders doctor live`, `orders dlq import s3://…`.
    ("sqs/describe.rs", &[]),
    ("dynamodb/describe.rs", &[]),
    ("s3.rs", &["keys", "object"]),
    // Containers check at their start that bucket and topic exist.
    ("s3.rs", &["check_reachable"]),
    ("sns.rs", &["check_reachable"]),
];

/// The queues that Lambda polls with the role of a function, and the actions that Lambda needs on them
/// ([permissions](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html)).
const POLLED: [(&str, &str); 2] = [("consumer", MAIN), ("dead-letters", DLQ)];
const POLLING: [&str; 3] = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];

const ROLES: [&str; 4] = ["api", "consumer", "dead-letters", "expiry"];

/// A call of an SDK.
#[derive(Debug)]
struct Call {
    /// The path of the file below infra/src.
    file: String,
    /// The function that contains the call.
    function: String,
    operation: String,
}

impl Call {
    fn is_in(&self, file: &str, functions: &[&str]) -> bool {
        self.file == file && (functions.is_empty() || functions.contains(&self.function.as_str()))
    }

    fn actions(&self) -> &'static [&'static str] {
        let known = ACTIONS.iter().find(|(operation, _)| *operation == self.operation);
        known.unwrap_or_else(|| panic!("no action is known for {self:?}")).1
    }
}

/// Every call in the adapters for AWS.
fn calls() -> Vec<Call> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("infra/src");
    let mut files = Vec::new();
    for service in ["sqs", "dynamodb", "s3", "sns"] {
        files.push(format!("{service}.rs"));
        let below = fs::read_dir(sources.join(service)).into_iter().flatten();
        files
            .extend(below.map(|entry| format!("{service}/{}", entry.unwrap().file_name().to_str().unwrap())));
    }
    files.retain(|file| sources.join(file).is_file());
    files.sort();
    files
        .into_iter()
        .flat_map(|file| calls_in(&file, &fs::read_to_string(sources.join(&file)).unwrap()))
        .collect()
}

fn calls_in(file: &str, source: &str) -> Vec<Call> {
    // Each match is a method of a client, a function, or the beginning of a statement of PartiQL.
    let pattern =
        r#"\bclient\s*\.\s*([a-z0-9_]+)\(|\bfn ([a-z0-9_]+)|"(INSERT INTO|UPDATE|DELETE FROM|SELECT) "#;
    let service = file.split(['/', '.']).next().unwrap();
    let code: Vec<_> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let code = code.split("#[cfg(test)]").next().unwrap();
    let (mut calls, mut function) = (Vec::new(), String::new());
    for found in Regex::new(pattern).unwrap().captures_iter(code) {
        if let Some(name) = found.get(2) {
            name.as_str().clone_into(&mut function);
            continue;
        }
        let operation = found.get(1).or(found.get(3)).unwrap().as_str();
        if operation != "clone" {
            let operation = format!("{service}/{operation}");
            calls.push(Call { file: file.to_owned(), function: function.clone(), operation });
        }
    }
    calls
}

type Permissions = BTreeSet<(String, String)>;

fn permission(resource: &str, action: &str) -> (String, String) {
    (resource.to_owned(), action.to_owned())
}

/// The permissions that the calls of a role need.
fn called(role: &str) -> Permissions {
    let calls = calls();
    let mut needed = Permissions::new();
    for (_, resource, file, functions) in REACHES.iter().filter(|(reaching, ..)| *reaching == role) {
        let reached = calls.iter().filter(|call| call.is_in(file, functions));
        let actions: Vec<_> = reached.flat_map(Call::actions).collect();
        assert!(!actions.is_empty(), "{role}: nothing is called in {file}");
        needed.extend(actions.into_iter().map(|action| permission(resource, action)));
    }
    needed
}

/// All permissions that a role needs.
fn needed(role: &str, key: Option<&str>) -> Permissions {
    let mut needed = called(role);
    for (_, queue) in POLLED.iter().filter(|(polled, _)| *polled == role) {
        needed.extend(POLLING.map(|action| permission(queue, action)));
    }
    let group = format!("aws_cloudwatch_log_group.function[{role}].arn:*");
    needed.extend(["logs:CreateLogStream", "logs:PutLogEvents"].map(|action| permission(&group, action)));
    // X-Ray has no resources.
    needed
        .extend(["xray:PutTraceSegments", "xray:PutTelemetryRecords"].map(|action| permission("*", action)));
    let key = key.or((role == "dead-letters").then_some(TOPIC_KEY));
    let of_key = ["kms:Decrypt", "kms:GenerateDataKey"];
    needed.extend(key.into_iter().flat_map(|key| of_key.map(|action| permission(key, action))));
    needed
}

/// The permissions that the deployment gives a role.
fn granted(plan: &Plan, role: &str) -> Permissions {
    let attached = plan.get(&format!("aws_iam_role_policy.function[{role}]"));
    assert_eq!(attached["role"], format!("aws_iam_role.function[{role}].id"));
    let policy = document(&attached["policy"]);
    assert_eq!(policy["Version"], "2012-10-17");
    let mut granted = Permissions::new();
    let texts = |list: &Json| -> Vec<String> { serde_json::from_value(list.clone()).unwrap() };
    for statement in policy["Statement"].as_array().unwrap() {
        assert_eq!(statement["Effect"], "Allow");
        for resource in texts(&statement["Resource"]) {
            granted.extend(texts(&statement["Action"]).iter().map(|action| permission(&resource, action)));
        }
    }
    granted
}

#[test]
fn each_role_has_exactly_the_permissions_that_its_code_needs() {
    let searching = plan_with(&[("search_index", true.into())]);
    let encrypted = plan_with(&[("kms_key_arn", KEY.into())]);
    for (plan, key, searches) in
        [(plan(), None, false), (searching, None, true), (encrypted, Some(KEY), false)]
    {
        for role in ROLES {
            let (mut needed, granted) = (needed(role, key), granted(&plan, role));
            needed.retain(|(resource, _)| searches || resource != SEARCH_INDEX);
            let (missing, idle): (Vec<_>, Vec<_>) =
                (needed.difference(&granted).collect(), granted.difference(&needed).collect());
            assert!(
                missing.is_empty() && idle.is_empty(),
                "{role} lacks {missing:?}, and does not need {idle:?}"
            );
        }
        assert_eq!(plan.all("aws_iam_role_policy").count(), ROLES.len());
        assert_eq!(plan.all("aws_iam_role_policy_attachment").count(), 0, "nothing is granted elsewhere");
    }
}

#[test]
fn only_references_can_be_deleted() {
    let plan = plan();
    let policies = plan.all("aws_iam_role_policy").map(|(_, policy)| document(&policy["policy"]));
    let statements = policies.flat_map(|policy| policy["Statement"].as_array().unwrap().clone());
    let deletes = |statement: &Json| statement["Action"].to_string().contains("dynamodb:DeleteItem");
    let deleting: Vec<_> = statements.filter(deletes).collect();
    assert_eq!(deleting.len(), 1, "{deleting:?}");
    let condition = serde_json::json!({ "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["REF#*"] } });
    assert_eq!(deleting[0]["Condition"], condition);
    assert_eq!(deleting[0]["Action"], serde_json::json!(["dynamodb:DeleteItem"]));
}

#[test]
fn only_lambda_can_assume_the_roles() {
    let plan = plan();
    for role in ROLES {
        let trust = document(&plan.get(&format!("aws_iam_role.function[{role}]"))["assume_role_policy"]);
        let [statement] = &trust["Statement"].as_array().unwrap()[..] else { panic!("{trust}") };
        assert_eq!(statement["Principal"], serde_json::json!({ "Service": "lambda.amazonaws.com" }));
    }
}

#[test]
fn every_call_is_assigned_to_a_role_or_to_none() {
    let calls = calls();
    assert!(calls.len() >= 20, "calls are found: {calls:?}");
    for call in &calls {
        call.actions();
        let reached = REACHES.iter().any(|(_, _, file, functions)| call.is_in(file, functions));
        let not = NOT_IN_FUNCTIONS.iter().any(|(file, functions)| call.is_in(file, functions));
        assert!(reached || not, "{call:?}: add it to REACHES, with its role and resource");
    }
}

#[test]
fn calls_are_found_regardless_of_formatting() {
    let source = "fn one() {\n  // self.client.get_object()\n  let client = self.client.clone();\n\
                  client\n    .put_object()\n}\nasync fn two(&self) { self.client.get_object().send() }\n\
                  #[cfg(test)]\nmod tests { fn three() { client.list_objects_v2() } }";
    let calls = calls_in("s3.rs", source);
    let found: Vec<_> = calls.iter().map(|call| (call.function.as_str(), call.operation.as_str())).collect();
    assert_eq!(found, [("one", "s3/put_object"), ("two", "s3/get_object")]);
}
