//! Tests the three examples: what each makes, and that it passes its variables on.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::folder;
use super::module::{Module, Plan};

fn example(name: &str) -> Module {
    Module::read(&folder().join("examples").join(name))
}

/// Values for the variables of an example that have no default.
fn required(name: &str) -> Vec<(&'static str, Json)> {
    let issuer = ("jwt_issuer", json!("https://id.example"));
    if name != "containers" {
        return vec![issuer, ("jwt_audience", json!(["orders"]))];
    }
    vec![
        issuer,
        ("jwt_audience", "orders".into()),
        ("jwks_url", "https://id.example/keys".into()),
        ("image", "registry.example/orders:1".into()),
        ("vpc_id", "vpc-1".into()),
        ("public_subnet_ids", json!(["subnet-1", "subnet-2"])),
        ("private_subnet_ids", json!(["subnet-3"])),
        ("certificate_arn", "arn:aws-eusc:acm:eusc-de-east-1:123456789012:certificate/1".into()),
    ]
}

fn plan(name: &str) -> Plan {
    example(name).plan(&required(name)).unwrap_or_else(|errors| panic!("{name}: {errors:?}"))
}

#[test]
fn the_first_example_makes_what_the_module_makes_by_default() {
    let plan = plan("functions");
    let api = plan.get("module.orders.aws_lambda_function.function[api]");
    let zip = "../../../../target/lambda/orders/bootstrap.zip";
    assert_eq!(api["filename"], zip, "the default is the package that scripts/package-lambda.sh creates");
    assert_eq!(api["tags"], json!({ "service": "orders" }));
    let addresses: Vec<_> =
        super::plan().addresses().iter().map(|address| format!("module.orders.{address}")).collect();
    assert_eq!(plan.addresses(), addresses);
    for (address, function) in
        plan.all("module").filter(|(address, _)| address.contains("aws_lambda_function."))
    {
        assert_eq!(
            function["reserved_concurrent_executions"], -1,
            "{address}: a new account cannot reserve any"
        );
    }
}

#[test]
fn the_busy_example_reserves_provisions_and_warms() {
    let plan = plan("functions-busy");
    let reserved = |role: &str| {
        plan.get(&format!("module.orders.aws_lambda_function.function[{role}]"))["reserved_concurrent_executions"]
            .as_u64()
            .unwrap()
    };
    assert_eq!([reserved("api"), reserved("consumer"), reserved("dead-letters")], [200, 200, 5]);
    let mapping = plan.get("module.orders.aws_lambda_event_source_mapping.consumer");
    let pollers = &mapping["provisioned_poller_config"][0];
    assert!(10 * pollers["maximum_pollers"].as_u64().unwrap() <= reserved("consumer"));
    assert_eq!(mapping["scaling_config"], Json::Null);
    let table = plan.get("module.orders.aws_dynamodb_table.orders");
    assert_eq!(table["warm_throughput"][0]["write_units_per_second"], 10_000);
    assert_eq!(
        plan.get("module.orders.aws_lambda_event_source_mapping.relay[0]")["maximum_batching_window_in_seconds"],
        2
    );
}

#[test]
fn the_examples_pass_on_all_their_variables() {
    let references = regex::Regex::new(r"\bvar\.([a-z_0-9]+)").unwrap();
    for name in ["functions", "functions-busy", "containers"] {
        let example = example(name);
        let mut used: BTreeSet<String> = BTreeSet::new();
        let main = std::fs::read_to_string(folder().join("examples").join(name).join("main.tf")).unwrap();
        used.extend(references.captures_iter(&main).map(|found| found[1].to_owned()));
        let declared: BTreeSet<_> = example.blocks("variable").map(|(name, _)| name.to_owned()).collect();
        assert_eq!(used, declared, "{name}");
        let needed: BTreeSet<_> =
            required(name).into_iter().map(|(name, _)| format!("no value for {name}")).collect();
        let mut errors: BTreeSet<_> = example.plan(&[]).err().unwrap().into_iter().collect();
        // Validations of what is missing are unknown, and not refused.
        errors.retain(|error| error.starts_with("no value for "));
        assert_eq!(errors, needed, "{name}");
    }
}

#[test]
fn every_region_is_accepted() {
    let with = |name: &str, region: &str| {
        let given: Vec<_> = required(name).into_iter().chain([("region", region.into())]).collect();
        example(name).plan(&given)
    };
    for region in ["eu-central-1", "eusc-de-east-1", "us-gov-west-1", "cn-north-1", "us-isob-east-1"] {
        assert!(with("functions", region).is_ok(), "{region}");
    }
    for name in ["functions-busy", "containers"] {
        assert!(with(name, "eusc-de-east-1").is_ok(), "{name}");
        assert!(with(name, "Frankfurt").err().unwrap()[0].starts_with("region must be"), "{name}");
    }
    let path = required("functions").into_iter().chain([("emulator_url", "http://127.0.0.1:4566/x".into())]);
    let errors = example("functions").plan(&path.collect::<Vec<_>>()).err().unwrap();
    assert!(errors[0].starts_with("emulator_url must be"));
}

/// A deployment of an earlier release keeps its resources when it is upgraded: what was declared in `modules/orders` and is now in
/// `modules/data` has a `moved` block.
#[test]
fn resources_that_moved_keep_their_state() {
    let data = Module::read(&folder().join("modules/data"));
    let moved: BTreeSet<_> = super::orders()
        .blocks("moved")
        .map(|(_, block)| {
            let place = |name: &str| {
                super::module::argument(block.body(), name)
                    .unwrap()
                    .to_string()
                    .replace(['"', '$', '{', '}'], "")
            };
            (place("from"), place("to"))
        })
        .collect();
    let mut expected = BTreeSet::new();
    for (kind, block) in data.blocks("resource") {
        let address = format!("{kind}.{}", block.labels()[1].as_str());
        expected.insert((address.clone(), format!("module.data.{address}")));
    }
    assert_eq!(moved, expected);
}
