//! Evaluates blocks. A resource becomes a map of its attributes and of lists of its nested blocks.

use std::collections::BTreeMap;

use hcl::{Block, Body};

use super::module::attribute;
use super::operators::unexpected;
use super::scope::{EvaluationScope, HclEvaluator, PlacedResource};
use crate::doctor::value::TerraformValue;

/// Blocks that control how Terraform works, not what Terraform creates.
const META: [&str; 4] = ["lifecycle", "provisioner", "connection", "timeouts"];

impl HclEvaluator {
    /// All attributes and nested blocks of a resource.
    pub(super) fn block_values(
        &self,
        body: &Body,
        scope: &EvaluationScope,
    ) -> BTreeMap<String, TerraformValue> {
        let mut values: BTreeMap<_, _> = body
            .attributes()
            .filter(|a| !["count", "for_each", "provider", "depends_on"].contains(&a.key.as_str()))
            .map(|a| (a.key.to_string(), self.evaluate(&a.expr, scope)))
            .collect();
        for block in body.blocks() {
            let kind = block.identifier.as_str();
            let name = if kind == "dynamic" { label(block) } else { kind.to_owned() };
            if META.contains(&name.as_str()) || values.contains_key(&name) {
                continue;
            }
            let found = self.nested_blocks(body, &name, scope);
            // A dynamic block that produces no block counts as absent.
            if !found.is_empty() {
                values.insert(name, TerraformValue::List(found));
            }
        }
        values
    }

    /// The nested blocks with this name, including those that a `dynamic` block produces.
    pub(super) fn nested_blocks(
        &self,
        body: &Body,
        name: &str,
        scope: &EvaluationScope,
    ) -> Vec<TerraformValue> {
        let mut found = Vec::new();
        for block in body.blocks() {
            if block.identifier.as_str() == name {
                found.push(TerraformValue::Map(self.block_values(&block.body, scope)));
            } else if block.identifier.as_str() == "dynamic" && label(block) == name {
                found.extend(self.dynamic_blocks(block, name, scope));
            }
        }
        found
    }

    fn dynamic_blocks(&self, block: &Block, name: &str, scope: &EvaluationScope) -> Vec<TerraformValue> {
        let (Some(for_each), Some(content)) = (
            attribute(&block.body, "for_each"),
            block.body.blocks().find(|block| block.identifier.as_str() == "content"),
        ) else {
            return vec![TerraformValue::unknown(format!("the dynamic block {name} is incomplete"))];
        };
        let iterator = match attribute(&block.body, "iterator") {
            Some(hcl::Expression::Variable(iterator)) => iterator.to_string(),
            _ => name.to_owned(),
        };
        let items: Vec<_> = match self.evaluate(for_each, scope) {
            TerraformValue::List(items) => {
                items.into_iter().enumerate().map(|(i, v)| (TerraformValue::Number(i as f64), v)).collect()
            }
            TerraformValue::Map(map) => {
                map.into_iter().map(|(key, value)| (TerraformValue::Text(key), value)).collect()
            }
            other => return vec![unexpected("the for_each of a dynamic block", other)],
        };
        let made = items.into_iter().map(|(key, value)| {
            let bound = TerraformValue::Map([("key".to_owned(), key), ("value".to_owned(), value)].into());
            TerraformValue::Map(self.block_values(&content.body, &scope.with(&iterator, bound)))
        });
        made.collect()
    }

    /// Builds the policy of a data source `aws_iam_policy_document` from its blocks, as a map.
    pub(super) fn policy_document(&self, placed: &PlacedResource) -> TerraformValue {
        let mut statements = Vec::new();
        for sources in ["source_policy_documents", "override_policy_documents"] {
            let Some(expression) = attribute(&placed.body, sources) else { continue };
            let TerraformValue::List(documents) = self.evaluate(expression, &placed.scope) else {
                return TerraformValue::unknown(format!(
                    "the {sources} of the policy document are not known"
                ));
            };
            for document in documents {
                match document.into_document() {
                    TerraformValue::Map(map) => statements.extend(list(map.get("Statement").cloned())),
                    other => return unexpected("a policy document", other),
                }
            }
        }
        for statement in self.nested_blocks(&placed.body, "statement", &placed.scope) {
            let TerraformValue::Map(mut blocks) = statement else {
                return unexpected("a statement", statement);
            };
            let mut part = |theirs: &str| blocks.remove(theirs);
            let mut policy = BTreeMap::new();
            policy
                .insert("Effect".to_owned(), part("effect").unwrap_or_else(|| TerraformValue::text("Allow")));
            for (theirs, ours) in [
                ("actions", "Action"),
                ("not_actions", "NotAction"),
                ("resources", "Resource"),
                ("not_resources", "NotResource"),
                ("condition", "Condition"),
                ("principals", "Principal"),
            ] {
                part(theirs).and_then(|value| policy.insert(ours.to_owned(), value));
            }
            statements.push(TerraformValue::Map(policy));
        }
        TerraformValue::Map([("Statement".to_owned(), TerraformValue::List(statements))].into())
    }
}

fn list(value: Option<TerraformValue>) -> Vec<TerraformValue> {
    match value {
        Some(TerraformValue::List(items)) => items,
        Some(single) => vec![single],
        None => Vec::new(),
    }
}

fn label(block: &Block) -> String {
    block.labels.first().map(|label| label.as_str().to_owned()).unwrap_or_default()
}
