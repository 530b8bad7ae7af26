//! Tests the descriptions of variables and outputs, and the versions that the configuration requires.

use std::fs;

use hcl::eval::{Context, Evaluate};

use super::module::{Module, argument};
use super::{FOLDERS, folder, orders};

/// A text argument of a block.
pub(super) fn text(block: &hcl::Block, name: &str) -> Option<String> {
    argument(block.body(), name)?.evaluate(&Context::new()).ok()?.as_str().map(str::to_owned)
}

#[test]
fn every_variable_and_output_is_described_and_typed() {
    for name in FOLDERS {
        let module = Module::read(&folder().join(name));
        for kind in ["variable", "output"] {
            for (name, block) in module.blocks(kind) {
                let description = text(block, "description").unwrap_or_default();
                assert!(description.trim_end().ends_with(['.', '!']), "{kind} {name}: {description:?}");
                assert!(kind == "output" || argument(block.body(), "type").is_some(), "{name} has no type");
            }
        }
    }
}

#[test]
fn every_attribute_of_a_variable_is_described() {
    for name in ["modules/orders", "modules/containers"] {
        let module = Module::read(&folder().join(name));
        for (name, block) in module.blocks("variable") {
            let Some(hcl::Expression::FuncCall(call)) = argument(block.body(), "type") else { continue };
            let [hcl::Expression::Object(attributes)] = call.args.as_slice() else { continue };
            let description = text(block, "description").unwrap();
            // The only attribute of an output of another module needs no list.
            let is_list = attributes.len() > 1;
            for attribute in attributes.keys().map(ToString::to_string).filter(|_| is_list) {
                let is_role = name == "tasks" && description.contains("of each role");
                assert!(is_role || description.contains(&format!("`{attribute}`:")), "{name}.{attribute}");
            }
        }
    }
}

#[test]
fn the_filter_warns_that_it_deletes() {
    let module = orders();
    let (_, consumer) = module.blocks("variable").find(|(name, _)| *name == "consumer").unwrap();
    let description = text(consumer, "description").unwrap();
    let filter = description.lines().find(|line| line.starts_with("`delete_all_but_event_types`")).unwrap();
    assert!(filter.contains(": DANGER") && filter.contains("DELETED"), "{filter}");
    let mapping = super::plan();
    let mapping = mapping.get("aws_lambda_event_source_mapping.consumer");
    assert_eq!(mapping["filter_criteria"], serde_json::Value::Null, "off by default");
}

#[test]
fn the_required_versions_support_every_argument() {
    for name in FOLDERS {
        let versions = folder().join(name).join("versions.tf");
        let body = hcl::parse(&fs::read_to_string(&versions).unwrap()).unwrap();
        let terraform = body.blocks().next().unwrap();
        assert_eq!(text(terraform, "required_version").unwrap(), ">= 1.9");
        let providers = terraform.body().blocks().next().unwrap();
        let aws = argument(providers.body(), "aws").unwrap().evaluate(&Context::new()).unwrap();
        let expected = serde_json::json!({ "source": "hashicorp/aws", "version": "~> 6.13" });
        assert_eq!(serde_json::to_value(&aws).unwrap(), expected, "{}", versions.display());
    }
}
