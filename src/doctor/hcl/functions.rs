//! The functions of Terraform that configurations like ours use. Any other one gives something unknown.

use std::collections::BTreeMap;

use crate::doctor::value::Value;

pub(super) fn call(name: &str, arguments: Vec<Value>) -> Value {
    match name {
        // What goes wrong within is unknown here: the first that is known is what it comes to, unless that hides a value
        // that only shows later.
        "try" => attempt(arguments),
        "can" => match arguments.first() {
            Some(Value::Unknown(unknown)) => Value::Unknown(unknown.clone()),
            _ => Value::Bool(true),
        },
        "coalesce" => coalesce(arguments),
        // Structures stay what they are: rules read them, and a text would have to be read again.
        "jsonencode" | "tolist" | "toset" | "tomap" | "sensitive" | "nonsensitive" => only(arguments)
            .map_or_else(|| wrong(name), |value| if name == "toset" { set(value) } else { value }),
        "merge" => merge(arguments),
        "concat" => concat(arguments),
        _ => match arguments.iter().find(|argument| matches!(argument, Value::Unknown(_))) {
            Some(unknown) => unknown.clone(),
            None => known(name, &arguments).unwrap_or_else(|| wrong(name)),
        },
    }
}

fn wrong(name: &str) -> Value {
    Value::unknown(format!("{name}() is not evaluated for what it is given"))
}

fn only(mut arguments: Vec<Value>) -> Option<Value> {
    let value = arguments.pop();
    if arguments.is_empty() { value } else { None }
}

fn set(value: Value) -> Value {
    match value {
        Value::List(items) => {
            let mut distinct = Vec::new();
            for item in items {
                if !distinct.contains(&item) {
                    distinct.push(item);
                }
            }
            Value::List(distinct)
        }
        other => other,
    }
}

fn attempt(arguments: Vec<Value>) -> Value {
    let missing =
        |value: &Value| matches!(value, Value::Unknown(unknown) if unknown.why.starts_with("there is no "));
    let first = arguments.into_iter().find(|argument| !missing(argument));
    first.unwrap_or_else(|| Value::unknown("nothing that is tried is there"))
}

fn coalesce(arguments: Vec<Value>) -> Value {
    let empty = |value: &Value| *value == Value::Null || *value == Value::text("");
    arguments.into_iter().find(|argument| !empty(argument)).unwrap_or(Value::Null)
}

fn merge(arguments: Vec<Value>) -> Value {
    let mut merged = BTreeMap::new();
    for argument in arguments {
        match argument {
            Value::Map(map) => merged.extend(map),
            Value::Null => {}
            unknown @ Value::Unknown(_) => return unknown,
            _ => return wrong("merge"),
        }
    }
    Value::Map(merged)
}

fn concat(arguments: Vec<Value>) -> Value {
    let mut all = Vec::new();
    for argument in arguments {
        match argument {
            Value::List(items) => all.extend(items),
            unknown @ Value::Unknown(_) => return unknown,
            _ => return wrong("concat"),
        }
    }
    Value::List(all)
}

