//! The permissions that each function needs, by its job. The rules in the parent compare them with the function's role.

use crate::doctor::model::{Attribute, Deployment, DynamoTable, LambdaFunction};
use crate::doctor::references::ResourceIdentity;
use crate::doctor::rules::feed::feeds;
use crate::doctor::rules::tables::{SEARCH_INDEX, searches};
use crate::doctor::topology::FunctionJob;

/// The actions on one resource that a function must be allowed to perform.
pub(super) struct RequiredPermission<'a> {
    pub(super) actions: &'static [&'static str],
    /// The resource. `None` if a permission on any resource is enough.
    pub(super) on: Option<&'a ResourceIdentity>,
    /// The index of the table that the actions apply to. `None` if they apply to the resource itself.
    pub(super) index: Option<&'static str>,
}

const RECEIVE: &[&str] = &["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
const RETRY: &[&str] = &["sqs:ChangeMessageVisibility"];
const SEND: &[&str] = &["sqs:SendMessage"];
const QUERY: &[&str] = &["dynamodb:Query"];
const READ: &[&str] = &["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"];
const RECORD: &[&str] = &[
    "dynamodb:GetItem",
    "dynamodb:BatchGetItem",
    "dynamodb:Query",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
];
const ARCHIVE: &[&str] = &[
    "dynamodb:GetItem",
    "dynamodb:BatchGetItem",
    "dynamodb:Query",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
];
const CUSTOMERS: &[&str] = &["dynamodb:BatchGetItem"];
const MANAGE: &[&str] = &[
    "dynamodb:GetItem",
    "dynamodb:Query",
    "dynamodb:PutItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
];
const DELIVER: &[&str] = &["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem"];
const BUS: &[&str] = &["events:PutEvents", "events:DescribeEventBus"];
const TOPIC: &[&str] = &["sns:Publish"];
const APPEND: &[&str] = &["dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem"];
/// The actions with which Lambda reads a stream. The role of the function must allow them.
const STREAM: &[&str] =
    &["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"];
const LOGS: &[&str] = &["logs:CreateLogStream", "logs:PutLogEvents"];
const TRACES: &[&str] = &["xray:PutTraceSegments", "xray:PutTelemetryRecords"];

/// Permissions that are being collected.
#[derive(Default)]
struct Needs<'a>(Vec<RequiredPermission<'a>>);

impl<'a> Needs<'a> {
    fn add(&mut self, actions: &'static [&'static str], on: Option<&'a ResourceIdentity>) {
        self.0.push(RequiredPermission { actions, on, index: None });
    }

    fn add_query(&mut self, table: Option<&'a ResourceIdentity>, index: &'static str) {
        self.0.push(RequiredPermission { actions: QUERY, on: table, index: Some(index) });
    }
}

/// All permissions that a function needs.
pub(super) fn needs<'a>(
    deployment: &'a Deployment,
    function: &'a LambdaFunction,
) -> Vec<RequiredPermission<'a>> {
    let mut needs = Needs::default();
    needs.add(LOGS, None);
    if function.tracing.known().is_some_and(|mode| mode == "Active") {
        needs.add(TRACES, None);
    }
    if let Some(queue) = deployment.source_of(function) {
        needs.add(RECEIVE, Some(&queue.identity));
    }
    // A function that runs another program does not make the calls of this program.
    if Deployment::is_ours(function) {
        add_for_queues(&mut needs, deployment, function);
        add_for_job(&mut needs, deployment, function);
    }
    needs.0
}

/// What a function of this program needs for the queue that invokes it, and for the queue of webhook jobs.
fn add_for_queues<'a>(needs: &mut Needs<'a>, deployment: &'a Deployment, function: &'a LambdaFunction) {
    let job = deployment.job(function);
    if let Some(queue) = deployment.source_of(function) {
        if matches!(job, FunctionJob::Consumer | FunctionJob::DeadLetters | FunctionJob::WebhookSender) {
            needs.add(RETRY, Some(&queue.identity));
        }
        // If the dead-letter queue or the table is not part of the configuration, no permission on it is required.
        if job == FunctionJob::Consumer
            && let Some(dead_letters) = deployment.dead_letters_of(queue)
        {
            needs.add(SEND, Some(&dead_letters.identity));
        }
    }
    // The API, the relay and the webhook sender send webhook jobs.
    if let Some(queue) = function.webhook_queue().and_then(|named| deployment.queue(named)) {
        needs.add(SEND, Some(&queue.identity));
    }
}

/// What a function of this program needs for its job, apart from the queue that invokes it.
fn add_for_job<'a>(needs: &mut Needs<'a>, deployment: &'a Deployment, function: &'a LambdaFunction) {
    let mut work = deployment.event_queues();
    let work_queue = work.next().filter(|_| work.next().is_none()).map(|queue| &queue.identity);
    let (table, outbound) = (only(&deployment.tables), only(&deployment.outbound_tables));
    let (has_feed, has_webhooks) = (feeds(function) == Some(true), function.webhook_queue().is_some());
    match deployment.job(function) {
        FunctionJob::Consumer => needs.add(RECORD, table),
        FunctionJob::DeadLetters => {
            needs.add(ARCHIVE, table);
            needs.add(&["s3:PutObject"], None);
            needs.add(TOPIC, None);
        }
        FunctionJob::Api => {
            needs.add(SEND, work_queue);
            needs.add(&["sqs:GetQueueAttributes"], work_queue);
            needs.add(READ, table);
            if has_webhooks {
                needs.add(MANAGE, outbound);
            } else if has_feed {
                needs.add(QUERY, outbound);
            }
            needs.add_query(table, "customer-orders");
            if searches(function) == Some(true) {
                needs.add_query(table, SEARCH_INDEX.0);
            }
        }
        FunctionJob::Expiry => {
            needs.add(SEND, work_queue);
            needs.add(&["dynamodb:Query", "dynamodb:UpdateItem"], table);
            needs.add_query(table, "due-orders");
        }
        FunctionJob::Relay => {
            needs.add(CUSTOMERS, table);
            needs.add(STREAM, None);
            if has_feed {
                needs.add(APPEND, outbound);
            } else if has_webhooks {
                needs.add(QUERY, outbound);
            }
            needs.0.extend(output_needs(function));
        }
        FunctionJob::WebhookSender => {
            needs.add(QUERY, table);
            needs.add(DELIVER, outbound);
            needs.add(TOPIC, None);
        }
        FunctionJob::Other => {}
    }
}

/// What the relay needs to publish events to its outputs.
fn output_needs(function: &LambdaFunction) -> impl Iterator<Item = RequiredPermission<'_>> {
    let variables = function.environment.known();
    let is_set =
        move |name: &str| variables.and_then(|it| it.get(name)).is_some_and(|it| *it != Attribute::Absent);
    let needs = [("EVENT_BUS", BUS), ("EVENTS_TOPIC", TOPIC)];
    let needs = needs.into_iter().filter(move |(name, _)| is_set(name));
    needs.map(|(_, actions)| RequiredPermission { actions, on: None, index: None })
}

/// The table, if there is exactly one.
fn only(tables: &[DynamoTable]) -> Option<&ResourceIdentity> {
    if let [table] = tables { Some(&table.identity) } else { None }
}
