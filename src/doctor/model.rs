//! The model of a deployment that the rules check. Every reader fills it: Terraform, AWS, a running API, the
//! environment.
//!
//! An absent attribute has the AWS service's default value. If an attribute is unknown, the rules that need it are
//! reported as unchecked.

use std::collections::{BTreeMap, BTreeSet};

use super::references::{ResourceIdentity, ResourceReference};

/// An attribute of a part of the deployment: absent, known or unknown.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Attribute<T> {
    /// The attribute is not set, so the AWS service's default applies.
    #[default]
    Absent,
    /// The attribute is set to an unknown value. The text is the reason why it is unknown.
    Unknown(String),
    Known(T),
}

impl<T> Attribute<T> {
    /// The value, if it is known.
    pub(super) fn known(&self) -> Option<&T> {
        if let Self::Known(value) = self { Some(value) } else { None }
    }

    /// Converts a known value with `then`. An absent or unknown attribute stays absent or unknown.
    pub(super) fn then<R>(self, then: impl FnOnce(T) -> Attribute<R>) -> Attribute<R> {
        match self {
            Self::Absent => Attribute::Absent,
            Self::Unknown(why) => Attribute::Unknown(why),
            Self::Known(value) => then(value),
        }
    }
}

/// An area of a deployment that rules examine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Area {
    Queues,
    /// Lambda functions and their event source mappings.
    Functions,
    /// The policies of roles.
    Permissions,
    Tables,
    Alarms,
    /// A running service.
    Service,
    /// The environment of this process.
    Environment,
}

