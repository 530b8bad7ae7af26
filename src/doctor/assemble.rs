//! Builds the model of a deployment from Terraform resources. `doctor::read` calls it.

mod front;
mod tables;

use super::model::{
    AlarmMetric, Area, Attribute, CloudWatchAlarm, Deployment, DynamoTable, EventSourceMapping,
    LambdaFunction, ProvisionedPollers, RedriveAllowPolicy, RedrivePolicy, SqsQueue, StreamMapping,
};
use super::references::ResourceReference;
use super::resources::{AttributeReader, TerraformResource, TerraformResources, link};
use super::roles;
use super::value::TerraformValue;

pub(super) fn deployment(configuration: TerraformResources) -> Deployment {
    let TerraformResources { resources, unseen, .. } = configuration;
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
            "aws_lambda_event_source_mapping" if is_of_stream(resource) => {
                deployment.stream_mappings.push(stream_mapping(resource));
            }
            "aws_cloudwatch_event_target" => {
                deployment.schedule_targets.push(resource.attributes().link("arn"));
            }
            "aws_scheduler_schedule" => {
                let target = resource.attributes().block("target");
                deployment.schedule_targets.push(target.then(|target| target.link("arn")));
            }
            "aws_dynamodb_table" => deployment.tables.push(tables::table(resource)),
            "aws_ecs_task_definition" => deployment.containers.extend(front::containers(resource)),
            "aws_apigatewayv2_authorizer" => deployment.authorizers.push(front::authorizer(resource)),
            "aws_apigatewayv2_route" => deployment.scoped_routes.extend(front::scoped_route(resource)),
            "aws_cloudwatch_metric_alarm" => deployment.alarms.push(alarm(resource)),
            _ => {}
        }
    }
    let is_outbound = |table: &DynamoTable| deployment.is_outbound(table);
    (deployment.outbound_tables, deployment.tables) =
        deployment.tables.iter().cloned().partition(is_outbound);
    separate_policies(&mut deployment.queues, &resources);
    deployment.roles = roles::of(&resources);
    deployment
}

fn queue(resource: &TerraformResource) -> SqsQueue {
    let a = resource.attributes();
    SqsQueue {
        identity: resource.identity("name"),
        dead_letters: false,
        webhook_jobs: false,
        fifo: a.bool("fifo_queue"),
        visibility: a.number("visibility_timeout_seconds"),
        retention: a.number("message_retention_seconds"),
        wait: a.number("receive_wait_time_seconds"),
        max_size: a.number("max_message_size"),
        managed_encryption: a.bool("sqs_managed_sse_enabled"),
        key: a.link("kms_master_key_id").then(|key| Attribute::Known(key.to_string())),
        redrive: redrive(a.document("redrive_policy"), a.link("redrive_policy")),
        redrive_allow: redrive_allow(a.document("redrive_allow_policy")),
        content_deduplication: a.bool("content_based_deduplication"),
        deduplication_scope: a.text("deduplication_scope"),
        throughput_limit: a.text("fifo_throughput_limit"),
    }
}

/// Builds the redrive policy of a queue. The target of the policy may be known even if the policy is known only after
/// apply.
pub(super) fn redrive(
    document: Attribute<TerraformValue>,
    refers: Attribute<ResourceReference>,
) -> Attribute<RedrivePolicy> {
    match (document, refers) {
        (Attribute::Unknown(why), Attribute::Known(target)) => Attribute::Known(RedrivePolicy {
            target: Attribute::Known(target),
            max_receives: Attribute::Unknown(why),
        }),
        (document, _) => document.then(|document| match document.as_map().map(AttributeReader) {
            Some(policy) => Attribute::Known(RedrivePolicy {
                target: policy.link("deadLetterTargetArn"),
                max_receives: policy.number("maxReceiveCount"),
            }),
            None => Attribute::Unknown(format!("{document} is not a redrive policy")),
        }),
    }
}

