//! Reads the JSON of a Terraform plan or state, which `terraform show -json` writes
//! (<https://developer.hashicorp.com/terraform/internals/json-format>). `doctor::read` calls it.
//!
//! A value that is known only after apply is unknown here too. But a plan also contains the configuration, which shows
//! the resources that the value depends on. So the reader still knows which resource refers to which.

use std::collections::BTreeSet;

use anyhow::{Context, bail};
use serde_json::Value as Json;

use super::resources::{TerraformResource, TerraformResources};
use super::value::{TerraformValue, UnknownValue};

const AFTER_APPLY: &str = "the value is known only after apply";

/// The resources of a plan or state.
pub(super) fn read(json: &Json) -> anyhow::Result<TerraformResources> {
    let version = json["format_version"]
        .as_str()
        .context("the JSON has no format_version, so it is not the output of `terraform show -json`")?;
    if !version.starts_with("1.") && !version.starts_with("0.") {
        bail!("the format_version is {version}, but only version 1 is supported");
    }
    let values = json.get("planned_values").or_else(|| json.get("values"));
    let root = values.and_then(|values| values.get("root_module"));
    let root =
        root.context("the JSON has no root_module in planned_values or values: it contains no resources")?;
    let mut reader =
        PlanReader { plan: json, addresses: BTreeSet::new(), found: TerraformResources::default() };
    reader.collect(root);
    reader.module(root, "", &json["configuration"]["root_module"], &[]);
    Ok(reader.found)
}

struct PlanReader<'a> {
    plan: &'a Json,
    addresses: BTreeSet<String>,
    found: TerraformResources,
}

/// The path to a module of the configuration, from the root through each nested module. Each step has its address
/// prefix and its JSON.
type ModuleChain<'a> = [(String, &'a Json)];

fn items<'a>(json: &'a Json, name: &str) -> impl Iterator<Item = &'a Json> {
    json[name].as_array().into_iter().flatten()
}

impl<'a> PlanReader<'a> {
    fn collect(&mut self, module: &Json) {
        let addresses = items(module, "resources").filter_map(|resource| resource["address"].as_str());
        self.addresses.extend(addresses.map(str::to_owned));
        items(module, "child_modules").for_each(|child| self.collect(child));
    }

    fn module(&mut self, module: &'a Json, prefix: &str, configuration: &'a Json, users: &ModuleChain<'a>) {
        let mut chain = users.to_vec();
        chain.push((prefix.to_owned(), configuration));
        for resource in items(module, "resources").filter(|resource| resource["mode"] != "data") {
            let (Some(address), Some(kind)) = (resource["address"].as_str(), resource["type"].as_str())
            else {
                continue;
            };
            let declared = items(configuration, "resources").find(|declared| {
                declared["type"] == resource["type"] && declared["name"] == resource["name"]
            });
            let change = items(self.plan, "resource_changes").find(|change| change["address"] == *address);
            let unknown = change.map_or(&Json::Null, |change| &change["change"]["after_unknown"]);
            let expressions = declared.map_or(&Json::Null, |declared| &declared["expressions"]);
            let own_key =
                address.rfind('[').filter(|_| address.ends_with(']')).map_or("", |at| &address[at..]);
            let place = ExpressionPlace { chain: &chain, own_key };
            let value = self.overlay(&resource["values"], unknown, expressions, &place);
            let TerraformValue::Map(values) = value else { continue };
            self.found.resources.push(TerraformResource {
                address: address.to_owned(),
                kind: kind.to_owned(),
                values,
            });
        }
        for child in items(module, "child_modules") {
            let Some(address) = child["address"].as_str() else { continue };
            let last = &address[prefix.len()..];
            let name = last.trim_start_matches("module.").split('[').next().unwrap_or_default();
            let declared = &configuration["module_calls"][name]["module"];
            self.module(child, &format!("{address}."), declared, &chain);
        }
    }

