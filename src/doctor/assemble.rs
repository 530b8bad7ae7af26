//! Makes a deployment of Terraform resources.

use std::collections::BTreeMap;

use super::references::Identity;
use super::model::{
    Alarm, Area, Attr, Deployment, Function, Mapping, Metric, Queue, Redrive, RedriveAllow, Table,
};
use super::resources::{Attributes, Configuration, Resource, link};
use super::roles;
use super::value::Value;

/// The deployment that these resources are.
pub(super) fn deployment(configuration: Configuration) -> Deployment {
    let Configuration { resources, unseen } = configuration;
    let mut deployment = Deployment {
        seen: [Area::Queues, Area::Functions, Area::Permissions, Area::Tables, Area::Alarms].into(),
        unseen,
        ..Deployment::default()
    };
    for resource in &resources {
        match resource.kind.as_str() {
            "aws_sqs_queue" => deployment.queues.push(queue(resource)),
            "aws_lambda_function" => deployment.functions.push(function(resource)),
            "aws_lambda_event_source_mapping" if may_be_of_queue(resource) => {
                deployment.mappings.push(mapping(resource));
            }
            "aws_dynamodb_table" => deployment.tables.push(table(resource)),
            "aws_cloudwatch_metric_alarm" => deployment.alarms.push(alarm(resource)),
            _ => {}
        }
    }
    separate_policies(&mut deployment.queues, &resources);
    deployment.roles = roles::of(&resources);
    deployment
}

fn queue(resource: &Resource) -> Queue {
    let a = resource.attributes();
    Queue {
        identity: resource.identity("name"),
        dead_letters: false,
        fifo: a.bool("fifo_queue"),
        visibility: a.number("visibility_timeout_seconds"),
        retention: a.number("message_retention_seconds"),
        wait: a.number("receive_wait_time_seconds"),
        max_size: a.number("max_message_size"),
        managed_encryption: a.bool("sqs_managed_sse_enabled"),
        key: a.link("kms_master_key_id").then(|key| Attr::Is(key.to_string())),
        redrive: redrive(a.document("redrive_policy"), a.link("redrive_policy")),
        redrive_allow: redrive_allow(a.document("redrive_allow_policy")),
        content_deduplication: a.bool("content_based_deduplication"),
        deduplication_scope: a.text("deduplication_scope"),
        throughput_limit: a.text("fifo_throughput_limit"),
    }
}

/// A redrive policy. Of one that is only known when it is applied, what it refers to can be known.
pub(super) fn redrive(document: Attr<Value>, refers: Attr<super::references::Link>) -> Attr<Redrive> {
    match (document, refers) {
        (Attr::Unknown(why), Attr::Is(target)) => {
            Attr::Is(Redrive { target: Attr::Is(target), max_receives: Attr::Unknown(why) })
        }
        (document, _) => document.then(|document| match document.as_map().map(Attributes) {
            Some(policy) => Attr::Is(Redrive {
                target: policy.link("deadLetterTargetArn"),
                max_receives: policy.number("maxReceiveCount"),
            }),
            None => Attr::Unknown(format!("{document} is no redrive policy")),
        }),
    }
}

pub(super) fn redrive_allow(document: Attr<Value>) -> Attr<RedriveAllow> {
    document.then(|document| match document.as_map().map(Attributes) {
        Some(policy) => {
            let sources = policy.list("sourceQueueArns");
            let sources =
                sources.is().into_iter().flatten().filter_map(|source| link(source).is().cloned()).collect();
            Attr::Is(RedriveAllow { permission: policy.text("redrivePermission"), sources })
        }
        None => Attr::Unknown(format!("{document} is no redrive allow policy")),
    })
}

/// Policies of queues that are resources of their own.
fn separate_policies(queues: &mut [Queue], resources: &[Resource]) {
    for resource in resources {
        let a = resource.attributes();
        let Attr::Is(url) = a.link("queue_url") else { continue };
        let named = |queue: &&mut Queue| url.means(&queue.identity) == Some(true);
        match resource.kind.as_str() {
            "aws_sqs_queue_redrive_policy" => {
                if let Some(queue) = queues.iter_mut().find(named) {
                    queue.redrive = redrive(a.document("redrive_policy"), a.link("redrive_policy"));
                }
            }
            "aws_sqs_queue_redrive_allow_policy" => {
                if let Some(queue) = queues.iter_mut().find(named) {
                    queue.redrive_allow = redrive_allow(a.document("redrive_allow_policy"));
                }
            }
            _ => {}
        }
    }
}

