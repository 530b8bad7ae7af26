//! Compares every resource of the configuration with the schema of the AWS provider: the names of its arguments and blocks, what it
//! must have, and the attributes that other resources refer to. `.ci/terraform` checks that the schema is the provider's, and
//! `.ci/hcl/provider_schema.py` writes it.

use std::fs;
use std::path::Path;

use hcl::{Block, Body};
use regex::Regex;
use serde_json::Value as Json;

use super::configuration_files;

/// Arguments and blocks of Terraform itself.
const META: [&str; 7] =
    ["count", "for_each", "provider", "depends_on", "lifecycle", "timeouts", "provisioner"];

fn schema() -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/terraform/provider-schema.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn has(schema: &Json, list: &str, name: &str) -> bool {
    schema[list].as_array().is_some_and(|names| names.iter().any(|it| it == name))
}

/// The blocks in a body, each with its name. A dynamic block has the body of its content.
fn nested(body: &Body) -> Vec<(String, &Body)> {
    let blocks = body.blocks().map(|block| {
        if block.identifier() != "dynamic" {
            return (block.identifier().to_owned(), block.body());
        }
        let content = block.body().blocks().find(|inner| inner.identifier() == "content").unwrap();
        (block.labels()[0].as_str().to_owned(), content.body())
    });
    blocks.collect()
}

/// What is wrong with a block. An argument that the provider does not have is one error, however it is written.
fn errors(at: &str, body: &Body, schema: &Json) -> Vec<String> {
    let mut errors = Vec::new();
    let arguments: Vec<_> = body.attributes().map(|argument| argument.key().to_owned()).collect();
    for argument in arguments.iter().filter(|name| !META.contains(&name.as_str())) {
        if !has(schema, "arguments", argument) {
            let is_block = schema["blocks"].get(argument).is_some();
            errors
                .push(format!("{at}: {argument} {}", if is_block { "is a block" } else { "is no argument" }));
        }
    }
    let blocks = nested(body);
    for (name, inner) in blocks.iter().filter(|(name, _)| !META.contains(&name.as_str())) {
        match schema["blocks"].get(name) {
            Some(schema) => errors.extend(self::errors(&format!("{at}.{name}"), inner, schema)),
            None => errors.push(format!("{at}: {name} is no block")),
        }
    }
    for required in schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()) {
        let is_given =
            arguments.iter().any(|name| name == required) || blocks.iter().any(|(name, _)| name == required);
        // The keys of an index may also be blocks in newer releases.
        if !is_given {
            errors.push(format!("{at}: {required} is missing"));
        }
    }
    errors
}

fn resource_errors(block: &Block, schema: &Json) -> Vec<String> {
    let [kind, name] = block.labels() else { panic!("{block:?}") };
    let (kind, name) = (kind.as_str(), name.as_str());
    match schema[block.identifier()].get(kind) {
        Some(schema) => errors(&format!("{kind}.{name}"), block.body(), schema),
        None => vec![format!("{kind}: the provider has none")],
    }
}

/// The references to attributes that the provider's resources do not have.
fn dangling(text: &str, schema: &Json) -> Vec<String> {
    let reference =
        Regex::new(r"(\bdata\.)?\b(aws_[a-z0-9_]+)\.[a-z0-9_]+(?:\[[^\]]*\])?\.([a-z_0-9]+)").unwrap();
    let code = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut dangling = Vec::new();
    for found in code.flat_map(|line| reference.captures_iter(line)) {
        let kind = if found.get(1).is_some() { "data" } else { "resource" };
        let resource = &schema[kind][&found[2]];
        let is_known = ["arguments", "attributes"].iter().any(|list| has(resource, list, &found[3]))
            || resource["blocks"].get(&found[3]).is_some();
        if !is_known {
            dangling.push(found[0].to_owned());
        }
    }
    dangling
}

fn all_errors(text: &str) -> Vec<String> {
    let schema = schema();
    let body = hcl::parse(text).unwrap();
    let resources = body.blocks().filter(|block| matches!(block.identifier(), "resource" | "data"));
    resources.flat_map(|block| resource_errors(block, &schema)).chain(dangling(text, &schema)).collect()
}

#[test]
fn the_provider_has_every_resource_argument_block_and_attribute() {
    let mut count = 0;
    for path in configuration_files() {
        let text = fs::read_to_string(&path).unwrap();
        count += text.matches("\nresource \"").count();
        assert_eq!(all_errors(&text), Vec::<String>::new(), "{}", path.display());
    }
    assert!(count > 60, "{count} resources");
}

#[test]
fn the_schema_is_of_a_provider_that_the_configuration_accepts() {
    let version = schema()["provider"].as_str().unwrap().to_owned();
    let [major, minor] =
        version.split('.').take(2).map(|part| part.parse::<u32>().unwrap()).collect::<Vec<_>>()[..]
    else {
        panic!("{version}")
    };
    assert!(major == 6 && minor >= 13, "{version} is not ~> 6.13");
}

#[test]
fn a_misspelt_argument_block_or_attribute_is_found() {
    let queue = |inside: &str| format!("resource \"aws_sqs_queue\" \"main\" {{\n{inside}\n}}\n");
    let mapping = |inside: &str| {
        format!(
            "resource \"aws_lambda_event_source_mapping\" \"m\" {{\nfunction_name = \"f\"\n{inside}\n}}\n"
        )
    };
    for (text, expected) in [
        (queue("visibility_timeout = 30"), "aws_sqs_queue.main: visibility_timeout is no argument"),
        (queue("redrive_policy {}"), "aws_sqs_queue.main: redrive_policy is no block"),
        (
            mapping("scaling_config = { maximum_concurrency = 2 }"),
            "aws_lambda_event_source_mapping.m: scaling_config is a block",
        ),
        (
            mapping("dynamic \"scaling_config\" {\nfor_each = [1]\ncontent {\nmaximum = 2\n}\n}"),
            "aws_lambda_event_source_mapping.m.scaling_config: maximum is no argument",
        ),
        ("resource \"aws_sqs_queues\" \"q\" {}\n".to_owned(), "aws_sqs_queues: the provider has none"),
        ("resource \"aws_iam_role\" \"r\" {}\n".to_owned(), "aws_iam_role.r: assume_role_policy is missing"),
        ("locals {\n a = aws_sqs_queue.main[0].uri\n}\n".to_owned(), "aws_sqs_queue.main[0].uri"),
        ("locals {\n a = data.aws_region.current.regions\n}\n".to_owned(), "data.aws_region.current.regions"),
    ] {
        assert_eq!(all_errors(&text), [expected], "{text}");
    }
    let good =
        queue("name = \"q\"") + "locals {\n a = aws_sqs_queue.main.url\n b = aws_lb.api.arn_suffix\n}\n";
    assert_eq!(all_errors(&good), Vec::<String>::new());
}