fn known(name: &str, arguments: &[Value]) -> Option<Value> {
    let numbers = || arguments.iter().map(number).collect::<Option<Vec<_>>>();
    let texts = || arguments.iter().map(|argument| argument.to_text().ok()).collect::<Option<Vec<_>>>();
    match name {
        "max" => numbers()?.into_iter().reduce(f64::max).map(Value::Number),
        "min" => numbers()?.into_iter().reduce(f64::min).map(Value::Number),
        "floor" => Some(Value::Number(numbers()?.first()?.floor())),
        "ceil" => Some(Value::Number(numbers()?.first()?.ceil())),
        "abs" => Some(Value::Number(numbers()?.first()?.abs())),
        "tonumber" => numbers()?.first().copied().map(Value::Number),
        "tostring" => match arguments {
            [Value::Null] => Some(Value::Null),
            _ => Some(Value::Text(texts()?.pop()?)),
        },
        "tobool" => match arguments {
            [Value::Bool(bool)] => Some(Value::Bool(*bool)),
            [Value::Null] => Some(Value::Null),
            [Value::Text(text)] => text.parse().ok().map(Value::Bool),
            _ => None,
        },
        "lower" | "upper" | "trimspace" => change(name, texts()?.first()?),
        "trimprefix" | "trimsuffix" | "startswith" | "endswith" => affix(name, &texts()?),
        "replace" => match texts()?.as_slice() {
            // A pattern in slashes is a regular expression.
            [text, from, to] if !(from.len() > 1 && from.starts_with('/') && from.ends_with('/')) => {
                Some(Value::Text(text.replace(from.as_str(), to)))
            }
            _ => None,
        },
        "join" => match arguments {
            [separator, Value::List(items)] => {
                let items: Option<Vec<_>> = items.iter().map(|item| item.to_text().ok()).collect();
                Some(Value::Text(items?.join(&separator.to_text().ok()?)))
            }
            _ => None,
        },
        "split" => match texts()?.as_slice() {
            [separator, text] if !text.contains("${") => {
                Some(Value::List(text.split(separator.as_str()).map(Value::text).collect()))
            }
            _ => None,
        },
        "format" => format(arguments),
        "jsondecode" => Some(arguments.first()?.clone().into_document()),
        _ => collections(name, arguments),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn change(name: &str, text: &str) -> Option<Value> {
    if text.contains("${") {
        return None;
    }
    Some(Value::Text(match name {
        "lower" => text.to_lowercase(),
        "upper" => text.to_uppercase(),
        _ => text.trim().to_owned(),
    }))
}

fn affix(name: &str, texts: &[String]) -> Option<Value> {
    let [text, affix] = texts else { return None };
    if text.contains("${") {
        return None;
    }
    let affix = affix.as_str();
    Some(match name {
        "trimprefix" => Value::text(text.strip_prefix(affix).unwrap_or(text)),
        "trimsuffix" => Value::text(text.strip_suffix(affix).unwrap_or(text)),
        "startswith" => Value::Bool(text.starts_with(affix)),
        _ => Value::Bool(text.ends_with(affix)),
    })
}

fn format(arguments: &[Value]) -> Option<Value> {
    let (Value::Text(pattern), rest) = arguments.split_first()? else { return None };
    let mut rest = rest.iter();
    let mut parts = pattern.split('%');
    let mut text = parts.next()?.to_owned();
    while let Some(part) = parts.next() {
        match part.chars().next() {
            Some('s' | 'd' | 'v') => {
                text.push_str(&rest.next()?.to_text().ok()?);
                text.push_str(&part[1..]);
            }
            None => {
                text.push('%');
                text.push_str(parts.next()?);
            }
            _ => return None,
        }
    }
    Some(Value::Text(text))
}

fn collections(name: &str, arguments: &[Value]) -> Option<Value> {
    match (name, arguments) {
        ("length", [Value::List(items)]) => Some(Value::Number(items.len() as f64)),
        ("length", [Value::Map(map)]) => Some(Value::Number(map.len() as f64)),
        ("length", [Value::Text(text)]) if !text.contains("${") => {
            Some(Value::Number(text.chars().count() as f64))
        }
        ("one", [Value::List(items)]) => match items.as_slice() {
            [] => Some(Value::Null),
            [single] => Some(single.clone()),
            _ => None,
        },
        ("one", [Value::Null]) => Some(Value::Null),
        ("keys", [Value::Map(map)]) => Some(Value::List(map.keys().map(Value::text).collect())),
        ("values", [Value::Map(map)]) => Some(Value::List(map.values().cloned().collect())),
        ("lookup", [Value::Map(map), Value::Text(key), rest @ ..]) => {
            map.get(key).or_else(|| rest.first()).cloned()
        }
        ("element", [Value::List(items), Value::Number(at)]) if !items.is_empty() && *at >= 0.0 => {
            items.get(*at as usize % items.len()).cloned()
        }
        ("contains", [Value::List(items), item]) => {
            let unsure =
                item.is_symbolic() || items.iter().any(|i| i.is_symbolic() || matches!(i, Value::Unknown(_)));
            let there = items.contains(item);
            (there || !unsure).then_some(Value::Bool(there))
        }
        ("distinct", [list @ Value::List(_)]) => Some(set(list.clone())),
        ("reverse", [Value::List(items)]) => Some(Value::List(items.iter().rev().cloned().collect())),
        ("compact", [Value::List(items)]) => {
            let full = |item: &&Value| **item != Value::Null && **item != Value::text("");
            Some(Value::List(items.iter().filter(full).cloned().collect()))
        }
        ("flatten", [Value::List(items)]) => Some(Value::List(flat(items))),
        ("setunion", lists) => {
            let concat = concat(lists.to_vec());
            Some(set(concat))
        }
        ("range", [Value::Number(end)]) if (0.0..=1000.0).contains(end) => {
            Some(Value::List((0..*end as u32).map(|i| Value::Number(f64::from(i))).collect()))
        }
        ("zipmap", [Value::List(keys), Value::List(values)]) => {
            let keys: Option<Vec<_>> = keys.iter().map(|key| key.to_text().ok()).collect();
            Some(Value::Map(keys?.into_iter().zip(values.iter().cloned()).collect()))
        }
        _ => None,
    }
}

fn flat(items: &[Value]) -> Vec<Value> {
    let each = items.iter().flat_map(|item| match item {
        Value::List(inner) => flat(inner),
        other => vec![other.clone()],
    });
    each.collect()
}
