//! The calls of the AWS SDK. [`calls`] finds the calls in the sources of the adapters, each with the function that
//! contains it. [`REACHES`] lists the calls that each role makes. A test fails for a call that is not listed, and for a
//! call without known actions. [`permissions`](super::permissions) derives the permissions of the roles from the calls.

use std::fs;
use std::path::Path;

use regex::Regex;

/// The actions that the operations of the SDK and the statements of PartiQL need
/// ([actions](https://docs.aws.amazon.com/service-authorization/latest/reference/)).
const ACTIONS: [(&str, &[&str]); 40] = [
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
    ("dynamodb/scan", &["dynamodb:Scan"]),
    // A transaction needs the actions for its puts and updates. Only the consumer deletes in one, where it may.
    ("dynamodb/transact_write_items", &["dynamodb:PutItem", "dynamodb:UpdateItem"]),
    ("dynamodb/transact_get_items", &["dynamodb:GetItem"]),
    ("outbound/transact_write_items", &["dynamodb:PutItem"]),
    // A batch needs no action of its own, but the actions of its statements. The statements have separate entries
    // below.
    ("dynamodb/batch_execute_statement", &[]),
    ("dynamodb/INSERT INTO", &["dynamodb:PartiQLInsert"]),
    ("dynamodb/UPDATE", &["dynamodb:PartiQLUpdate"]),
    ("dynamodb/DELETE FROM", &["dynamodb:PartiQLDelete"]),
    ("dynamodb/SELECT", &["dynamodb:PartiQLSelect"]),
    ("dynamodb/batch_write_item", &["dynamodb:BatchWriteItem"]),
    ("dynamodb/update_time_to_live", &["dynamodb:UpdateTimeToLive"]),
    ("streams/describe_stream", &["dynamodb:DescribeStream"]),
    ("streams/get_shard_iterator", &["dynamodb:GetShardIterator"]),
    ("streams/get_records", &["dynamodb:GetRecords"]),
    ("streams/list_streams", &["dynamodb:ListStreams"]),
    ("dynamodb/create_table", &["dynamodb:CreateTable"]),
    ("dynamodb/describe_table", &["dynamodb:DescribeTable"]),
    ("dynamodb/wait_until_table_exists", &["dynamodb:DescribeTable"]),
    ("dynamodb/describe_continuous_backups", &["dynamodb:DescribeContinuousBackups"]),
    ("s3/put_object", &["s3:PutObject"]),
    ("s3/get_object", &["s3:GetObject"]),
    ("s3/list_objects_v2", &["s3:ListBucket"]),
    ("s3/head_bucket", &["s3:ListBucket"]),
    ("sns/publish", &["sns:Publish"]),
    // PublishBatch needs the permission for Publish.
    ("sns/publish_batch", &["sns:Publish"]),
    ("eventbridge/put_events", &["events:PutEvents"]),
    ("eventbridge/describe_event_bus", &["events:DescribeEventBus"]),
    ("sns/get_topic_attributes", &["sns:GetTopicAttributes"]),
];

pub(super) const MAIN: &str = "aws_sqs_queue.main.arn";
pub(super) const DLQ: &str = "aws_sqs_queue.dlq.arn";
const TABLE: &str = "aws_dynamodb_table.orders.arn";
const INDEX: &str = "aws_dynamodb_table.orders.arn/index/customer-orders";
const DUE_INDEX: &str = "aws_dynamodb_table.orders.arn/index/due-orders";
pub(super) const SEARCH_INDEX: &str = "aws_dynamodb_table.orders.arn/index/order-search";
const OUTBOUND: &str = "aws_dynamodb_table.outbound[0].arn";
pub(super) const WEBHOOKS: &str = "aws_sqs_queue.webhooks[0].arn";
pub(super) const STREAM: &str = "aws_dynamodb_table.orders.arn/stream/*";
const ARCHIVE: &str = "aws_s3_bucket.archive.arn/failed/*";
const REPAIRED: &str = "aws_s3_bucket.archive.arn/repaired/*";
const TOPIC: &str = "aws_sns_topic.alerts.arn";
pub(super) const TOPIC_KEY: &str = "aws_kms_key.alerts[0].arn";

/// The bus and the topic that the test configures as outputs of the relay.
pub(super) const BUS: &str = "arn:aws:events:eu-central-1:123456789012:event-bus/shop";
pub(super) const EVENTS_TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:shop.fifo";