    /// A value of the plan. Its unknown parts are marked.
    fn overlay(
        &self,
        value: &Json,
        unknown: &Json,
        expression: &Json,
        place: &ExpressionPlace<'_>,
    ) -> TerraformValue {
        match (value, unknown) {
            // The configuration does not set this attribute, so the provider will use its default.
            (_, Json::Bool(true)) if expression.is_null() => TerraformValue::Null,
            (_, Json::Bool(true)) => {
                let mut refers: Vec<String> = self.references(expression, place.chain, place.own_key);
                refers.sort();
                refers.dedup();
                let all = refers.clone();
                // Terraform lists a reference to an attribute twice: as the attribute, and as its resource. Only the
                // attribute is kept.
                refers.retain(|one| {
                    !all.iter().any(|other| other.len() > one.len() && other.starts_with(one.as_str()))
                });
                TerraformValue::Unknown(UnknownValue {
                    why: AFTER_APPLY.to_owned(),
                    refers,
                    is_missing: false,
                })
            }
            (Json::Object(_) | Json::Null, Json::Object(unknown)) => {
                let empty = serde_json::Map::new();
                let values = value.as_object().unwrap_or(&empty);
                let keys: BTreeSet<_> = values.keys().chain(unknown.keys()).collect();
                let inner = |key: &String| {
                    let stated = if expression.get("references").is_some() {
                        expression
                    } else {
                        &expression[key.as_str()]
                    };
                    let value = values.get(key).unwrap_or(&Json::Null);
                    self.overlay(value, unknown.get(key).unwrap_or(&Json::Null), stated, place)
                };
                TerraformValue::Map(keys.into_iter().map(|key| (key.clone(), inner(key))).collect())
            }
            (Json::Array(_) | Json::Null, Json::Array(unknown)) => {
                let empty = Vec::new();
                let values = value.as_array().unwrap_or(&empty);
                let inner = |at: usize| {
                    let stated = if expression.is_array() { &expression[at] } else { expression };
                    let value = values.get(at).unwrap_or(&Json::Null);
                    self.overlay(value, unknown.get(at).unwrap_or(&Json::Null), stated, place)
                };
                TerraformValue::List((0..values.len().max(unknown.len())).map(inner).collect())
            }
            (value, _) => TerraformValue::of_json(value),
        }
    }

    /// The addresses that an expression refers to, in the module at the end of `chain`.
    fn references(&self, expression: &Json, chain: &ModuleChain<'_>, own_key: &str) -> Vec<String> {
        let Some((prefix, module)) = chain.last() else { return Vec::new() };
        let mut found = Vec::new();
        for reference in items(expression, "references").filter_map(Json::as_str) {
            let parts: Vec<_> = reference.split('.').collect();
            match parts.as_slice() {
                ["var", name, ..] if chain.len() > 1 => {
                    let users = &chain[..chain.len() - 1];
                    let called = prefix.trim_end_matches('.').rsplit("module.").next().unwrap_or_default();
                    let called = called.split('[').next().unwrap_or_default();
                    let user = users.last().map_or(&Json::Null, |(_, user)| user);
                    let given = &user["module_calls"][called]["expressions"][*name];
                    found.extend(self.references(given, users, ""));
                }
                ["module", name, output, ..] => {
                    let bare = name.split('[').next().unwrap_or_default();
                    let child = &module["module_calls"][bare]["module"];
                    let output = output.split('[').next().unwrap_or_default();
                    let mut inside = chain.to_vec();
                    inside.push((format!("{prefix}module.{name}."), child));
                    found.extend(self.references(&child["outputs"][output]["expression"], &inside, ""));
                }
                ["module", _] | ["each" | "count" | "path" | "terraform", ..] => {}
                ["var" | "local" | "data", ..] => found.push(reference.to_owned()),
                [kind, name, ..]
                    if !name.contains('[')
                        && self.addresses.contains(&format!("{prefix}{kind}.{name}{own_key}")) =>
                {
                    let rest = &reference[kind.len() + name.len() + 1..];
                    found.push(format!("{prefix}{kind}.{name}{own_key}{rest}"));
                }
                _ => found.push(format!("{prefix}{reference}")),
            }
        }
        found
    }
}

/// The module and the instance that an expression belongs to.
struct ExpressionPlace<'a> {
    chain: &'a ModuleChain<'a>,
    /// The `each.key` or `count.index` of the instance, in brackets.
    own_key: &'a str,
}
