//! Tests the deployment as containers: the tasks, the load balancer, and the permissions of each task.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use serde_json::{Value as Json, json};

use super::calls::{CONTAINER_REACHES, Call, calls};
use super::module::{Module, Plan};
use super::{document, folder, permissions};

const ROLES: [&str; 4] = ["api", "consumer", "dead-letters", "expiry"];

fn plan_with(variables: &[(&'static str, Json)]) -> Arc<Plan> {
    static CONTAINERS: LazyLock<Module> =
        LazyLock::new(|| Module::read(&folder().join("modules/containers")));
    let required = [
        ("image", json!("registry.example/orders:1")),
        ("certificate_arn", json!("arn:aws:acm:eu-central-1:123456789012:certificate/1")),
        ("network.vpc_id", json!("vpc-1")),
        ("network.public_subnet_ids", json!(["subnet-1", "subnet-2"])),
        ("network.private_subnet_ids", json!(["subnet-3"])),
        ("jwt.jwks_url", json!("https://id.example/keys")),
        ("jwt.issuer", json!("https://id.example")),
        ("jwt.audience", json!("orders")),
    ];
    let all: Vec<_> = required.into_iter().chain(variables.iter().cloned()).collect();
    Arc::new(CONTAINERS.plan(&all).unwrap_or_else(|errors| panic!("{errors:?}")))
}

fn container(plan: &Plan, role: &str) -> Json {
    let task = plan.get(&format!("aws_ecs_task_definition.role[{role}]"));
    document(&task["container_definitions"])[0].clone()
}

fn variable(container: &Json, name: &str) -> Json {
    let variables = container["environment"].as_array().unwrap();
    variables
        .iter()
        .find(|variable| variable["name"] == name)
        .map_or(Json::Null, |variable| variable["value"].clone())
}

#[test]
fn each_role_is_a_service_of_one_image() {
    let plan = plan_with(&[]);
    assert_eq!(plan.all("aws_ecs_service").count(), ROLES.len());
    for role in ROLES {
        let container = container(&plan, role);
        assert_eq!(
            (&container["image"], &container["command"]),
            (&json!("registry.example/orders:1"), &json!([role]))
        );
        assert_eq!(container["readonlyRootFilesystem"], true);
        assert_eq!(variable(&container, "TABLE_NAME"), "orders");
        assert_eq!(variable(&container, "QUEUE_URL"), "aws_sqs_queue.main.url");
        assert_eq!(variable(&container, "AWS_REGION"), "eu-central-1");
        let service = plan.get(&format!("aws_ecs_service.role[{role}]"));
        assert_eq!(service["task_definition"], format!("aws_ecs_task_definition.role[{role}].arn"));
        assert_eq!(service["network_configuration"][0]["assign_public_ip"], false);
        let task = plan.get(&format!("aws_ecs_task_definition.role[{role}]"));
        assert_eq!(task["task_role_arn"], format!("aws_iam_role.task[{role}].arn"));
    }
    let all = plan_with(&[("feed", json!({})), ("webhooks", true.into())]);
    assert_eq!(all.all("aws_ecs_service").count(), ROLES.len() + 2);
    for role in ["relay", "webhook-sender"] {
        assert_eq!(variable(&container(&all, role), "OUTBOUND_TABLE"), "orders-outbound", "{role}");
    }
}

#[test]
fn the_api_checks_tokens_itself_behind_a_balancer_with_tls() {
    let plan = plan_with(&[("jwt.scope_prefix", "orders/".into())]);
    let api = container(&plan, "api");
    assert_eq!(variable(&api, "ORDERS_JWKS_URL"), "https://id.example/keys");
    assert_eq!(variable(&api, "ORDERS_JWT_ISSUER"), "https://id.example");
    assert_eq!(variable(&api, "ORDERS_JWT_SCOPE_PREFIX"), "orders/");
    assert_eq!(
        variable(&api, "ORDERS_AUTH"),
        Json::Null,
        "a load balancer passes no claims that could be trusted"
    );
    assert_eq!(variable(&api, "ORDERS_LISTEN"), "0.0.0.0:8080");
    let listener = plan.get("aws_lb_listener.https");
    assert_eq!((&listener["port"], &listener["protocol"]), (&json!(443), &json!("HTTPS")));
    let target = plan.get("aws_lb_target_group.api");
    assert_eq!((&target["port"], &target["health_check"][0]["path"]), (&json!(8080), &json!("/readyz")));
    let service = plan.get("aws_ecs_service.role[api]");
    assert_eq!(service["load_balancer"][0]["container_port"], 8080);
    assert_eq!(plan.get("aws_ecs_service.role[consumer]")["load_balancer"], Json::Null);
    let from = plan.get("aws_vpc_security_group_ingress_rule.tasks");
    assert_eq!(from["referenced_security_group_id"], "aws_security_group.balancer.id");
}

#[test]
fn each_task_has_exactly_the_permissions_that_its_code_needs() {
    for (feed, webhooks) in [(false, false), (true, false), (true, true)] {
        let mut variables = vec![("webhooks", json!(webhooks))];
        variables.extend(feed.then(|| ("feed", json!({}))));
        let plan = plan_with(&variables);
        let relay = (feed || webhooks).then_some("relay");
        let roles: Vec<_> =
            ROLES.into_iter().chain(relay).chain(webhooks.then_some("webhook-sender")).collect();
        for role in &roles {
            let mut needed = permissions::needed_of_program(role, feed, webhooks);
            let further = CONTAINER_REACHES.iter().filter(|(reaching, ..)| reaching == role);
            for (_, resource, file, functions) in further {
                let calls = calls();
                let actions: BTreeSet<_> =
                    calls.iter().filter(|call| call.is_in(file, functions)).flat_map(Call::actions).collect();
                assert!(!actions.is_empty(), "{role} makes no call in {file}");
                needed.extend(actions.into_iter().map(|action| permissions::permission(resource, action)));
            }
            let granted = permissions::granted_by(&plan, &format!("aws_iam_role_policy.task[{role}]"));
            let missing: Vec<_> = needed.difference(&granted).collect();
            let idle: Vec<_> = granted.difference(&needed).collect();
            assert!(
                missing.is_empty() && idle.is_empty(),
                "{role} lacks {missing:?}, and does not need {idle:?}"
            );
        }
        assert_eq!(
            plan.all("aws_iam_role_policy").count(),
            roles.len() + 1,
            "the tasks, and what starts them"
        );
    }
}

#[test]
fn an_alarm_watches_that_every_task_runs() {
    let plan = plan_with(&[]);
    for role in ROLES {
        let alarm = plan.get(&format!("aws_cloudwatch_metric_alarm.tasks_missing[{role}]"));
        assert_eq!(
            (&alarm["metric_name"], &alarm["comparison_operator"]),
            (&json!("RunningTaskCount"), &json!("LessThanThreshold"))
        );
        assert_eq!(alarm["treat_missing_data"], "breaching", "a task that never ran has no metric");
        assert_eq!(alarm["threshold"], plan.get(&format!("aws_ecs_service.role[{role}]"))["desired_count"]);
    }
    for (address, alarm) in plan.all("aws_cloudwatch_metric_alarm") {
        assert_eq!(alarm["alarm_actions"], json!(["aws_sns_topic.alerts.arn"]), "{address}");
    }
}
