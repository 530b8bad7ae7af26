//! Tests the documentation of the deployment: the descriptions of variables and outputs, and the README.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use hcl::Value;
use hcl::eval::{Context, Evaluate};

use super::module::{Module, argument};
use super::{folder, orders, required};

fn example() -> Module {
    Module::read(&folder())
}

fn text(block: &hcl::Block, name: &str) -> Option<String> {
    argument(block.body(), name)?.evaluate(&Context::new()).ok()?.as_str().map(str::to_owned)
}

/// The names in the first column of the table below a heading.
fn listed(readme: &str, heading: &str) -> BTreeSet<String> {
    let (_, section) =
        readme.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading:?}"));
    let section = section.split("\n#").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn every_variable_and_output_is_described_and_typed() {
    for module in [&example(), orders()] {
        for kind in ["variable", "output"] {
            for (name, block) in module.blocks(kind) {
                let description = text(block, "description").unwrap_or_default();
                assert!(description.ends_with(['.', '!']), "{kind} {name}: {description:?}");
                assert!(kind == "output" || argument(block.body(), "type").is_some(), "{name} has no type");
            }
        }
    }
}

#[test]
fn the_readme_lists_every_variable_and_output() {
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    let names = |module: &Module, kind| -> BTreeSet<String> {
        module.blocks(kind).map(|(name, _)| name.to_owned()).collect()
    };
    // The example passes all of its variables to the module, except these two.
    let own: BTreeSet<_> = ["region", "emulator_url"].map(str::to_owned).into();
    assert_eq!(listed(&readme, "### Of the example"), own);
    assert_eq!(listed(&readme, "### Of the module"), names(orders(), "variable"));
    assert_eq!(listed(&readme, "## Outputs"), names(orders(), "output"));
    let passed_on: BTreeSet<_> = names(&example(), "variable").difference(&own).cloned().collect();
    assert!(passed_on.is_subset(&names(orders(), "variable")), "{passed_on:?}");
    assert!(names(&example(), "output").is_subset(&names(orders(), "output")));
}

#[test]
fn the_readme_contains_the_descriptions_and_defaults() {
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    for (name, block) in orders().blocks("variable").chain(orders().blocks("output")) {
        let row = format!("| `{name}` | {} |", text(block, "description").unwrap());
        assert!(readme.contains(&row), "{row}");
    }
    for (name, block) in orders().blocks("variable") {
        let Some(default) = argument(block.body(), "default") else { continue };
        let default = default.evaluate(&Context::new()).unwrap();
        let shown = match &default {
            Value::Array(_) | Value::Object(_) => "none".to_owned(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{}`", serde_json::to_value(other).unwrap()),
        };
        let row = readme.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).unwrap();
        assert!(row.ends_with(&format!("| {shown} |")), "{row}");
    }
}

#[test]
fn the_filter_warns_that_it_deletes() {
    let module = orders();
    let (_, filter) =
        module.blocks("variable").find(|(name, _)| *name == "delete_all_but_event_types").unwrap();
    let description = text(filter, "description").unwrap();
    assert!(description.starts_with("DANGER") && description.contains("DELETED"), "{description}");
    let default = argument(filter.body(), "default").unwrap().evaluate(&Context::new()).unwrap();
    assert_eq!(default, Value::Array(Vec::new()), "off by default");
}

#[test]
fn the_example_makes_what_the_module_makes() {
    let zip = "../../target/lambda/orders/bootstrap.zip";
    let given: Vec<_> = required().into_iter().filter(|(name, _)| *name != "package").collect();
    let plan = example().plan(&given).unwrap();
    let api = plan.get("module.orders.aws_lambda_function.function[api]");
    assert_eq!(api["filename"], zip, "the default is the package that scripts/package-lambda.sh creates");
    assert_eq!(api["tags"], serde_json::json!({ "service": "orders" }));
    let addresses: Vec<_> =
        super::plan().addresses().iter().map(|address| format!("module.orders.{address}")).collect();
    assert_eq!(plan.addresses(), addresses);

    let errors = example().plan(&[]).err().unwrap();
    assert_eq!(errors, ["no value for jwt_audience", "no value for jwt_issuer"].map(str::to_owned).to_vec());
    for region in ["eu-central-1", "eusc-de-east-1", "us-gov-west-1", "cn-north-1", "us-isob-east-1"] {
        let given: Vec<_> = given.iter().cloned().chain([("region", region.into())]).collect();
        assert!(example().plan(&given).is_ok(), "{region}");
    }
    let nowhere: Vec<_> = given.iter().cloned().chain([("region", "Frankfurt".into())]).collect();
    assert!(example().plan(&nowhere).err().unwrap()[0].starts_with("region must be"));
    let path = [("emulator_url", "http://127.0.0.1:4566/x".into())];
    let given: Vec<_> = given.into_iter().chain(path).collect();
    assert!(example().plan(&given).err().unwrap()[0].starts_with("emulator_url must be"));
}

#[test]
fn the_required_versions_support_every_argument() {
    for folder in [folder(), folder().join("modules/orders")] {
        let versions: PathBuf = folder.join("versions.tf");
        let body = hcl::parse(&fs::read_to_string(&versions).unwrap()).unwrap();
        let terraform = body.blocks().next().unwrap();
        assert_eq!(text(terraform, "required_version").unwrap(), ">= 1.9");
        let providers = terraform.body().blocks().next().unwrap();
        let aws = argument(providers.body(), "aws").unwrap().evaluate(&Context::new()).unwrap();
        let aws = serde_json::to_value(&aws).unwrap();
        assert_eq!(
            aws,
            serde_json::json!({ "source": "hashicorp/aws", "version": "~> 6.8" }),
            "{}",
            versions.display()
        );
    }
}
