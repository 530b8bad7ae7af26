//! What `optional(type, default)` in the type of a variable adds to its value.

use hcl::Expression;
use hcl::expr::ObjectKey;

use crate::doctor::value::Value;

/// The value with what its type says of attributes that are absent.
pub(super) fn complete(value: Value, kind: &Expression, evaluate: &dyn Fn(&Expression) -> Value) -> Value {
    let Expression::FuncCall(call) = kind else { return value };
    match (call.name.name.as_str(), call.args.as_slice(), value) {
        ("optional", [kind, ..], value) => complete(value, kind, evaluate),
        ("object", [Expression::Object(attributes)], Value::Map(mut map)) => {
            for (key, kind) in attributes {
                let key = match key {
                    ObjectKey::Identifier(name) => name.to_string(),
                    ObjectKey::Expression(Expression::Variable(name)) => name.to_string(),
                    ObjectKey::Expression(Expression::String(name)) => name.clone(),
                    _ => continue,
                };
                let given = map.remove(&key).filter(|given| *given != Value::Null);
                let value = given.or_else(|| default(kind).map(evaluate)).unwrap_or(Value::Null);
                map.insert(key, complete(value, kind, evaluate));
            }
            Value::Map(map)
        }
        ("list" | "set" | "tuple", [kind], Value::List(items)) => {
            Value::List(items.into_iter().map(|item| complete(item, kind, evaluate)).collect())
        }
        ("map", [kind], Value::Map(map)) => {
            Value::Map(map.into_iter().map(|(key, item)| (key, complete(item, kind, evaluate))).collect())
        }
        (_, _, value) => value,
    }
}

fn default(kind: &Expression) -> Option<&Expression> {
    match kind {
        Expression::FuncCall(call) if call.name.name.as_str() == "optional" => call.args.get(1),
        _ => None,
    }
}
