//! Tests that each role has exactly the permissions for the calls that its code makes ([`calls`](super::calls)).

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::calls::{
    API_FEED, API_WEBHOOKS, BUS, Call, DLQ, EVENTS_TOPIC, MAIN, REACHES, RELAY_FEED, RELAY_OUTPUTS,
    RELAY_WEBHOOKS, SEARCH_INDEX, STREAM, TOPIC_KEY, WEBHOOKS, calls,
};
use super::{KEY, Plan, document, plan, plan_with};

/// The queues that Lambda polls with the role of a function, and the actions that Lambda needs on them
/// ([permissions](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html)).
const POLLED: [(&str, &str); 3] = [("consumer", MAIN), ("dead-letters", DLQ), ("webhook-sender", WEBHOOKS)];
const POLLING: [&str; 3] = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];

/// What Lambda needs to read the stream that invokes the relay
/// ([permissions](https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html#events-dynamodb-permissions)).
const READING: [&str; 4] =
    ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"];

const ROLES: [&str; 4] = ["api", "consumer", "dead-letters", "expiry"];

pub(super) type Permissions = BTreeSet<(String, String)>;

pub(super) fn permission(resource: &str, action: &str) -> (String, String) {
    (resource.to_owned(), action.to_owned())
}

/// The permissions that the calls of a role need.
fn called(role: &str) -> Permissions {
    let calls = calls();
    let mut needed = Permissions::new();
    for (_, resource, file, functions) in REACHES.iter().filter(|(reaching, ..)| *reaching == role) {
        let reached = calls.iter().filter(|call| call.is_in(file, functions));
        let actions: Vec<_> = reached.flat_map(Call::actions).collect();
        assert!(!actions.is_empty(), "{role} makes no call in {file}");
        needed.extend(actions.into_iter().map(|action| permission(resource, action)));
    }
    needed
}

/// The permissions that feed a role from its queue or its stream. Lambda uses them for a function, a container itself.
fn fed(role: &str) -> Permissions {
    let polled = POLLED.iter().filter(|(polled, _)| *polled == role);
    let mut needed: Permissions =
        polled.flat_map(|(_, queue)| POLLING.map(|action| permission(queue, action))).collect();
    if role == "relay" {
        needed.extend(READING.map(|action| permission(STREAM, action)));
    }
    needed
}

/// The permissions that publishers of alerts need on the topic's key, if there is no other key.
fn of_topic_key(role: &str) -> Option<&'static str> {
    matches!(role, "dead-letters" | "webhook-sender").then_some(TOPIC_KEY)
}

const OF_KEY: [&str; 2] = ["kms:Decrypt", "kms:GenerateDataKey"];

/// The permissions that a role of the program needs wherever it runs, in a deployment without a search index, outputs or a key.
pub(super) fn needed_of_program(role: &str, feed: bool, webhooks: bool) -> Permissions {
    let mut needed = called(role);
    needed.extend(fed(role));
    for (is_on, also) in further(role, feed, webhooks, false) {
        needed.extend(is_on.then(|| called(also)).into_iter().flatten());
    }
    needed
        .extend(of_topic_key(role).into_iter().flat_map(|key| OF_KEY.map(|action| permission(key, action))));
    needed.retain(|(resource, _)| resource != SEARCH_INDEX);
    needed
}

