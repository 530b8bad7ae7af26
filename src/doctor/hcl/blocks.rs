//! Blocks as values: a resource is a map of its attributes, and of its nested blocks as lists.

use std::collections::BTreeMap;

use hcl::{Block, Body};

use super::evaluate::Scope;
use super::names::{Evaluator, Placed};
use super::module::attribute;
use super::operators::not_told;
use crate::doctor::value::Value;

/// Blocks that say how Terraform goes about it, not what is made.
const META: [&str; 4] = ["lifecycle", "provisioner", "connection", "timeouts"];

/// Everything that the body of a resource says.
pub(super) fn all(evaluator: &Evaluator, body: &Body, scope: &Scope) -> BTreeMap<String, Value> {
    let mut values: BTreeMap<_, _> = body
        .attributes()
        .filter(|a| !["count", "for_each", "provider", "depends_on"].contains(&a.key.as_str()))
        .map(|a| (a.key.to_string(), evaluator.evaluate(&a.expr, scope)))
        .collect();
    for block in body.blocks() {
        let kind = block.identifier.as_str();
        let name = if kind == "dynamic" { label(block) } else { kind.to_owned() };
        if META.contains(&name.as_str()) || values.contains_key(&name) {
            continue;
        }
        let found = named(evaluator, body, &name, scope);
        values.insert(name, Value::List(found));
    }
    values
}

/// The nested blocks of this name, also those that a `dynamic` block makes.
pub(super) fn named(evaluator: &Evaluator, body: &Body, name: &str, scope: &Scope) -> Vec<Value> {
    let mut found = Vec::new();
    for block in body.blocks() {
        if block.identifier.as_str() == name {
            found.push(Value::Map(all(evaluator, &block.body, scope)));
        } else if block.identifier.as_str() == "dynamic" && label(block) == name {
            found.extend(dynamic(evaluator, block, name, scope));
        }
    }
    found
}

fn label(block: &Block) -> String {
    block.labels.first().map(|label| label.as_str().to_owned()).unwrap_or_default()
}

fn dynamic(evaluator: &Evaluator, block: &Block, name: &str, scope: &Scope) -> Vec<Value> {
    let (Some(for_each), Some(content)) = (
        attribute(&block.body, "for_each"),
        block.body.blocks().find(|block| block.identifier.as_str() == "content"),
    ) else {
        return vec![Value::unknown(format!("the dynamic block {name} is incomplete"))];
    };
    let iterator = match attribute(&block.body, "iterator") {
        Some(hcl::Expression::Variable(iterator)) => iterator.to_string(),
        _ => name.to_owned(),
    };
    let items: Vec<_> = match evaluator.evaluate(for_each, scope) {
        Value::List(items) => {
            items.into_iter().enumerate().map(|(i, v)| (Value::Number(i as f64), v)).collect()
        }
        Value::Map(map) => map.into_iter().map(|(key, value)| (Value::Text(key), value)).collect(),
        other => return vec![not_told("what a dynamic block goes through", other)],
    };
    let made = items.into_iter().map(|(key, value)| {
        let bound = Value::Map([("key".to_owned(), key), ("value".to_owned(), value)].into());
        Value::Map(all(evaluator, &content.body, &scope.with(&iterator, bound)))
    });
    made.collect()
}

impl Evaluator {
    /// What `data.aws_iam_policy_document` makes of its blocks: a policy, as JSON would state it.
    pub(super) fn policy_document(&self, placed: &Placed) -> Value {
        let mut statements = Vec::new();
        for sources in ["source_policy_documents", "override_policy_documents"] {
            let Some(expression) = attribute(&placed.body, sources) else { continue };
            let Value::List(documents) = self.evaluate(expression, &placed.scope) else {
                return Value::unknown(format!("its {sources} cannot be told"));
            };
            for document in documents {
                match document.into_document() {
                    Value::Map(map) => statements.extend(list(map.get("Statement").cloned())),
                    other => return not_told("a policy document", other),
                }
            }
        }
        for statement in named(self, &placed.body, "statement", &placed.scope) {
            let Value::Map(mut blocks) = statement else { return not_told("a statement", statement) };
            let mut part = |theirs: &str| blocks.remove(theirs);
            let mut policy = BTreeMap::new();
            policy.insert("Effect".to_owned(), part("effect").unwrap_or_else(|| Value::text("Allow")));
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
            statements.push(Value::Map(policy));
        }
        Value::Map([("Statement".to_owned(), Value::List(statements))].into())
    }
}

fn list(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::List(items)) => items,
        Some(single) => vec![single],
        None => Vec::new(),
    }
}