/// Names of entries in [`REACHES`] for the further calls that a role makes in a deployment with a feed, webhooks or
/// outputs.
pub(super) const API_FEED: &str = "api with a feed";
pub(super) const RELAY_FEED: &str = "relay with a feed";
pub(super) const API_WEBHOOKS: &str = "api with webhooks";
pub(super) const RELAY_WEBHOOKS: &str = "relay with webhooks";
pub(super) const RELAY_OUTPUTS: &str = "relay with outputs";

/// The calls that a role makes to a resource: the role, the resource, the file with the calls, and the functions of the
/// file that make the calls. An empty list means all functions of the file.
pub(super) type Reach = (&'static str, &'static str, &'static str, &'static [&'static str]);

pub(super) const REACHES: [Reach; 64] = [
    ("api", MAIN, "sqs/publisher.rs", &[]),
    ("api", MAIN, "sqs/redrive.rs", &[]),
    ("api", MAIN, "sqs/mod.rs", &["some_attributes"]),
    ("api", DLQ, "sqs/mod.rs", &["some_attributes"]),
    ("api", TABLE, "dynamodb/read.rs", &["query", "ready"]),
    ("api", TABLE, "dynamodb/list.rs", &["get_some"]),
    ("api", TABLE, "dynamodb/parked_sequence.rs", &[]),
    ("api", TABLE, "dynamodb/ledger.rs", &["transact"]),
    ("api", TABLE, "dynamodb/ledger_fold.rs", &["live_writers", "read_at_once"]),
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
    ("consumer", TABLE, "dynamodb/ledger.rs", &["transact"]),
    ("consumer", TABLE, "dynamodb/ledger_fold.rs", &[]),
    ("consumer", TABLE, "dynamodb/ledger_marks.rs", &["set_mark", "mark_duplicate"]),
    ("consumer", TABLE, "dynamodb/ledger_writer.rs", &[]),
    ("consumer", TABLE, "dynamodb/list.rs", &["get_some"]),
    ("dead-letters", DLQ, "sqs/inbox.rs", &["retry"]),
    ("dead-letters", TABLE, "dynamodb/read.rs", &["query"]),
    ("dead-letters", TABLE, "dynamodb/list.rs", &["get_some"]),
    ("dead-letters", TABLE, "dynamodb/parked_sequence.rs", &[]),
    ("dead-letters", TABLE, "dynamodb/ledger.rs", &["transact"]),
    ("dead-letters", TABLE, "dynamodb/ledger_fold.rs", &["read_at_once"]),
    ("dead-letters", TABLE, "dynamodb/ledger_marks.rs", &["set_mark", "mark_duplicate"]),
    ("dead-letters", TABLE, "dynamodb/ledger_writer.rs", &[]),
    ("dead-letters", TABLE, "dynamodb/outcomes.rs", &[]),
    ("dead-letters", ARCHIVE, "s3.rs", &["keep"]),
    ("dead-letters", TOPIC, "sns.rs", &["raise"]),
    ("relay", TABLE, "dynamodb/list.rs", &["get_some"]),
    // The further calls of the API and the relay in a deployment with a feed.
    (API_FEED, OUTBOUND, "outbound/mod.rs", &["query"]),
    (RELAY_FEED, OUTBOUND, "outbound/mod.rs", &["query", "fix_partitions"]),
    (RELAY_FEED, OUTBOUND, "outbound/append.rs", &[]),
    // The further calls of the API and the relay in a deployment with webhooks.
    (API_WEBHOOKS, OUTBOUND, "outbound/mod.rs", &["query"]),
    (
        API_WEBHOOKS,
        OUTBOUND,
        "outbound/subscriptions.rs",
        &["subscription", "put_subscription", "delete_subscription", "receiver_health"],
    ),
    (API_WEBHOOKS, OUTBOUND, "outbound/held.rs", &[]),
    (API_WEBHOOKS, WEBHOOKS, "sqs/ordered.rs", &[]),
    (RELAY_WEBHOOKS, OUTBOUND, "outbound/mod.rs", &["query"]),
    (RELAY_WEBHOOKS, WEBHOOKS, "sqs/ordered.rs", &[]),
    (RELAY_OUTPUTS, BUS, "eventbridge.rs", &[]),
    (RELAY_OUTPUTS, EVENTS_TOPIC, "sns/events.rs", &[]),
    ("webhook-sender", WEBHOOKS, "sqs/ordered.rs", &[]),
    ("webhook-sender", WEBHOOKS, "sqs/inbox.rs", &["retry"]),
    ("webhook-sender", TABLE, "dynamodb/read.rs", &["query"]),
    ("webhook-sender", OUTBOUND, "outbound/mod.rs", &["query"]),
    (
        "webhook-sender",
        OUTBOUND,
        "outbound/subscriptions.rs",
        &["subscription", "put_subscription", "note_success", "note_failure"],
    ),
    ("webhook-sender", OUTBOUND, "outbound/held.rs", &["held", "put_held"]),
    ("webhook-sender", TOPIC, "sns.rs", &["raise"]),
    ("expiry", MAIN, "sqs/publisher.rs", &[]),
    ("expiry", TABLE, "dynamodb/read.rs", &["query"]),
    ("expiry", TABLE, "dynamodb/due.rs", &["report_one"]),
    ("expiry", DUE_INDEX, "dynamodb/due.rs", &["due"]),
];

/// The further calls of roles that run in containers.
pub(super) const CONTAINER_REACHES: [Reach; 8] = [
    // At its start, a container checks its queues and its table.
    ("consumer", DLQ, "sqs/mod.rs", &["some_attributes"]),
    ("expiry", MAIN, "sqs/mod.rs", &["some_attributes"]),
    ("expiry", TABLE, "dynamodb/read.rs", &["ready"]),
    ("webhook-sender", TABLE, "dynamodb/read.rs", &["ready"]),
    // It receives and deletes messages itself.
    ("consumer", MAIN, "sqs/inbox.rs", &["receive", "ack"]),
    // A relay finds the stream of the table and reads it. It keeps leases and checkpoints.
    ("relay", TABLE, "dynamodb/describe.rs", &["stream"]),
    ("relay", STREAM, "streams.rs", &[]),
    ("relay", OUTBOUND, "outbound/leases.rs", &[]),
];

/// Calls that no Lambda function makes.
const NOT_IN_FUNCTIONS: [(&str, &[&str]); 16] = [
    // Relays in containers read the stream and store checkpoints. For a relay that is a Lambda function, Lambda reads
    // the stream and stores the checkpoints.
    ("streams.rs", &[]),
    ("outbound/leases.rs", &[]),
    ("outbound/create.rs", &[]),
    // Containers make these calls to receive and delete messages. Lambda receives and deletes the messages of
    // Lambda functions itself.
    ("sqs/inbox.rs", &["receive", "ack"]),
    // These calls are for local use. In production, the deployment creates the table.
    ("dynamodb/create.rs", &[]),
    // Operators make these calls with their own permissions: `orders doctor live`, `orders dlq import s3://…`,
    // `orders export --aws`, `orders restore --aws`.
    ("dynamodb/fill_marker.rs", &[]),
    ("dynamodb/restored_ledger.rs", &[]),
    ("sqs/refill.rs", &[]),
    ("outbound/subscriptions.rs", &["restore_subscription"]),
    ("sqs/describe.rs", &[]),
    ("dynamodb/describe.rs", &[]),
    ("s3.rs", &["keys", "object"]),
    ("dynamodb/export.rs", &[]),
    ("dynamodb/ledger_marks.rs", &["marks_of_imported"]),
    // At their start, containers check that the bucket and the topic exist.
    ("s3.rs", &["check_reachable"]),
    ("sns.rs", &["check_reachable"]),
];

/// A call of an SDK.
#[derive(Debug)]
pub(super) struct Call {
    /// The path of the file below infra/src.
    file: String,
    /// The function that contains the call.
    function: String,
    operation: String,
}

impl Call {
    pub(super) fn is_in(&self, file: &str, functions: &[&str]) -> bool {
        self.file == file && (functions.is_empty() || functions.contains(&self.function.as_str()))
    }

    pub(super) fn actions(&self) -> &'static [&'static str] {
        let known = ACTIONS.iter().find(|(operation, _)| *operation == self.operation);
        known.unwrap_or_else(|| panic!("no action is known for {self:?}")).1
    }
}

/// Every call in the adapters for AWS.
pub(super) fn calls() -> Vec<Call> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("infra/src");
    let mut files = Vec::new();
    for service in ["sqs", "dynamodb", "outbound", "streams", "s3", "sns", "eventbridge"] {
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
    // Matches a call of a method of a client, the definition of a function, or the beginning of a PartiQL statement.
    let pattern =
        r#"\bclient\s*\.\s*([a-z0-9_]+)\(|\bfn ([a-z0-9_]+)|"(INSERT INTO|UPDATE|DELETE FROM|SELECT) "#;
    let service = match file.split(['/', '.']).next().unwrap() {
        "outbound" => "dynamodb",
        other => other,
    };
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
            // The only transaction on the outbound table consists of puts.
            let is_outbound = file.starts_with("outbound/") && operation == "transact_write_items";
            let service = if is_outbound { "outbound" } else { service };
            let operation = format!("{service}/{operation}");
            calls.push(Call { file: file.to_owned(), function: function.clone(), operation });
        }
    }
    calls
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
