//! Applies operators to values, known or unknown.

use hcl::expr::BinaryOperator;

use crate::doctor::value::TerraformValue;

/// Replaces a value of the wrong type with an unknown value. `what` describes where the value was used. A value that is
/// already unknown is returned unchanged.
pub(super) fn unexpected(what: &str, value: TerraformValue) -> TerraformValue {
    match value {
        TerraformValue::Unknown(unknown) => TerraformValue::Unknown(unknown),
        other => TerraformValue::unknown(format!("{what} is {other}")),
    }
}

/// Converts a text to the number or boolean that it contains. Terraform does the same where a number or boolean is
/// needed.
pub(super) fn number_of(value: TerraformValue) -> TerraformValue {
    match &value {
        TerraformValue::Text(text) => match (text.parse(), text.as_str()) {
            (Ok(number), _) => TerraformValue::Number(number),
            (_, "true") => TerraformValue::Bool(true),
            (_, "false") => TerraformValue::Bool(false),
            _ => value,
        },
        _ => value,
    }
}

pub(super) fn equal(left: &TerraformValue, right: &TerraformValue) -> TerraformValue {
    match (left, right) {
        (unknown @ TerraformValue::Unknown(_), _) | (_, unknown @ TerraformValue::Unknown(_)) => {
            unknown.clone()
        }
        // An attribute that exists only after apply is never null, although its value is unknown.
        (symbol, TerraformValue::Null) | (TerraformValue::Null, symbol) if symbol.is_symbolic() => {
            TerraformValue::Bool(false)
        }
        (left, right) if left == right => TerraformValue::Bool(true),
        (left, right) if left.is_symbolic() || right.is_symbolic() => {
            TerraformValue::unknown(format!("whether {left} equals {right} is known only after apply"))
        }
        _ => TerraformValue::Bool(false),
    }
}

pub(super) fn arithmetic(
    operator: BinaryOperator,
    left: TerraformValue,
    right: TerraformValue,
) -> TerraformValue {
    use BinaryOperator as Op;
    match (operator, number_of(left), number_of(right)) {
        (_, unknown @ TerraformValue::Unknown(_), _) | (_, _, unknown @ TerraformValue::Unknown(_)) => {
            unknown
        }
        (Op::And | Op::Or, TerraformValue::Bool(_), TerraformValue::Bool(right)) => {
            TerraformValue::Bool(right)
        }
        (operator, TerraformValue::Number(left), TerraformValue::Number(right)) => match operator {
            Op::Plus => TerraformValue::Number(left + right),
            Op::Minus => TerraformValue::Number(left - right),
            Op::Mul => TerraformValue::Number(left * right),
            Op::Div if right != 0.0 => TerraformValue::Number(left / right),
            Op::Mod if right != 0.0 => TerraformValue::Number(left % right),
            Op::Less => TerraformValue::Bool(left < right),
            Op::LessEq => TerraformValue::Bool(left <= right),
            Op::Greater => TerraformValue::Bool(left > right),
            Op::GreaterEq => TerraformValue::Bool(left >= right),
            _ => TerraformValue::unknown(format!("{left} {operator} {right} is not possible")),
        },
        (operator, left, right) => {
            TerraformValue::unknown(format!("{left} {operator} {right} is not possible"))
        }
    }
}
