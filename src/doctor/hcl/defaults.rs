//! Completes the value of a variable with the defaults that `optional(type, default)` in its type declares.

use hcl::Expression;
use hcl::expr::ObjectKey;

use crate::doctor::value::TerraformValue;

/// Returns the value with the default of each absent attribute filled in.
pub(super) fn complete(
    value: TerraformValue,
    kind: &Expression,
    evaluate: &dyn Fn(&Expression) -> TerraformValue,
) -> TerraformValue {
    let Expression::FuncCall(call) = kind else { return value };
    match (call.name.name.as_str(), call.args.as_slice(), value) {
        ("optional", [kind, ..], value) => complete(value, kind, evaluate),
        ("object", [Expression::Object(attributes)], TerraformValue::Map(mut map)) => {
            for (key, kind) in attributes {
                let key = match key {
                    ObjectKey::Identifier(name) => name.to_string(),
                    ObjectKey::Expression(Expression::Variable(name)) => name.to_string(),
                    ObjectKey::Expression(Expression::String(name)) => name.clone(),
                    _ => continue,
                };
                let given = map.remove(&key).filter(|given| *given != TerraformValue::Null);
                let value = given.or_else(|| default(kind).map(evaluate)).unwrap_or(TerraformValue::Null);
                map.insert(key, complete(value, kind, evaluate));
            }
            TerraformValue::Map(map)
        }
        ("list" | "set" | "tuple", [kind], TerraformValue::List(items)) => {
            TerraformValue::List(items.into_iter().map(|item| complete(item, kind, evaluate)).collect())
        }
        ("map", [kind], TerraformValue::Map(map)) => TerraformValue::Map(
            map.into_iter().map(|(key, item)| (key, complete(item, kind, evaluate))).collect(),
        ),
        (_, _, value) => value,
    }
}

fn default(kind: &Expression) -> Option<&Expression> {
    match kind {
        Expression::FuncCall(call) if call.name.name.as_str() == "optional" => call.args.get(1),
        _ => None,
    }
}
