//! What operators make of values, known or not.

use hcl::expr::BinaryOperator;

use crate::doctor::value::Value;

/// `value`, which should have been `what` and known.
pub(super) fn not_told(what: &str, value: Value) -> Value {
    match value {
        Value::Unknown(unknown) => Value::Unknown(unknown),
        other => Value::unknown(format!("{what} is {other}")),
    }
}

/// Texts that are numbers or truths count as such where one is needed, as in Terraform.
pub(super) fn number_of(value: Value) -> Value {
    match &value {
        Value::Text(text) => match (text.parse(), text.as_str()) {
            (Ok(number), _) => Value::Number(number),
            (_, "true") => Value::Bool(true),
            (_, "false") => Value::Bool(false),
            _ => value,
        },
        _ => value,
    }
}

pub(super) fn equal(left: &Value, right: &Value) -> Value {
    match (left, right) {
        (unknown @ Value::Unknown(_), _) | (_, unknown @ Value::Unknown(_)) => unknown.clone(),
        // What a resource will be called is not known, but it will be called something.
        (symbol, Value::Null) | (Value::Null, symbol) if symbol.is_symbolic() => Value::Bool(false),
        (left, right) if left == right => Value::Bool(true),
        (left, right) if left.is_symbolic() || right.is_symbolic() => {
            Value::unknown(format!("whether {left} is {right} shows when it is applied"))
        }
        _ => Value::Bool(false),
    }
}

pub(super) fn arithmetic(operator: BinaryOperator, left: Value, right: Value) -> Value {
    use BinaryOperator as Op;
    match (operator, number_of(left), number_of(right)) {
        (_, unknown @ Value::Unknown(_), _) | (_, _, unknown @ Value::Unknown(_)) => unknown,
        (Op::And | Op::Or, Value::Bool(_), Value::Bool(right)) => Value::Bool(right),
        (operator, Value::Number(left), Value::Number(right)) => match operator {
            Op::Plus => Value::Number(left + right),
            Op::Minus => Value::Number(left - right),
            Op::Mul => Value::Number(left * right),
            Op::Div if right != 0.0 => Value::Number(left / right),
            Op::Mod if right != 0.0 => Value::Number(left % right),
            Op::Less => Value::Bool(left < right),
            Op::LessEq => Value::Bool(left <= right),
            Op::Greater => Value::Bool(left > right),
            Op::GreaterEq => Value::Bool(left >= right),
            _ => Value::unknown(format!("{left} {operator} {right} makes no sense")),
        },
        (operator, left, right) => Value::unknown(format!("{left} {operator} {right} makes no sense")),
    }
}