/// The further calls of a role, and whether what they are for is on.
fn further(role: &str, feed: bool, webhooks: bool, outputs: bool) -> [(bool, &'static str); 3] {
    match role {
        "api" => [(feed, API_FEED), (webhooks, API_WEBHOOKS), (false, "")],
        "relay" => [(feed, RELAY_FEED), (webhooks, RELAY_WEBHOOKS), (outputs, RELAY_OUTPUTS)],
        _ => [(false, ""); 3],
    }
}

/// All permissions that the function of a role needs.
fn needed(role: &str, key: Option<&str>) -> Permissions {
    let mut needed = called(role);
    needed.extend(fed(role));
    let group = format!("aws_cloudwatch_log_group.function[{role}].arn:*");
    needed.extend(["logs:CreateLogStream", "logs:PutLogEvents"].map(|action| permission(&group, action)));
    // X-Ray actions apply to no particular resource, so the policy allows them for `*`.
    needed
        .extend(["xray:PutTraceSegments", "xray:PutTelemetryRecords"].map(|action| permission("*", action)));
    let key = key.or(of_topic_key(role));
    needed.extend(key.into_iter().flat_map(|key| OF_KEY.map(|action| permission(key, action))));
    needed
}

/// The permissions that the deployment grants to a role.
fn granted(plan: &Plan, role: &str) -> Permissions {
    let address = format!("aws_iam_role_policy.function[{role}]");
    assert_eq!(plan.get(&address)["role"], format!("aws_iam_role.function[{role}].id"));
    granted_by(plan, &address)
}

/// The permissions that a policy grants.
pub(super) fn granted_by(plan: &Plan, address: &str) -> Permissions {
    let policy = document(&plan.get(address)["policy"]);
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

/// What the variables of a deployment turn on.
#[derive(Debug, Clone, Copy, Default)]
struct Options {
    search_index: bool,
    feed: bool,
    webhooks: bool,
    outputs: bool,
    key: bool,
}

/// Asserts that each role has the permissions that it needs with these options, and no others.
fn assert_exact(options: Options) {
    let Options { search_index, feed, webhooks, outputs, key } = options;
    let mut variables: Vec<(&'static str, Json)> = vec![("table.search_index", search_index.into())];
    variables.extend(feed.then(|| ("feed", json!({}))));
    variables.extend(webhooks.then(|| ("webhooks", json!({}))));
    if outputs {
        variables.push(("event_bus", json!({ "arn": BUS })));
        variables.push(("events_topic", json!({ "arn": EVENTS_TOPIC })));
    }
    variables.extend(key.then(|| ("kms_key_arn", KEY.into())));
    let plan = plan_with(&variables);
    let relay = (feed || webhooks || outputs).then_some("relay");
    let roles: Vec<_> = ROLES.into_iter().chain(relay).chain(webhooks.then_some("webhook-sender")).collect();
    for role in &roles {
        let (mut needed, granted) = (needed(role, key.then_some(KEY)), granted(&plan, role));
        let also = further(role, feed, webhooks, outputs);
        needed.extend(also.into_iter().filter(|(is_on, _)| *is_on).flat_map(|(_, also)| called(also)));
        needed.retain(|(resource, _)| search_index || resource != SEARCH_INDEX);
        let (missing, idle): (Vec<_>, Vec<_>) =
            (needed.difference(&granted).collect(), granted.difference(&needed).collect());
        assert!(
            missing.is_empty() && idle.is_empty(),
            "{options:?}: {role} lacks the permissions {missing:?}, and does not need the permissions {idle:?}"
        );
    }
    assert_eq!(plan.all("aws_iam_role_policy").count(), roles.len());
    assert_eq!(plan.all("aws_iam_role_policy_attachment").count(), 0, "no other policy grants permissions");
}

#[test]
fn each_role_has_exactly_the_permissions_that_its_code_needs() {
    let none = Options::default();
    for options in [
        none,
        Options { search_index: true, ..none },
        Options { key: true, ..none },
        Options { feed: true, key: true, ..none },
    ] {
        assert_exact(options);
    }
}

#[test]
fn webhooks_add_what_they_need_and_nothing_else() {
    for feed in [true, false] {
        for key in [true, false] {
            assert_exact(Options { feed, key, webhooks: true, ..Options::default() });
        }
    }
}

#[test]
fn outputs_add_what_the_relay_needs_and_nothing_else() {
    for webhooks in [true, false] {
        assert_exact(Options { outputs: true, webhooks, ..Options::default() });
    }
}

#[test]
fn only_references_and_writers_of_the_ledger_can_be_deleted() {
    let plan = plan();
    let policies = plan.all("aws_iam_role_policy").map(|(_, policy)| document(&policy["policy"]));
    let statements = policies.flat_map(|policy| policy["Statement"].as_array().unwrap().clone());
    let deletes = |statement: &Json| statement["Action"].to_string().contains("dynamodb:DeleteItem");
    let deleting: Vec<_> = statements.filter(deletes).collect();
    assert_eq!(deleting.len(), 1, "{deleting:?}");
    let condition =
        serde_json::json!({ "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["REF#*", "LEDGER#*"] } });
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