pub(super) fn redrive_allow(document: Attribute<TerraformValue>) -> Attribute<RedriveAllowPolicy> {
    document.then(|document| match document.as_map().map(AttributeReader) {
        Some(policy) => {
            let sources = policy.list("sourceQueueArns");
            let sources = sources
                .known()
                .into_iter()
                .flatten()
                .filter_map(|source| link(source).known().cloned())
                .collect();
            Attribute::Known(RedriveAllowPolicy { permission: policy.text("redrivePermission"), sources })
        }
        None => Attribute::Unknown(format!("{document} is not a redrive allow policy")),
    })
}

/// Adds each policy that is declared as a separate resource to the queue that it belongs to.
fn separate_policies(queues: &mut [SqsQueue], resources: &[TerraformResource]) {
    for resource in resources {
        let a = resource.attributes();
        let Attribute::Known(url) = a.link("queue_url") else { continue };
        let named = |queue: &&mut SqsQueue| url.means(&queue.identity) == Some(true);
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

fn function(resource: &TerraformResource) -> LambdaFunction {
    let a = resource.attributes();
    let logging = a.block("logging_config");
    LambdaFunction {
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

/// Whether the source of an event source mapping may be a queue. The rules do not apply to streams and brokers.
fn may_be_of_queue(resource: &TerraformResource) -> bool {
    match resource.attributes().link("event_source_arn") {
        Attribute::Known(source) => source.may_be("sqs", "aws_sqs_queue"),
        // A mapping without an ARN receives from a broker outside AWS.
        Attribute::Absent => false,
        Attribute::Unknown(_) => true,
    }
}

fn mapping(resource: &TerraformResource) -> EventSourceMapping {
    let a = resource.attributes();
    let filters = a.block("filter_criteria").then(|criteria| criteria.blocks("filter"));
    EventSourceMapping {
        address: resource.address.clone(),
        source: a.link("event_source_arn"),
        function: a.link("function_name"),
        batch_size: a.number("batch_size"),
        window: a.number("maximum_batching_window_in_seconds"),
        response_types: a.texts("function_response_types"),
        max_concurrency: a.block("scaling_config").then(|block| block.number("maximum_concurrency")),
        pollers: a.block("provisioned_poller_config").then(|block| {
            let (minimum, maximum) = (block.number("minimum_pollers"), block.number("maximum_pollers"));
            Attribute::Known(ProvisionedPollers { minimum, maximum })
        }),
        filter: filters.then(|filters| {
            let pattern = |filter: &AttributeReader<'_>| match filter.value("pattern") {
                Attribute::Known(pattern) => pattern.to_string(),
                _ => "an unknown pattern".to_owned(),
            };
            Attribute::Known(filters.iter().map(pattern).collect())
        }),
    }
}

fn is_of_stream(resource: &TerraformResource) -> bool {
    let source = resource.attributes().link("event_source_arn");
    matches!(source, Attribute::Known(source) if source.may_be("dynamodb", "aws_dynamodb_table"))
}

fn stream_mapping(resource: &TerraformResource) -> StreamMapping {
    let a = resource.attributes();
    StreamMapping {
        address: resource.address.clone(),
        function: a.link("function_name"),
        response_types: a.texts("function_response_types"),
        starting_position: a.text("starting_position"),
        parallel: a.number("parallelization_factor"),
        max_retries: a.number("maximum_retry_attempts"),
        max_age: a.number("maximum_record_age_in_seconds"),
    }
}

fn alarm(resource: &TerraformResource) -> CloudWatchAlarm {
    let a = resource.attributes();
    let metrics = match a.blocks("metric_query") {
        Attribute::Known(queries) => queries
            .iter()
            .filter_map(|query| query.block("metric").known().copied())
            .map(|m| metric(m, "stat"))
            .collect(),
        _ => vec![metric(a, "statistic")],
    };
    CloudWatchAlarm {
        address: resource.address.clone(),
        metrics,
        comparison: a.text("comparison_operator"),
        threshold: a.number("threshold"),
        missing_data: a.text("treat_missing_data"),
        actions: a.list("alarm_actions").then(|actions| Attribute::Known(actions.len())),
        enabled: a.bool("actions_enabled"),
    }
}

fn metric(a: AttributeReader<'_>, statistic: &str) -> AlarmMetric {
    AlarmMetric {
        name: a.text("metric_name"),
        namespace: a.text("namespace"),
        statistic: a.text(statistic),
        dimensions: a.links("dimensions"),
    }
}