#[derive(Debug, Default)]
pub(super) struct Deployment {
    pub(super) queues: Vec<SqsQueue>,
    pub(super) functions: Vec<LambdaFunction>,
    pub(super) mappings: Vec<EventSourceMapping>,
    /// The mappings of DynamoDB streams.
    pub(super) stream_mappings: Vec<StreamMapping>,
    /// The targets that schedules and event rules invoke.
    pub(super) schedule_targets: Vec<Attribute<ResourceReference>>,
    /// The containers of ECS tasks.
    pub(super) containers: Vec<TaskContainer>,
    pub(super) authorizers: Vec<JwtAuthorizer>,
    pub(super) scoped_routes: Vec<ScopedRoute>,
    pub(super) roles: Vec<IamRole>,
    pub(super) tables: Vec<DynamoTable>,
    /// The tables that Lambda functions name in OUTBOUND_TABLE. `tables` does not contain these tables.
    pub(super) outbound_tables: Vec<DynamoTable>,
    pub(super) alarms: Vec<CloudWatchAlarm>,
    pub(super) service: Option<RunningService>,
    pub(super) environment: Vec<EnvironmentProblem>,
    /// Whether `ORDERS_SEARCH_INDEX` is on in the environment of this process.
    pub(super) search_index: bool,
    /// The areas that the reader has looked at.
    pub(super) seen: BTreeSet<Area>,
    /// The areas that the reader should examine but cannot, each with the reason.
    pub(super) blind: BTreeMap<Area, String>,
    /// The parts of the deployment that the reader cannot examine. Each entry has the part's name and the reason.
    pub(super) unseen: Vec<(String, String)>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct SqsQueue {
    pub(super) identity: ResourceIdentity,
    /// Whether the reader itself identified the queue as a dead-letter queue. The queue's policies, or other resources,
    /// may also identify it.
    pub(super) dead_letters: bool,
    /// Whether the reader itself identified the queue as that of webhook deliveries. Variables of functions may also identify it.
    pub(super) webhook_jobs: bool,
    pub(super) fifo: Attribute<bool>,
    pub(super) visibility: Attribute<f64>,
    pub(super) retention: Attribute<f64>,
    pub(super) wait: Attribute<f64>,
    pub(super) max_size: Attribute<f64>,
    pub(super) managed_encryption: Attribute<bool>,
    pub(super) key: Attribute<String>,
    pub(super) redrive: Attribute<RedrivePolicy>,
    pub(super) redrive_allow: Attribute<RedriveAllowPolicy>,
    pub(super) content_deduplication: Attribute<bool>,
    pub(super) deduplication_scope: Attribute<String>,
    pub(super) throughput_limit: Attribute<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct RedrivePolicy {
    pub(super) target: Attribute<ResourceReference>,
    pub(super) max_receives: Attribute<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct RedriveAllowPolicy {
    pub(super) permission: Attribute<String>,
    pub(super) sources: Vec<ResourceReference>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct LambdaFunction {
    pub(super) identity: ResourceIdentity,
    pub(super) handler: Attribute<String>,
    pub(super) timeout: Attribute<f64>,
    pub(super) reserved: Attribute<f64>,
    pub(super) environment: Attribute<BTreeMap<String, Attribute<ResourceReference>>>,
    /// Where AWS sends failed asynchronous invocations.
    pub(super) dead_letters: Attribute<ResourceReference>,
    pub(super) tracing: Attribute<String>,
    pub(super) role: Attribute<ResourceReference>,
    pub(super) log_format: Attribute<String>,
    pub(super) log_level: Attribute<String>,
}

/// An event source mapping of a queue.
#[derive(Debug, Default, Clone)]
pub(super) struct EventSourceMapping {
    pub(super) address: String,
    pub(super) source: Attribute<ResourceReference>,
    pub(super) function: Attribute<ResourceReference>,
    pub(super) batch_size: Attribute<f64>,
    pub(super) window: Attribute<f64>,
    pub(super) response_types: Attribute<Vec<String>>,
    pub(super) max_concurrency: Attribute<f64>,
    /// The pollers that Lambda keeps for the queue.
    pub(super) pollers: Attribute<ProvisionedPollers>,
    /// The patterns of the mapping's filter criteria.
    pub(super) filter: Attribute<Vec<String>>,
}

/// How many pollers Lambda keeps for a queue.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct ProvisionedPollers {
    pub(super) minimum: Attribute<f64>,
    pub(super) maximum: Attribute<f64>,
}

/// An event source mapping of a DynamoDB stream.
#[derive(Debug, Default, Clone)]
pub(super) struct StreamMapping {
    pub(super) address: String,
    pub(super) function: Attribute<ResourceReference>,
    pub(super) response_types: Attribute<Vec<String>>,
    pub(super) starting_position: Attribute<String>,
    pub(super) parallel: Attribute<f64>,
    pub(super) max_retries: Attribute<f64>,
    pub(super) max_age: Attribute<f64>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct IamRole {
    pub(super) identity: ResourceIdentity,
    pub(super) statements: Vec<PolicyStatement>,
    /// The policies with unknown content. Each entry has the address of the policy and the reason.
    pub(super) unknown: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
pub(super) struct PolicyStatement {
    /// The address of the policy that contains the statement.
    pub(super) address: String,
    pub(super) allow: bool,
    pub(super) actions: Vec<String>,
    pub(super) resources: Vec<ResourceReference>,
    /// Whether the statement has `NotAction` or `NotResource`.
    pub(super) inverted: bool,
}

#[derive(Debug, Default, Clone)]
pub(super) struct DynamoTable {
    pub(super) identity: ResourceIdentity,
    /// The names of the table's keys: the hash key, then the range key.
    pub(super) keys: Attribute<Vec<String>>,
    /// The names of the keys of each index.
    pub(super) indexes: Attribute<BTreeMap<String, Vec<String>>>,
    /// What the table takes at once.
    pub(super) warm: Attribute<WarmThroughput>,
    /// What each index takes at once.
    pub(super) warm_indexes: BTreeMap<String, Attribute<WarmThroughput>>,
    pub(super) recovery: Attribute<bool>,
    /// What the change stream contains. Absent if the stream is off.
    pub(super) stream: Attribute<String>,
    pub(super) protection: Attribute<bool>,
}

/// The warm throughput of a table or an index, in units a second.
#[derive(Debug, Default, Clone)]
pub(super) struct WarmThroughput {
    pub(super) reads: Attribute<f64>,
    pub(super) writes: Attribute<f64>,
}

/// A container of an ECS task.
#[derive(Debug, Clone)]
pub(super) struct TaskContainer {
    /// The role of this program that the command names.
    pub(super) command: Attribute<String>,
    pub(super) environment: BTreeMap<String, Attribute<ResourceReference>>,
}

/// The token authorizer of an HTTP API.
#[derive(Debug, Clone)]
pub(super) struct JwtAuthorizer {
    pub(super) address: String,
    pub(super) issuer: Attribute<String>,
}

/// A route of an HTTP API that requires scopes.
#[derive(Debug, Clone)]
pub(super) struct ScopedRoute {
    pub(super) address: String,
    pub(super) scopes: Attribute<Vec<String>>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct CloudWatchAlarm {
    pub(super) address: String,
    pub(super) metrics: Vec<AlarmMetric>,
    pub(super) comparison: Attribute<String>,
    pub(super) threshold: Attribute<f64>,
    pub(super) missing_data: Attribute<String>,
    pub(super) actions: Attribute<usize>,
    pub(super) enabled: Attribute<bool>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct AlarmMetric {
    pub(super) name: Attribute<String>,
    pub(super) namespace: Attribute<String>,
    pub(super) statistic: Attribute<String>,
    pub(super) dimensions: Attribute<BTreeMap<String, Attribute<ResourceReference>>>,
}

/// A running API, seen from outside.
#[derive(Debug)]
pub(super) struct RunningService {
    pub(super) url: String,
    /// Whether only this machine can reach the API's address.
    pub(super) local: bool,
    /// Whether requests travel unencrypted to another machine.
    pub(super) in_the_clear: bool,
    /// The reason why the API is not ready. Absent if the API is ready.
    pub(super) not_ready: Attribute<String>,
    /// The HTTP status of the answer to a request without a token.
    pub(super) without_token: Attribute<u16>,
    pub(super) metrics: Attribute<u16>,
}

/// A problem with the environment of this process.
#[derive(Debug, Clone)]
pub(super) struct EnvironmentProblem {
    /// The id of the rule that the problem violates.
    pub(super) rule: &'static str,
    /// The command that reads the variable.
    pub(super) role: String,
    pub(super) variable: String,
    pub(super) problem: String,
}
