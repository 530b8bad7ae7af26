//! Generates the tables of inputs and outputs in the READMEs of modules and examples, as terraform-docs writes them (`markdown
//! table`, without anchors), and compares them with what is checked in. terraform-docs itself is on no package registry.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use hcl::Block;
use hcl::eval::{Context, Evaluate};

use super::descriptions::text;
use super::module::{Module, argument, files};
use super::{FOLDERS, folder};

const BEGIN: &str = "<!-- BEGIN_TF_DOCS -->\n";
const END: &str = "<!-- END_TF_DOCS -->\n";

/// The source of an argument of each variable, such as its type, by the variable's name. The parser does not keep the layout.
fn sources(name: &str, wanted: &str) -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    for file in files(&folder().join(name)) {
        let (mut variable, mut open) = (None::<String>, None::<(String, i32)>);
        for line in fs::read_to_string(file).unwrap().lines() {
            let depth = |text: &str| {
                text.chars().map(|c| i32::from("([{".contains(c)) - i32::from(")]}".contains(c))).sum::<i32>()
            };
            if let Some(rest) = line.strip_prefix("variable \"") {
                variable = rest.split('"').next().map(str::to_owned);
            } else if let Some((source, level)) = &mut open {
                source.push('\n');
                source.push_str(line);
                *level += depth(line);
            } else if let Some((key, value)) = line.strip_prefix("  ").and_then(|line| line.split_once('='))
                && key.trim_end() == wanted
                && !line.starts_with("   ")
            {
                open = Some((value.trim_start().to_owned(), depth(value)));
            }
            if let Some((source, _)) = open.take_if(|(_, level)| *level == 0) {
                sources.insert(variable.clone().unwrap(), source);
            }
        }
    }
    sources
}

/// A value in a cell of a table: on one line in backticks, on several lines preformatted.
fn code(source: &str) -> String {
    if source.contains('\n') {
        format!("<pre>{}</pre>", source.replace('\n', "<br/>"))
    } else {
        format!("`{source}`")
    }
}

fn description(block: &Block) -> String {
    text(block, "description").unwrap().trim_end().replace('|', "\\|").replace('\n', "<br/>")
}

fn version(block: &Block, module: &str) -> String {
    text(block, "required_version").unwrap_or_else(|| panic!("{module} requires no version"))
}

/// The tables of one folder.
fn tables(name: &str) -> String {
    let module = Module::read(&folder().join(name));
    let mut page = String::new();
    let (_, terraform) = module.blocks("terraform").next().unwrap();
    let providers = terraform.body().blocks().next().unwrap();
    let aws = argument(providers.body(), "aws").unwrap().evaluate(&Context::new()).unwrap();
    let aws = aws.as_object().unwrap()["version"].as_str().unwrap().to_owned();
    let required = version(terraform, name);
    page += "## Requirements\n\n| Name | Version |\n| ---- | ------- |\n";
    writeln!(page, "| terraform | {required} |\n| aws | {aws} |").unwrap();

    let mut calls: Vec<_> = module.blocks("module").collect();
    calls.sort_by_key(|(name, _)| *name);
    if !calls.is_empty() {
        page += "\n## Modules\n\n| Name | Source | Version |\n| ---- | ------ | ------- |\n";
        for (name, block) in calls {
            writeln!(page, "| {name} | {} | n/a |", text(block, "source").unwrap()).unwrap();
        }
    }

    let (types, defaults) = (sources(name, "type"), sources(name, "default"));
    page += "\n## Inputs\n\n| Name | Description | Type | Default | Required |\n| ---- | ----------- | ---- | ------- | :------: |\n";
    let mut variables: Vec<_> = module.blocks("variable").collect();
    variables.sort_by_key(|(name, _)| *name);
    for (name, block) in variables {
        let default = defaults.get(name).map_or_else(|| "n/a".to_owned(), |default| code(default));
        let required = if defaults.contains_key(name) { "no" } else { "yes" };
        writeln!(
            page,
            "| {name} | {} | {} | {default} | {required} |",
            description(block),
            code(&types[name])
        )
        .unwrap();
    }

    page += "\n## Outputs\n\n| Name | Description |\n| ---- | ----------- |\n";
    let mut outputs: Vec<_> = module.blocks("output").collect();
    outputs.sort_by_key(|(name, _)| *name);
    for (name, block) in outputs {
        writeln!(page, "| {name} | {} |", description(block)).unwrap();
    }
    page
}

#[test]
fn the_readmes_have_the_inputs_and_outputs() {
    for name in FOLDERS {
        let path = folder().join(name).join("README.md");
        let readme = fs::read_to_string(&path).unwrap();
        let (before, rest) =
            readme.split_once(BEGIN).unwrap_or_else(|| panic!("{} has no {BEGIN}", path.display()));
        let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("{} has no {END}", path.display()));
        let generated = format!("{before}{BEGIN}{}{END}{after}", tables(name));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, &generated).unwrap();
            continue;
        }
        let renew = "renew it: UPDATE_DOCS=1 cargo test --all-features --test it terraform::readmes";
        assert!(generated == readme, "{} is stale; {renew}", path.display());
    }
}

#[test]
fn types_and_defaults_are_shown_as_they_are_written() {
    let (types, defaults) = (sources("modules/orders", "type"), sources("modules/orders", "default"));
    assert_eq!((types["name"].as_str(), defaults["name"].as_str()), ("string", "\"orders\""));
    assert_eq!(
        types["queue"],
        "object({\n    fifo              = optional(bool, true)\n    fair              = optional(bool, true)\n    \
         max_receive_count = optional(number, 5)\n  })"
    );
    assert_eq!((defaults.get("jwt"), defaults["feed"].as_str()), (None, "null"));
}