fn function(resource: &Resource) -> Function {
    let a = resource.attributes();
    let logging = a.block("logging_config");
    Function {
        identity: resource.identity("function_name"),
        handler: a.text("handler"),
        timeout: a.number("timeout"),
        reserved: a.number("reserved_concurrent_executions"),
        environment: a.block("environment").then(|block| block.links("variables")),
        dead_letters: a.block("dead_letter_config").then(|block| block.link("target_arn")),
        tracing: a.block("tracing_config").then(|block| block.text("mode")),
        role: a.link("role"),
        log_format: logging.clone().then(|block| block.text("log_format")),
        log_level: logging.then(|block| block.text("application_log_level")),
    }
}

/// Whether a mapping takes from a queue, as far as can be told. Rules about queues do not hold for streams and brokers.
fn may_be_of_queue(resource: &Resource) -> bool {
    match resource.attributes().link("event_source_arn") {
        Attr::Is(source) => source.may_be("sqs", "aws_sqs_queue"),
        // Brokers outside AWS have no ARN.
        Attr::Absent => false,
        Attr::Unknown(_) => true,
    }
}

fn mapping(resource: &Resource) -> Mapping {
    let a = resource.attributes();
    let filters = a.block("filter_criteria").then(|criteria| criteria.blocks("filter"));
    Mapping {
        address: resource.address.clone(),
        source: a.link("event_source_arn"),
        function: a.link("function_name"),
        batch_size: a.number("batch_size"),
        window: a.number("maximum_batching_window_in_seconds"),
        response_types: a.texts("function_response_types"),
        max_concurrency: a.block("scaling_config").then(|block| block.number("maximum_concurrency")),
        filter: filters.then(|filters| {
            let pattern = |filter: &Attributes<'_>| match filter.value("pattern") {
                Attr::Is(pattern) => pattern.to_string(),
                _ => "a pattern that cannot be told".to_owned(),
            };
            Attr::Is(filters.iter().map(pattern).collect())
        }),
    }
}

fn table(resource: &Resource) -> Table {
    let a = resource.attributes();
    Table {
        identity: resource.identity("name"),
        keys: keys(a),
        indexes: a.blocks("global_secondary_index").then(|indexes| {
            let mut all = BTreeMap::new();
            for index in indexes {
                match (index.text("name"), keys(index)) {
                    (Attr::Is(name), Attr::Is(keys)) => all.insert(name, keys),
                    (Attr::Unknown(why), _) | (_, Attr::Unknown(why)) => return Attr::Unknown(why),
                    _ => continue,
                };
            }
            Attr::Is(all)
        }),
        recovery: a.block("point_in_time_recovery").then(|block| block.bool("enabled")),
        protection: a.bool("deletion_protection_enabled"),
    }
}

/// Keys as attributes, or as the blocks that indexes can have instead.
fn keys(a: Attributes<'_>) -> Attr<Vec<String>> {
    if let Attr::Is(blocks) = a.blocks("key_schema") {
        let named = |kind: &str| {
            let of_kind = blocks.iter().find(|block| block.text("key_type").is().is_some_and(|k| k == kind));
            of_kind.and_then(|block| block.text("attribute_name").is().cloned())
        };
        return Attr::Is(["HASH", "RANGE"].into_iter().filter_map(named).collect());
    }
    match (a.text("hash_key"), a.text("range_key")) {
        (Attr::Unknown(why), _) | (_, Attr::Unknown(why)) => Attr::Unknown(why),
        (hash, range) => Attr::Is([hash, range].iter().filter_map(Attr::is).cloned().collect()),
    }
}

fn alarm(resource: &Resource) -> Alarm {
    let a = resource.attributes();
    let metrics = match a.blocks("metric_query") {
        Attr::Is(queries) => queries
            .iter()
            .filter_map(|query| query.block("metric").is().copied())
            .map(|m| metric(m, "stat"))
            .collect(),
        _ => vec![metric(a, "statistic")],
    };
    Alarm {
        address: resource.address.clone(),
        metrics,
        comparison: a.text("comparison_operator"),
        threshold: a.number("threshold"),
        missing_data: a.text("treat_missing_data"),
        actions: a.list("alarm_actions").then(|actions| Attr::Is(actions.len())),
        enabled: a.bool("actions_enabled"),
    }
}

fn metric(a: Attributes<'_>, statistic: &str) -> Metric {
    Metric {
        name: a.text("metric_name"),
        namespace: a.text("namespace"),
        statistic: a.text(statistic),
        dimensions: a.links("dimensions"),
    }
}

impl Identity {
    /// How it is called in messages.
    pub(super) fn shown(&self) -> &str {
        &self.address
    }
}
