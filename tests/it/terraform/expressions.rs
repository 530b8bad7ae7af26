//! The functions of Terraform that the deployment uses.

#![allow(clippy::needless_pass_by_value, reason = "that is how a context takes functions")]

use std::cmp::Ordering;

use hcl::eval::{Context, FuncArgs, FuncDef, ParamType};
use hcl::{Number, Value};
use regex::Regex;

type Outcome = Result<Value, String>;

/// Makes them known.
pub(super) fn declare(context: &mut Context<'_>) {
    let any = |count: usize| vec![ParamType::Any; count];
    context.declare_func("jsonencode", FuncDef::new(jsonencode, any(1)));
    context.declare_func("filebase64sha256", FuncDef::new(hash, any(1)));
    context.declare_func("length", FuncDef::new(length, any(1)));
    context.declare_func("keys", FuncDef::new(keys, any(1)));
    context.declare_func("values", FuncDef::new(values, any(1)));
    context.declare_func("one", FuncDef::new(one, any(1)));
    context.declare_func("alltrue", FuncDef::new(all_true, any(1)));
    context.declare_func("ceil", FuncDef::new(|args| round(&args, f64::ceil), any(1)));
    context.declare_func("floor", FuncDef::new(|args| round(&args, f64::floor), any(1)));
    context.declare_func("lower", FuncDef::new(|args| Ok(text(&args, 0)?.to_lowercase().into()), any(1)));
    context.declare_func("contains", FuncDef::new(contains, any(2)));
    context.declare_func("join", FuncDef::new(join, any(2)));
    context.declare_func("regexall", FuncDef::new(regex_all, any(2)));
    context.declare_func("startswith", FuncDef::new(starts_with, any(2)));
    let variadic = |function| FuncDef::builder().variadic_param(ParamType::Any).build(function);
    context.declare_func("concat", variadic(concat));
    context.declare_func("merge", variadic(merge));
    context.declare_func("min", variadic(min));
}

fn text(args: &FuncArgs, place: usize) -> Result<&str, String> {
    args[place].as_str().ok_or_else(|| format!("argument {place} is no string: {}", args[place]))
}

fn list(value: &Value) -> Result<&Vec<Value>, String> {
    value.as_array().ok_or_else(|| format!("{value} is no list"))
}

/// A value as JSON.
pub(super) fn json(value: &Value) -> serde_json::Value {
    serde_json::to_value(value).expect("a value of HCL is one of JSON")
}

fn jsonencode(args: FuncArgs) -> Outcome {
    Ok(json(&args[0]).to_string().into())
}

/// There is no package.
fn hash(args: FuncArgs) -> Outcome {
    Ok(format!("hash of {}", text(&args, 0)?).into())
}

fn length(args: FuncArgs) -> Outcome {
    match &args[0] {
        Value::Array(items) => Ok(items.len().into()),
        Value::Object(members) => Ok(members.len().into()),
        Value::String(text) => Ok(text.chars().count().into()),
        other => Err(format!("{other} has no length")),
    }
}

/// In the order of the keys, as Terraform has them.
fn sorted(value: &Value) -> Result<Vec<(String, Value)>, String> {
    let members = value.as_object().ok_or_else(|| format!("{value} is no object"))?;
    let mut members: Vec<_> = members.clone().into_iter().collect();
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(members)
}

fn keys(args: FuncArgs) -> Outcome {
    Ok(sorted(&args[0])?.into_iter().map(|(key, _)| key).collect::<Vec<_>>().into())
}

fn values(args: FuncArgs) -> Outcome {
    Ok(sorted(&args[0])?.into_iter().map(|(_, value)| value).collect::<Vec<_>>().into())
}

fn one(args: FuncArgs) -> Outcome {
    match list(&args[0])?.as_slice() {
        [] => Ok(Value::Null),
        [only] => Ok(only.clone()),
        more => Err(format!("{} elements are not one", more.len())),
    }
}

fn all_true(args: FuncArgs) -> Outcome {
    Ok(list(&args[0])?.iter().all(|value| *value == Value::Bool(true)).into())
}

fn round(args: &FuncArgs, how: fn(f64) -> f64) -> Outcome {
    let number = args[0].as_f64().ok_or_else(|| format!("{} is no number", args[0]))?;
    Ok(Value::from(how(number) as i64))
}

fn contains(args: FuncArgs) -> Outcome {
    Ok(list(&args[0])?.contains(&args[1]).into())
}

fn join(args: FuncArgs) -> Outcome {
    let parts: Option<Vec<_>> = list(&args[1])?.iter().map(Value::as_str).collect();
    Ok(parts.ok_or("only strings can be joined")?.join(text(&args, 0)?).into())
}

fn regex_all(args: FuncArgs) -> Outcome {
    let pattern = Regex::new(text(&args, 0)?).map_err(|error| error.to_string())?;
    let found = pattern.find_iter(text(&args, 1)?).map(|found| found.as_str().to_owned());
    Ok(found.collect::<Vec<_>>().into())
}

fn starts_with(args: FuncArgs) -> Outcome {
    Ok(text(&args, 0)?.starts_with(text(&args, 1)?).into())
}

fn concat(args: FuncArgs) -> Outcome {
    let lists: Vec<_> = args.iter().map(list).collect::<Result<_, _>>()?;
    Ok(lists.into_iter().flatten().cloned().collect::<Vec<_>>().into())
}

fn merge(args: FuncArgs) -> Outcome {
    let mut merged = hcl::Map::new();
    for members in args.iter() {
        merged.extend(sorted(members)?);
    }
    Ok(Value::Object(merged))
}

fn min(args: FuncArgs) -> Outcome {
    let numbers: Option<Vec<Number>> = args.iter().map(|value| value.as_number().cloned()).collect();
    let least = numbers.ok_or("min is of numbers")?.into_iter();
    let least = least.min_by(|one, other| one.partial_cmp(other).unwrap_or(Ordering::Equal));
    least.map(Value::Number).ok_or_else(|| "min of nothing".to_owned())
}
